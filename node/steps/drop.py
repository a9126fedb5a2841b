"""The `drop` step: the route ends here on purpose, and the ledger says `dropped` rather than losing count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from node.model import Batch, Kind, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Take everything out of the batch; what was held stays held."""

    name: ClassVar[str] = "drop"
    accepts: ClassVar[frozenset[Kind]] = frozenset(Kind)
    gives: ClassVar[frozenset[Kind]] = frozenset()
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def problems(self) -> tuple[str, ...]:
        """Nothing can be wrong: there are no options."""
        return ()

    def run(self, batch: Batch, work: Work) -> Batch:
        """The batch without items. Each receipt is dropped once, in the order of the items."""
        waiting = {receipt for held in batch.held for receipt in held.sources}
        receipts = (receipt for item in batch.items for receipt in item.sources if receipt not in waiting)
        dropped = tuple(dict.fromkeys((*batch.dropped, *receipts)))
        work.note("{} taken out by rule", len(dropped) - len(batch.dropped))
        return Batch(items=(), held=batch.held, dropped=dropped, disclosure=batch.disclosure)
