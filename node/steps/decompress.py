"""decompress: every instance as Explicit VR Little Endian, pixels exactly as they were coded.

```yaml
steps:
  - decompress
  - decompress: {keep_lossy: true}
```
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from node.errors import CannotSucceed
from node.imaging.layout import LIMIT
from node.imaging.transcode import EXPLICIT_LITTLE_ENDIAN, LOSSY, to_explicit_little_endian, transfer_syntax_of
from node.model import Batch, Held, Item, Kind, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompress:
    """Rewrite every instance as Explicit VR Little Endian, its pixels exactly as they were coded.

    The SOP Instance UID stays. YBR becomes RGB by pixel; palettes stay palettes; 'Lossy Image Compression' stays, and
    is set where a lossy JPEG lacks it. What already is Explicit VR Little Endian is linked, not rewritten. An instance
    with a frame that cannot be decoded, and video, is held.
    """

    keep_lossy: bool = False
    """Leave instances in a syntax that is or may be lossy as they are: they would only grow."""

    name: ClassVar[str] = "decompress"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def run(self, batch: Batch, work: Work) -> Batch:
        items: list[Item] = []
        held = list(batch.held)
        taken: set[str] = set()
        for item in batch.items:
            if item.kind is not Kind.DICOM:
                items.append(item)
                continue
            target = work.out / _free_name(item.path.stem, taken)
            try:
                for note in self._one(item.path, target):
                    work.note(f"{item.path.stem}: {note}")
            except CannotSucceed as error:
                held.append(Held(sources=item.sources, reason=str(error)))
            else:
                items.append(replace(item, path=target))
        return replace(batch, items=tuple(items), held=tuple(held))

    def _one(self, source: Path, target: Path) -> tuple[str, ...]:
        syntax = transfer_syntax_of(source)
        target.unlink(missing_ok=True)  # a repeat; writing through a hard link would change the input
        if syntax == EXPLICIT_LITTLE_ENDIAN or (self.keep_lossy and syntax in LOSSY):
            _link(source, target)
            return ()
        return to_explicit_little_endian(source, target, limit=LIMIT)


def _free_name(stem: str, taken: set[str]) -> str:
    """`stem`.dcm, or with a number where another input of the batch has the same stem; the same for a repeat."""
    name, n = f"{stem}.dcm", 1
    while name in taken:
        n += 1
        name = f"{stem}-{n}.dcm"
    taken.add(name)
    return name


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
