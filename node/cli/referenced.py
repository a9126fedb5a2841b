"""For `dicom-node process`: what a unit refers to, among the files that were named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.cli.gather import FileUnit, Found, Gathered, batch_of
from node.dicom.header import read_header_of
from node.dicom.references import REFERRING, references_of
from node.errors import NodeError
from node.model import Batch, Item, ReceiptId, Referenced


@dataclass(frozen=True, slots=True, kw_only=True)
class AmongFiles:
    """Files have no association that may yet come: what is not among them is missing."""

    found: Mapping[ReceiptId, Found]
    by_series: Mapping[str, list[Found]] = field(default_factory=dict)

    @classmethod
    def of(cls, gathered: Gathered) -> AmongFiles:
        found = {one.receipt: one for unit in gathered.units for one in unit.members}
        by_series: dict[str, list[Found]] = {}
        for one in found.values():
            by_series.setdefault(one.identity.series, []).append(one)
        return cls(found=found, by_series=by_series)

    def look(self, batch: Batch, unit: FileUnit, folder: Path) -> Referenced:
        """What the instances of a batch refer to; copies of it, as `batch_of` makes them, in a folder."""
        mine = {source for item in batch.items for source in item.sources}
        wanted: dict[ReceiptId, Found] = {}
        missing: dict[ReceiptId, str] = {}
        for one in (self.found[receipt] for receipt in sorted(mine)):
            if one.identity.sop_class not in REFERRING:
                continue
            try:
                for series in self._series(one):
                    wanted.update((other.receipt, other) for other in self.by_series[series])
            except (NodeError, KeyError) as error:
                why = "the series that it refers to is not among the files"
                missing[one.receipt] = why if isinstance(error, KeyError) else str(error)
        others = [one for receipt, one in wanted.items() if receipt not in mine]
        folder.mkdir(parents=True, exist_ok=True)
        items: tuple[Item, ...] = batch_of(FileUnit(kind=unit.kind, uid=unit.uid, members=others), folder).items
        return Referenced(items=items, missing=missing)

    def _series(self, one: Found) -> list[str]:
        header = read_header_of(one.path, one.identity.transfer_syntax, one.dataset_offset).header
        return [reference.series for reference in references_of(header)]
