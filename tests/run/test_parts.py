"""A step over a batch in several workers: the one at fault is held alone."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from node.errors import CannotSucceed, TryAgain
from node.model import Batch, Disclosure, Held, Item, Kind, ReceiptId
from node.pool import Pool, WorkerDied
from node.run.parts import needs_all, one_for_one, perform_in_parts, run_chain
from node.run.supply import Supply
from node.steps import STEPS
from tests import make
from tests.run.steps_for_tests import Faulty, Obey, Pile


def batch(folder: Path, *wishes: str) -> Batch:
    """One instance for each wish; see steps_for_tests."""
    items = []
    for n, wanted in enumerate(wishes):
        ds = make.instance(number=n + 1)
        ds.ImageComments = wanted
        path = make.write(ds, folder / "in" / f"{n:03d}.dcm")
        items.append(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(f"{n:032x}"),)))
    return Batch(items=tuple(items))


def held(made: Batch) -> dict[int, str]:
    return {int(h.sources[0], 16): h.reason for h in made.held}


def test_parts_come_back_in_order_and_were_worked_on_side_by_side(pool: Pool, tmp_path: Path) -> None:
    before = Held(sources=(ReceiptId("f" * 32),), reason="before")
    given = batch(tmp_path, *[""] * 30)
    given = Batch(items=given.items, held=(before,))
    (tmp_path / "meeting").mkdir()
    made, notes = perform_in_parts(pool, Obey(meet=str(tmp_path / "meeting")), given, tmp_path / "out", {})
    assert [i.path.name for i in made.items] == [f"{n:03d}.dcm" for n in range(30)]
    assert made.held == (before,)
    assert len(notes) == 2, "two workers took part"


class _Counting:
    """In the place of a pool: how many items each part has."""

    def __init__(self, size: int) -> None:
        self.size, self.counts = size, list[int]()

    def call(self, _: object, __: object, part: Batch, *___: object) -> tuple[Batch, list[object]]:
        self.counts.append(len(part.items))
        return part, []


@pytest.mark.parametrize(
    ("items", "workers", "largest"), [(2, 2, 2), (30, 2, 12), (300, 2, 37), (300, 8, 12), (5000, 2, 48)]
)
def test_parts_are_larger_where_there_are_enough_of_them_for_all_workers(
    items: int, workers: int, largest: int
) -> None:
    given = Batch(
        items=tuple(Item(path=Path(f"{n}"), kind=Kind.DICOM, sources=(ReceiptId(f"{n:032x}"),)) for n in range(items))
    )
    pool = _Counting(workers)
    made, _ = perform_in_parts(pool, Obey(), given, Path("out"), {})  # type: ignore[arg-type]
    assert made.items == given.items
    assert (max(pool.counts), sum(pool.counts)) == (largest, items)


def test_the_counts_of_the_parts_are_added(pool: Pool, tmp_path: Path) -> None:
    """Equal notes of two parts with twelve each said that twelve were de-identified, and not 24."""
    step = STEPS["anonymize"]()
    for count, said in ((24, "24 de-identified"), (30, "30 de-identified")):
        given = batch(tmp_path / str(count), *[""] * count)
        _, notes = perform_in_parts(pool, step, given, tmp_path / "out", {"secret": b"k" * 32})
        assert notes == [said]


def test_a_part_that_goes_one_by_one_is_counted_too(pool: Pool, tmp_path: Path) -> None:
    made, notes = perform_in_parts(
        pool, Obey(counts=True), batch(tmp_path, "", "fail", "", "hold"), tmp_path / "out", {}
    )
    assert (len(made.items), set(held(made))) == (2, {1, 3})
    assert notes == ["2 obeyed"]


def test_a_worker_that_dies_on_one_instance_holds_that_one(
    pool: Pool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made, _ = perform_in_parts(pool, Obey(), batch(tmp_path, "", "die", ""), tmp_path / "out", {})
    assert len(made.items) == 2
    assert "signal SIGKILL" in held(made)[1]
    assert "worker process died" in caplog.text


def test_a_decoder_that_loops_on_one_instance_holds_that_one_and_the_pool_goes_on(pool: Pool, tmp_path: Path) -> None:
    made, _ = perform_in_parts(pool, Obey(), batch(tmp_path, "", "loop", "", ""), tmp_path / "out", {})
    assert len(made.items) == 3
    assert held(made) == {1: "the worker process died (a decoder that came to no end was stopped)"}


def test_a_bug_met_in_one_instance_holds_that_one_and_says_no_values(
    pool: Pool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        made, _ = perform_in_parts(pool, Obey(), batch(tmp_path, "", "bug", "hold"), tmp_path / "out", {})
    assert set(held(made)) == {1, 2}
    assert held(made)[1].startswith("a fault in the node (ValueError in steps_for_tests.py:")
    assert "steps_for_tests.py" in caplog.text
    assert "is no date" not in caplog.text.replace('raise ValueError("Doe^John is no date")', "")


def test_a_fault_of_the_engine_that_de_identifies_holds_the_one_instance_that_it_met(
    pool: Pool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two parts, in the middle of one: what stood before and after it is as without the fault, and accounted for."""
    given = batch(tmp_path, *[""] * 14)
    whole, _ = perform_in_parts(pool, STEPS["anonymize"](), given, tmp_path / "whole", {"secret": b"k" * 32})
    with caplog.at_level(logging.ERROR):
        made, notes = perform_in_parts(pool, Faulty(number=5), given, tmp_path / "out", {"secret": b"k" * 32})
    assert held(made) == {4: held(made)[4]}
    assert held(made)[4].startswith("a fault in the node (KeyError in steps_for_tests.py:")
    others = [item for item in whole.items if item.sources != given.items[4].sources]
    assert [i.path.read_bytes() for i in made.items] == [i.path.read_bytes() for i in others]
    assert [(i.sources, i.account) for i in made.items] == [(i.sources, i.account) for i in others]
    assert (made.disclosure, notes) == (Disclosure.DEIDENTIFIED, ["13 de-identified"])
    assert "in rewritten" in caplog.text
    assert "Doe" not in caplog.text.replace('raise KeyError("Doe^John")', "")


