"""Copy this file to `node/steps/<name>.py`, its test to `tests/steps/test_<name>.py`, and add the class to the tuple
in `node/steps/__init__.py`. As it stands it works: it passes DICOM files on as copies.

A step knows no network, no database, no clock and no configuration but its own fields.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import ClassVar

from node.errors import CannotSucceed
from node.model import Batch, Held, Item, Kind, Work


# Frozen and of plain values: it is pickled into a worker process, and stored in the plan of a job as JSON.
@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """One sentence: what it does to the batch. It becomes the step's line in the documentation."""

    name: ClassVar[str] = "skeleton"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    # True when it must see all of the unit at once, as a volume does; then a held member holds the unit.
    whole: ClassVar[bool] = False
    # Names in `work.given`, such as "secret". What is not named here is not given.
    needs: ClassVar[frozenset[str]] = frozenset()

    prefix: str = ""
    """A field is an option in rules.yaml; this string is its documentation."""
    limit: int = 0
    """Files above this many bytes are held; 0 for no limit."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each, all at once. Called when rules.yaml is loaded."""
        found = []
        if not re.fullmatch(r"[A-Za-z0-9_-]*", self.prefix):
            found.append(f'prefix "{self.prefix}" may have letters, digits, - and _')
        if self.limit < 0:
            found.append("limit is a number of bytes; 0 for none")
        return tuple(found)

    def run(self, batch: Batch, work: Work) -> Batch:
        """Repeated after a crash: same input, same file names, and writing again does no harm.

        Raise CannotSucceed when the whole batch is at fault and TryAgain when the world may change. One bad member
        goes to `held`, with a reason that names no patient; the rest go on.
        """
        if self.problems():
            raise CannotSucceed("; ".join(self.problems()))
        items = []
        held = list(batch.held)  # What earlier steps held or dropped stays in the batch.
        for item in batch.items:
            if self.limit and item.path.stat().st_size > self.limit:
                held.append(Held(sources=item.sources, reason=f"it has more than {self.limit} bytes"))
                continue
            # Inputs are read-only and may be shared; write under work.out and nowhere else.
            target = work.out / (self.prefix + item.path.name)
            shutil.copyfile(item.path, target)
            # `sources` is how a delivery finds the receipts that it fulfils: never leave one out.
            items.append(Item(path=target, kind=item.kind, sources=item.sources))
        work.note("{} copied", len(items))  # a count, not text: the batch may be only a part
        return Batch(items=tuple(items), held=tuple(held), dropped=batch.dropped, disclosure=batch.disclosure)
