"""What the instances of a batch refer to (`needs: referenced`): found, waited for, and brought to where the batch is.

A step knows no index, so it is given files. They are not as they were received, but as the steps before it made the
batch: after `anonymize` a structure set names de-identified images, and from others a step could take an identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from node.errors import CannotSucceed, TryAgain
from node.index import Database
from node.index.referenced import referred_by
from node.model import Batch, Item, Kind, Referenced, Step
from node.pool import Pool
from node.run.parts import one_for_one, run_chain
from node.run.supply import Supply
from node.spool import Spool

Look = Callable[[Batch], Referenced]
"""What a batch refers to and does not have itself, as received."""

_SOONEST, _LATEST = 2.0, 60.0
"""Seconds between two looks at a series that has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheIndex:
    """Looks into the index for what belongs to one job."""

    database: Database
    spool: Spool
    created: float
    """When the job was made, database clock: from then on it waits."""
    wait: timedelta
    """How long a series that has not come is waited for."""

    def __call__(self, batch: Batch) -> Referenced:
        """Raises TryAgain while something is missing that may yet come."""
        mine = {source for item in batch.items for source in item.sources}
        with self.database.reader.connect() as connection:
            found = referred_by(connection, mine)
            waited = self.database.now(connection) - self.created
        missing = {one.receipt: one.missing for one in found if one.missing}
        if missing and waited < self.wait.total_seconds():
            raise TryAgain(next(iter(missing.values())), after=min(max(waited / 10, _SOONEST), _LATEST))
        paths = {receipt: path for one in found for receipt, path in one.came.items() if receipt not in mine}
        return Referenced(
            items=tuple(
                Item(path=self.spool.where(path), kind=Kind.DICOM, sources=(receipt,))
                for receipt, path in paths.items()
            ),
            missing=missing,
        )


def referenced(
    look: Look, pool: Pool, supply: Supply, before: Sequence[Step], batch: Batch, work: Path
) -> Referenced:  # fmt: skip
    """What `look` finds, taken through the steps that the batch came through, in a folder below `work`.

    Only through those that make DICOM of DICOM: volumes and reports of other series are not asked for here. What
    de-identified them is checked by the second reader, for its job looks for values of its own originals alone.
    Raises what `look` raises, and CannotSucceed when a step holds any of it, or the second reader does.
    """
    found = look(batch)
    steps = [step for step in before if one_for_one(step) or getattr(step, "deidentifies", False)]
    if not found.items or not steps:
        return found
    made, _ = run_chain(pool, supply, steps, Batch(items=found.items), work / "referenced", partial="proceed")
    if made.held:
        raise CannotSucceed(
            f"{len(made.held)} of {len(found.items)} images that it refers to were held. The first one: "
            f"{made.held[0].reason}"
        )
    return Referenced(items=made.items, missing=found.missing)
