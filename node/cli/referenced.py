"""For `dicom-node process`: what a unit refers to, among the files that were named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.cli.gather import FileUnit, Found, Gathered, batch_of
from node.dicom.header import read_header_of
from node.dicom.references import REFERRING, references_of
from node.errors import CannotSucceed, NodeError
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
                wanted.update((other.receipt, other) for other in self._referred(one))
            except NodeError as error:
                missing[one.receipt] = str(error)
        others = [one for receipt, one in wanted.items() if receipt not in mine]
        folder.mkdir(parents=True, exist_ok=True)
        items: tuple[Item, ...] = batch_of(FileUnit(kind=unit.kind, uid=unit.uid, members=others), folder).items
        return Referenced(items=items, missing=missing)

    def _referred(self, one: Found) -> list[Found]:
        """All instances of the series that one names. Raises CannotSucceed when that is not all it names."""
        header = read_header_of(one.path, one.identity.transfer_syntax, one.dataset_offset).header
        found: list[Found] = []
        for reference in references_of(header):
            there = self.by_series.get(reference.series, [])
            if not there:
                raise CannotSucceed("the series that it refers to is not among the files")
            if absent := reference.instances - {other.identity.sop_instance for other in there}:
                count = len(reference.instances)
                raise CannotSucceed(f"{len(absent)} of {count} images that it refers to are not among the files")
            found += there
        return found