def test_a_member_that_cannot_be_worked_on_is_held_with_the_reason(pool: Pool, tmp_path: Path) -> None:
    made, _ = perform_in_parts(pool, Obey(), batch(tmp_path, "fail", ""), tmp_path / "out", {})
    assert held(made) == {0: "it asked to fail"}


@pytest.mark.parametrize("wanted", ["again", "full"])
def test_what_is_the_worlds_fault_is_nobodys(pool: Pool, tmp_path: Path, wanted: str) -> None:
    with pytest.raises(TryAgain):
        perform_in_parts(pool, Obey(), batch(tmp_path, "", wanted), tmp_path / "out", {})


def test_a_part_of_which_nothing_came_out_says_nothing_of_the_disclosure(pool: Pool, tmp_path: Path) -> None:
    made, _ = perform_in_parts(pool, Obey(hides=True), batch(tmp_path, "bug", "", "die"), tmp_path / "out", {})
    assert made.disclosure is Disclosure.DEIDENTIFIED
    assert len(made.items) == 1


def test_a_step_over_the_whole_unit_fails_as_a_whole(pool: Pool, tmp_path: Path) -> None:
    made, _ = perform_in_parts(pool, Pile(), batch(tmp_path, "", ""), tmp_path / "out", {"secret": b"k"})
    assert [i.kind for i in made.items] == [Kind.DICOM, Kind.DICOM, Kind.NIFTI]
    single = batch(tmp_path, "die")
    with pytest.raises(WorkerDied):
        perform_in_parts(pool, Obey(), single, tmp_path / "out", {})


def test_a_step_over_the_whole_unit_needs_all_members_unless_the_route_proceeds(tmp_path: Path) -> None:
    partial = Batch(items=(), held=(Held(sources=(ReceiptId("a" * 32),), reason="broken"),))
    with pytest.raises(CannotSucceed, match="1 of its instances were held"):
        needs_all(Pile(), partial, "hold")
    needs_all(Pile(), partial, "proceed")
    needs_all(Obey(), partial, "hold")
    needs_all(Pile(), Batch(items=()), "hold")


def test_what_a_chain_cannot_do_begins_with_the_name_of_the_step(pool: Pool, tmp_path: Path) -> None:
    supply = Supply({"secret": lambda: b"k"})
    with pytest.raises(CannotSucceed, match=r"^obey: it asked to fail$"):
        run_chain(pool, supply, (Obey(),), batch(tmp_path, "fail"), tmp_path, partial="hold")
    with pytest.raises(CannotSucceed, match=r"^pile: 1 of its instances were held before it"):
        run_chain(pool, supply, (Obey(), Pile()), batch(tmp_path, "hold", ""), tmp_path, partial="hold")


def test_a_chain_runs_without_its_forwards(pool: Pool, tmp_path: Path) -> None:
    chain = (Obey(), STEPS["forward"](to="nowhere"), Pile())  # type: ignore[call-arg]  # its own fields
    supply = Supply({"secret": lambda: b"k"})
    made, notes = run_chain(pool, supply, chain, batch(tmp_path, "", "hold", ""), tmp_path, partial="proceed")
    assert [i.kind for i in made.items] == [Kind.DICOM, Kind.DICOM, Kind.NIFTI]
    assert held(made) == {1: "obey: it asked to be held"}
    assert all(note.startswith("obey: process") for note in notes)


def test_steps_that_make_an_instance_of_an_instance_and_nothing_beside_it() -> None:
    """What a job refers to is taken through these: one that de-identifies must be among them."""
    found = {name for name, step in STEPS.items() if one_for_one(step)}  # type: ignore[arg-type]  # a class says it too
    assert found == {"anonymize", "decompress", "set", "transcode"}
