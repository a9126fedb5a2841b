"""One step on a batch: what it does not take passes by, and nothing said before is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from node.errors import CannotSucceed
from node.model import Batch, Disclosure, Held, Item, Kind, ReceiptId, Work
from node.run.perform import Bench, perform
from tests import make
from tests.run.steps_for_tests import Obey

A, B, C = (ReceiptId(letter * 32) for letter in "abc")


def dicom(folder: Path, receipt: ReceiptId) -> Item:
    return Item(path=make.write(make.instance(), folder / f"{receipt}.dcm"), kind=Kind.DICOM, sources=(receipt,))


def report(folder: Path) -> Item:
    path = folder / "report.txt"
    path.write_text("made before")
    return Item(path=path, kind=Kind.REPORT, sources=(C,))


def test_other_kinds_pass_by_unchanged(tmp_path: Path) -> None:
    other = report(tmp_path)
    made, notes = perform(Obey(), Batch(items=(other, dicom(tmp_path, A))), tmp_path / "out", {})
    assert made.items[0] == other
    assert made.items[1].path == tmp_path / "out" / f"{A}.dcm"
    assert len(notes) == 1


def test_a_batch_with_nothing_for_the_step_passes_by(tmp_path: Path) -> None:
    batch = Batch(items=(report(tmp_path),))
    assert perform(Obey(), batch, tmp_path / "out", {}) == (batch, [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetful:
    """Says nothing of what was held or dropped before, and holds one more."""

    name: ClassVar[str] = "forgetful"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset()
    whole: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    deidentifies: ClassVar[bool] = True

    def run(self, batch: Batch, work: Work) -> Batch:
        held = tuple(Held(sources=item.sources, reason="now") for item in batch.items)
        return Batch(items=(), held=held, disclosure=Disclosure.DEIDENTIFIED)


def test_what_was_held_or_dropped_before_stays_so(tmp_path: Path) -> None:
    before = Held(sources=(B,), reason="before")
    made, _ = perform(Forgetful(), Batch(items=(dicom(tmp_path, A),), held=(before,), dropped=(C,)), tmp_path, {})
    assert made.held == (before, Held(sources=(A,), reason="now"))
    assert made.dropped == (C,)


def test_files_that_a_step_cannot_deidentify_do_not_pass_by_it(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="cannot de-identify"):
        perform(Forgetful(), Batch(items=(report(tmp_path), dicom(tmp_path, A))), tmp_path / "out", {})


def test_a_bench_keeps_notes(tmp_path: Path) -> None:
    bench = Bench(out=tmp_path)
    bench.note("a")
    bench.note("{} of {}", 1, 2)
    assert (bench.notes, bench.given) == ([("a", ()), ("{} of {}", (1, 2))], {})


def test_a_note_that_does_not_fit_its_counts_is_refused_in_the_step(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        Bench(out=tmp_path).note("{} of {}", 1)
