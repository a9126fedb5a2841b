"""transcode: every instance in one transfer syntax.

```yaml
steps:
  - transcode: jpeg-ls
  - transcode: {to: htj2k, rest: explicit}
  - transcode: {to: jpeg-2000-lossy, ratio: 10}
```
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from node.errors import CannotSucceed
from node.imaging.capabilities import cannot_decode, cannot_encode
from node.imaging.compress import Loss, Unfit
from node.imaging.pixels import has_pixels
from node.imaging.targets import TARGETS, Target
from node.imaging.transcode import EXPLICIT_LITTLE_ENDIAN, LOSSY, is_lossy, transcode, transfer_syntax_of
from node.model import Batch, Held, Item, Kind, Work

Syntax = Literal[
    "explicit", "deflated", "rle", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k", "htj2k-rpcl",
    "jpeg-baseline", "jpeg-ls-near", "jpeg-2000-lossy", "htj2k-lossy",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcode:
    """Rewrite every instance in one transfer syntax; each compressed frame is decoded again and compared.

    Without loss (`explicit`, `deflated`, `rle`, `jpeg-lossless`, `jpeg-ls`, `jpeg-2000`, `htj2k`, `htj2k-rpcl`) every
    sample stays, and so does the SOP Instance UID; only compressed YBR becomes RGB in the first two. With loss
    (`jpeg-baseline` for 8 bits, `jpeg-ls-near`, `jpeg-2000-lossy`, `htj2k-lossy`) the instance is a new one, derived
    from the old: 'Image Type' DERIVED, 'Derivation Description', 'Derivation Code Sequence', 'Source Image Sequence',
    and the ratio and method of the compression after those of earlier ones. How much is lost must be said, by `ratio`,
    `near` or `quality`.

    What already is in the syntax, and objects without pixels in Explicit VR Little Endian, are linked, not rewritten;
    others without pixels become that. What the syntax cannot hold (one-bit segmentations, floating point, 16 bits in
    `jpeg-baseline`, palettes with loss, anything in bits above 'Bits Stored') is held, or with `rest: explicit` written
    uncompressed. A frame that cannot be decoded, and video, is held.
    """

    to: Syntax
    """The transfer syntax. `jpeg-lossless` is process 14, selection value 1; `explicit` uncompressed."""
    ratio: float = 0.0
    """With loss: each frame becomes at least so many times smaller than uncompressed, and no worse than that needs."""
    near: int = 0
    """`jpeg-ls-near`: the most by which a value may differ, from 1 to 127."""
    quality: int = 0
    """`jpeg-baseline`: the quality of libjpeg, from 1 to 100."""
    rest: Literal["hold", "explicit"] = "hold"
    """What to do with pixels that the syntax cannot hold: hold the instance, or write it uncompressed."""
    keep_lossy: bool = False
    """Leave instances in a syntax that is or may be lossy as they are."""

    name: ClassVar[str] = "transcode"
    short: ClassVar[str] = "to"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, and what this installation cannot do."""
        target = TARGETS[self.to]
        given = [name for name in ("ratio", "near", "quality") if getattr(self, name)]
        fits = _AMOUNTS.get(self.to, ("ratio",)) if target.lossy else ()
        found = [f'"{name}" is not for {self.to}' for name in given if name not in fits]
        if target.lossy and len([name for name in given if name in fits]) != 1:
            found.append(f"{self.to} loses something: say how much, by {' or '.join(fits)}")
        if self.ratio and not (math.isfinite(self.ratio) and self.ratio > 1):
            found.append("ratio is a number above 1")
        if not 0 <= self.near <= 127:
            found.append("near is a whole number from 1 to 127")
        if not 0 <= self.quality <= 100:
            found.append("quality is a whole number from 1 to 100")
        found += [f"this installation cannot decode {name}" for name in cannot_decode()]
        found += [f"this installation cannot encode {name}" for name in cannot_encode([target.uid])]
        return tuple(found)

    def run(self, batch: Batch, work: Work) -> Batch:
        """Write each instance, or link it; hold one that cannot be done with certainty."""
        if problems := self.problems():
            raise CannotSucceed("; ".join(problems))
        return each(batch, work, self._one)

    def _one(self, source: Path, target: Path) -> tuple[str, ...]:
        to, syntax = TARGETS[self.to], transfer_syntax_of(source)
        there = syntax == to.uid and (not to.lossy or is_lossy(source))
        there = there or (to.encapsulated and syntax == EXPLICIT_LITTLE_ENDIAN and not has_pixels(source))
        if there or (self.keep_lossy and syntax in LOSSY):
            link(source, target)
            return ()
        try:
            return transcode(source, target, to, self._loss(to))
        except Unfit as error:
            if self.rest == "hold":
                raise
            return (*self._uncompressed(source, syntax, target), f"written uncompressed: {error}")

    def _uncompressed(self, source: Path, syntax: str, target: Path) -> tuple[str, ...]:
        if syntax == EXPLICIT_LITTLE_ENDIAN:
            link(source, target)
            return ()
        return transcode(source, target, TARGETS["explicit"])

    def _loss(self, to: Target) -> Loss | None:
        if not to.lossy:
            return None
        if self.ratio:
            return Loss(ratio=self.ratio, words=f"at least {self.ratio:g}:1")
        if self.near:
            return Loss(level=self.near, words=f"near {self.near}")
        return Loss(level=self.quality, words=f"quality {self.quality}")


_AMOUNTS = {"jpeg-ls-near": ("ratio", "near"), "jpeg-baseline": ("ratio", "quality")}
"""The options that say how much is lost; `ratio` alone for the others."""


def each(batch: Batch, work: Work, one: Callable[[Path, Path], tuple[str, ...]]) -> Batch:
    """Every DICOM item through `one`, which writes a file and returns notes; who raises CannotSucceed is held alone."""
    items: list[Item] = []
    held = list(batch.held)
    taken: set[str] = set()
    for item in batch.items:
        if item.kind is not Kind.DICOM:
            items.append(item)
            continue
        target = work.out / _free_name(item.path.stem, taken)
        target.unlink(missing_ok=True)  # a repeat; writing through a hard link would change the input
        try:
            for note in one(item.path, target):
                work.note(f"{item.path.stem}: {note}")
        except CannotSucceed as error:
            held.append(Held(sources=item.sources, reason=str(error)))
        else:
            items.append(replace(item, path=target))
    return replace(batch, items=tuple(items), held=tuple(held))


def _free_name(stem: str, taken: set[str]) -> str:
    """`stem`.dcm, or with a number where another input of the batch has the same stem; the same for a repeat."""
    name, n = f"{stem}.dcm", 1
    while name in taken:
        n += 1
        name = f"{stem}-{n}.dcm"
    taken.add(name)
    return name


def link(source: Path, target: Path) -> None:
    """`target` as another name of `source`, or a copy where there cannot be one."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
