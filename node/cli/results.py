"""What `dicom-node process` made of a unit: its files in a folder of their own, and what to say about it.

Names come from what is in the results, never from what went in: a folder named by the received UID would lead from a
de-identified study back to the patient. The same input gives the same names.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from node.cli.gather import FileUnit
from node.deliver.layout import marked, safe_part
from node.dicom.header import read_header_of
from node.dicom.part10 import read_meta
from node.model import Batch, Item, Kind, ReceiptId, UnitKind
from node.run.contents import layout_fields

_NAMED_BY = {
    UnitKind.STUDY: "StudyInstanceUID", UnitKind.SERIES: "SeriesInstanceUID", UnitKind.INSTANCE: "SOPInstanceUID"
}  # fmt: skip
_RECEIPT = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    unit: FileUnit
    folder: str
    """Below the result folder; empty when there are no files."""
    files: tuple[str, ...]
    held: tuple[tuple[Path, str], ...]
    """Files that went in and were held, and why."""
    dropped: int
    """Instances that the route took out on purpose."""
    notes: tuple[str, ...]

    @property
    def state(self) -> str:
        if not self.held:
            return "done"
        return "held" if len(self.held) == len(self.unit.members) else "partly held"

    @property
    def said(self) -> bool:
        """The line has the one reason that holds all of it."""
        return self.state == "held" and len({reason for _, reason in self.held}) == 1

    def line(self, out: Path) -> str:
        parts = [self.state]
        if self.said:
            parts.append(f"{len(self.held)} instances: {self.held[0][1]}")
        elif self.held:
            parts.append(f"{len(self.held)} of {len(self.unit.members)} instances")
        if self.files:
            parts.append(f"{len(self.files)} files in {out / self.folder}")
        if self.dropped:
            parts.append(f"{self.dropped} dropped by the route")
        return ", ".join(parts)


def publish(unit: FileUnit, made: Batch, notes: Sequence[str], out: Path, taken: set[str]) -> Result:
    """Copy what a unit gave to a new folder below `out`. `taken`: names of folders that others have."""
    paths = {one.receipt: one.path for one in unit.members}
    # Work files are named by receipts, which nobody has seen.
    named = partial(_RECEIPT.sub, lambda found: str(paths.get(ReceiptId(found[0]), found[0])))
    held = {paths[source]: named(one.reason) for one in made.held for source in one.sources}
    left = {source for item in made.items for source in item.sources}.union(made.dropped)
    for receipt, path in paths.items():
        if receipt not in left:
            held.setdefault(path, "it went in and did not come out")
    folder = ""
    files: set[str] = set()
    if made.items:
        name = safe_part(_name(unit.kind, made.items))
        folder = next(one for one in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
        taken.add(folder)
        (out / folder).mkdir()
    for item in made.items:
        name = _file_name(item)
        name = name if name not in files else marked(name, item.path.name)
        shutil.copyfile(item.path, out / folder / name)
        files.add(name)
    return Result(
        unit=unit, folder=folder, files=tuple(sorted(files)), held=tuple(held.items()), dropped=len(set(made.dropped)),
        notes=tuple(named(note) for note in notes),
    )  # fmt: skip


def _name(kind: UnitKind, items: Sequence[Item]) -> str:
    """The UID that the unit has in its results; without DICOM among them the name of a file."""
    for item in items:
        if item.kind is Kind.DICOM:
            meta = read_meta(item.path)
            fields = layout_fields(read_header_of(item.path, meta.transfer_syntax, meta.dataset_offset).header)
            return fields.get(_NAMED_BY[kind], "")
    others = [item for item in items if item.kind is not Kind.REPORT] or items
    return min(item.path.name for item in others).partition(".")[0]


def _file_name(item: Item) -> str:
    """An instance by its SOP Instance UID, as in a folder destination: its work file is named by a receipt."""
    uid = read_meta(item.path).sop_instance if item.kind is Kind.DICOM else None
    return safe_part(f"{uid}.dcm" if uid else item.path.name)
