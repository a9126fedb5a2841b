"""Drives a step as run/ does: a real folder, a real batch, what it declared in `needs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.model import Batch, Item, Kind, ReceiptId, Step


@dataclass(slots=True)
class RealWork:
    """A `Work` whose folder is there and whose notes can be read back."""

    out: Path
    given: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str, *counts: int) -> None:
        self.notes.append(text.format(*counts) if counts else text)


def run_step(step: Step, batch: Batch, tmp_path: Path, given: Mapping[str, Any] | None = None) -> Batch:
    """Run `step` on `batch` in `tmp_path`/out, with exactly what it needs; check what every step must keep to."""
    out = tmp_path / "out"
    out.mkdir(parents=True, exist_ok=True)
    given = dict(given or {})
    if "crosswalk" in step.needs:
        given.setdefault("crosswalk", None)  # then every patient has the key that is given
    assert set(given) == set(step.needs), f"{step.name} needs {sorted(step.needs)}"
    result = step.run(batch, RealWork(out, given))
    check_contract(step, batch, result, out)
    return result


def check_contract(step: Step, batch: Batch, result: Batch, out: Path) -> None:
    """No receipt vanishes, none appears; every new file lies in the step's own folder and is of a declared kind."""
    assert receipts(result) == receipts(batch)
    before = {item.path for item in batch.items}
    for item in result.items:
        assert item.path.is_file()
        if item.path not in before:
            assert item.path.is_relative_to(out)
            assert item.kind in step.gives
    assert all(held.reason for held in result.held)


def receipts(batch: Batch) -> set[ReceiptId]:
    found = {receipt for item in batch.items for receipt in item.sources}
    return found | {receipt for held in batch.held for receipt in held.sources} | set(batch.dropped)


def batch_of(paths: Iterable[Path], kind: Kind = Kind.DICOM) -> Batch:
    """A batch of one item per file, each with a receipt of its own."""
    return Batch(
        items=tuple(
            Item(path=path, kind=kind, sources=(ReceiptId(f"{number:032x}"),))
            for number, path in enumerate(paths, start=1)
        )
    )
