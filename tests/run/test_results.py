"""What a step left is believed after a crash of the node, and not after one of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node.model import Batch, Disclosure, Held, Item, Kind, Plan, ReceiptId, UnitKind, Whose
from node.run import results
from node.run.results import job_folder, mark, read, write

A, B, C = (ReceiptId(letter * 32) for letter in "abc")
PLAN = Plan(route="r", unit=UnitKind.SERIES, steps=(("decompress", {}), ("forward", {"to": "a"})), fingerprint="f")
OF = mark((A, B, C), PLAN)


def batch(folder: Path) -> Batch:
    path = folder / "one.dcm"
    path.write_bytes(b"x")
    return Batch(
        items=(Item(path=path, kind=Kind.DICOM, sources=(A,), whose=Whose("1.2", "p", True)),),
        held=(Held(sources=(B,), reason="broken"),),
        dropped=(C,), disclosure=Disclosure.DEIDENTIFIED,
    )  # fmt: skip


def test_a_batch_comes_back_as_it_was(tmp_path: Path) -> None:
    made = batch(tmp_path)
    write(tmp_path, 2, made, ["a note"], OF)
    assert read(tmp_path, 2, OF) == made
    assert read(tmp_path, 1, OF) is None


def test_it_is_not_believed_after_the_machine_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 0, batch(tmp_path), [], OF)
    monkeypatch.setattr(results, "boot", lambda: "another start")
    assert read(tmp_path, 0, OF) is None


def test_it_is_not_believed_without_its_files(tmp_path: Path) -> None:
    made = batch(tmp_path)
    write(tmp_path, 0, made, [], OF)
    made.items[0].path.unlink()
    assert read(tmp_path, 0, OF) is None


@pytest.mark.parametrize(
    "of",
    [
        mark((A, B), PLAN),
        mark((A, B, C), replace(PLAN, fingerprint="another route of that name")),
        mark((A, B, C), replace(PLAN, steps=(("decompress", {"keep_lossy": True}), PLAN.steps[1]))),
    ],
)
def test_it_is_not_believed_by_a_job_with_other_receipts_or_another_plan(tmp_path: Path, of: str) -> None:
    write(tmp_path, 0, batch(tmp_path), [], OF)
    assert read(tmp_path, 0, of) is None
    assert mark((C, B, A), PLAN) == OF, "the order of the receipts is no matter"


def test_half_a_record_is_none(tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text('{"boot": "x", "items": [')
    assert read(tmp_path, 0, OF) is None


def test_this_machine_knows_its_start() -> None:
    assert results.boot() == results.boot() != ""


def test_every_try_of_a_job_has_its_own_folder(tmp_path: Path) -> None:
    names = {job_folder(tmp_path, job, tries) for job in ("1.1.a/b", "1.1.a") for tries in (1, 2)}
    assert len(names) == 4
    assert all(folder.parent == tmp_path for folder in names)
