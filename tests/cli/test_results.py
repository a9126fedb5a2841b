"""What a unit gave lies in a folder of its own, and the line about it counts what went in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from node.cli.gather import FileUnit, batch_of, gather
from node.cli.results import Result, publish
from node.model import Batch, Held, Item, Kind, ReceiptId, UnitKind
from tests import make


def unit_of(tmp_path: Path, count: int = 2) -> tuple[FileUnit, Batch]:
    paths = make.write_all([make.instance(number=n + 1) for n in range(count)], tmp_path / "in")
    (unit,) = gather(paths, UnitKind.SERIES).units
    return unit, batch_of(unit, tmp_path)


def published(unit: FileUnit, made: Batch, tmp_path: Path, taken: set[str] | None = None) -> Result:
    (tmp_path / "out").mkdir(exist_ok=True)
    return publish(unit, made, [], tmp_path / "out", set() if taken is None else taken)


def test_instances_are_named_by_their_uid_in_a_folder_named_by_the_units(tmp_path: Path) -> None:
    unit, made = unit_of(tmp_path)
    result = published(unit, made, tmp_path)
    assert result.folder == make.uid("study", "series")
    assert result.files == tuple(sorted(f"{make.uid('study', 'series', n)}.dcm" for n in (1, 2)))
    assert result.line(tmp_path) == f"done, 2 files in {tmp_path / result.folder}"


def test_a_name_that_is_taken_is_not_written_over(tmp_path: Path) -> None:
    unit, made = unit_of(tmp_path)
    twice = replace(made, items=(*made.items, made.items[0]))
    result = published(unit, twice, tmp_path, {make.uid("study", "series")})
    assert result.folder == make.uid("study", "series") + "-2"
    assert len(list((tmp_path / "out" / result.folder).iterdir())) == len(result.files) == 3


def test_results_without_dicom_are_named_by_a_file(tmp_path: Path) -> None:
    unit, made = unit_of(tmp_path, 1)
    path = tmp_path / "003_CT_1234.nii.gz"
    path.write_bytes(b"x")
    sources = made.items[0].sources
    result = published(unit, Batch(items=(Item(path=path, kind=Kind.NIFTI, sources=sources),)), tmp_path)
    assert (result.folder, result.files, result.state) == ("003_CT_1234", ("003_CT_1234.nii.gz",), "done")


def test_held_and_vanished_instances_are_named_by_their_files(tmp_path: Path) -> None:
    unit, made = unit_of(tmp_path, 3)
    held = Held(sources=made.items[0].sources, reason="broken")
    result = published(unit, Batch(items=made.items[1:2], held=(held,)), tmp_path)
    assert result.held == (
        (unit.members[0].path, "broken"), (unit.members[2].path, "it went in and did not come out"),
    )  # fmt: skip
    assert result.line(tmp_path) == f"partly held, 2 of 3 instances, 1 files in {tmp_path / result.folder}"


def test_a_unit_held_for_one_reason_says_it_once(tmp_path: Path) -> None:
    unit, _ = unit_of(tmp_path)
    held = [Held(sources=(one.receipt,), reason="broken") for one in unit.members]
    result = published(unit, Batch(items=(), held=tuple(held)), tmp_path)
    assert (result.state, result.said, result.line(tmp_path)) == ("held", True, "held, 2 instances: broken")
    result = published(unit, Batch(items=(), held=(held[0], replace(held[1], reason="other"))), tmp_path)
    assert (result.state, result.said, result.line(tmp_path)) == ("held", False, "held, 2 of 2 instances")
    assert not list((tmp_path / "out").iterdir())


def test_notes_name_files_instead_of_receipts(tmp_path: Path) -> None:
    unit, made = unit_of(tmp_path, 1)
    (tmp_path / "out").mkdir()
    notes = [f"decompress: {unit.members[0].receipt}: lossy", f"about {'f' * 32}"]
    result = publish(unit, made, notes, tmp_path / "out", set())
    assert result.notes == (f"decompress: {unit.members[0].path}: lossy", f"about {'f' * 32}")
    assert ReceiptId(unit.members[0].receipt) not in str(result.files)
