"""What was made ahead is taken over by the job, instance by instance; what was not, it makes itself."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from node.model import Batch, Held, Item, Kind, ReceiptId, Step
from node.pool import Pool
from node.run import ahead
from node.run.ahead import Ahead, may_go_ahead
from node.run.contents import of_instances
from node.spool import Files
from node.steps import STEPS
from node.steps.anonymize.pixel_options import PixelOptions
from tests import make
from tests.run.steps_for_tests import Obey, Pile
from tests.steps.anonymize.driver import SECRET

GIVEN = {"secret": SECRET}


def received(folder: Path, *wishes: str) -> list[Item]:
    """One instance for each wish; see steps_for_tests."""
    items = []
    for n, wanted in enumerate(wishes):
        ds = make.instance(number=n + 1)
        ds.ImageComments = wanted
        path = make.write(ds, folder / "in" / f"{n:03d}.dcm")
        items.append(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(f"{n:032x}"),)))
    return items


def names(items: Sequence[Item]) -> list[str]:
    return [item.path.name for item in items]


def begin(made: Ahead, pool: Pool, step: Step, items: Sequence[Item], folder: Path) -> None:
    made.work(pool, step, items, folder / "ahead", GIVEN, lambda: False)


def left(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "ahead").rglob("*"))


@pytest.mark.parametrize("early", [0, 1, 20, 30])
def test_a_job_takes_over_what_is_ready_and_makes_the_rest(pool: Pool, tmp_path: Path, early: int) -> None:
    step, items, made = STEPS["anonymize"](), received(tmp_path, *[""] * 30), Ahead()
    alone, _ = Ahead().perform(pool, step, Batch(items=tuple(items)), tmp_path / "alone", GIVEN)
    begin(made, pool, step, items[30 - early :], tmp_path)
    batch, notes = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert [item.path for item in batch.items] == [tmp_path / "out" / item.path.name for item in items]
    assert [i.path.read_bytes() for i in batch.items] == [i.path.read_bytes() for i in alone.items]
    assert [i.sources for i in batch.items] == [i.sources for i in items]
    assert (batch.disclosure, batch.held, batch.dropped) == (alone.disclosure, (), ())
    assert (("{} made in the quiet time", (early,)) in notes) == bool(early)
    assert left(tmp_path) == 0


class NotedDisk(Files):
    def __init__(self) -> None:
        super().__init__()
        self.synced: list[str] = []

    def sync_path(self, path: Path) -> None:
        super().sync_path(path)
        self.synced.append(path.name)


@pytest.mark.parametrize("to_send", [False, True])
def test_what_will_be_sent_is_synced_and_hashed_already(pool: Pool, tmp_path: Path, to_send: bool) -> None:
    disk, step, items = NotedDisk(), STEPS["anonymize"](), received(tmp_path, *[""] * 14)
    made = Ahead(disk)
    made.work(pool, step, items, tmp_path / "ahead", GIVEN, lambda: False, to_send=to_send)
    batch, _ = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    paths = [item.path for item in batch.items]
    assert sorted(disk.synced) == (sorted(path.name for path in paths) if to_send else [])
    # Also behind their new names; and what is known is what a reading finds.
    assert made.known.of(paths) == (of_instances(paths, whole=True) if to_send else None)


def test_a_disk_that_fails_ahead_fails_nothing(pool: Pool, tmp_path: Path) -> None:
    class Broken(Files):
        def sync_path(self, path: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

    step, items, made = STEPS["anonymize"](), received(tmp_path, *[""] * 2), Ahead(Broken())
    made.work(pool, step, items, tmp_path / "ahead", GIVEN, lambda: False, to_send=True)
    batch, _ = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert len(batch.items) == 2
    assert made.known.of([item.path for item in batch.items]) is None


def test_what_was_held_before_stays_so(pool: Pool, tmp_path: Path) -> None:
    step, items, made = STEPS["anonymize"](), received(tmp_path, *[""] * 2), Ahead()
    before = Held(sources=(ReceiptId("f" * 32),), reason="before")
    begin(made, pool, step, items, tmp_path)
    batch, _ = made.perform(pool, step, Batch(items=tuple(items), held=(before,)), tmp_path / "out", GIVEN)
    assert batch.held == (before,)


def test_other_options_are_another_step(pool: Pool, tmp_path: Path) -> None:
    items, made = received(tmp_path, *[""] * 2), Ahead()
    begin(made, pool, STEPS["anonymize"](), items, tmp_path)
    other = STEPS["anonymize"](options=("retain_uids",))
    batch, _ = made.perform(pool, other, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert len(batch.items) == 2
    assert left(tmp_path) == 2, "nobody took what the first one made"


@pytest.mark.parametrize("wish", ["fail", "hold", "die"])
def test_what_fails_ahead_is_left_to_the_job_which_says_why(pool: Pool, tmp_path: Path, wish: str) -> None:
    items, made, step = received(tmp_path, "", wish), Ahead(), Obey(counts=True)
    begin(made, pool, step, items, tmp_path)
    batch, _ = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert names(batch.items) == ["000.dcm"]
    assert [held.sources for held in batch.held] == [items[1].sources]


@pytest.mark.parametrize("wish", ["fail", "die", "bug"])
def test_the_one_that_was_not_ready_is_held_alone(pool: Pool, tmp_path: Path, wish: str) -> None:
    items, made, step = received(tmp_path, *[""] * 12, wish), Ahead(), Obey(counts=True)
    begin(made, pool, step, items, tmp_path)
    batch, _ = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert names(batch.items) == names(items[:12])
    assert [held.sources for held in batch.held] == [items[12].sources]


def test_what_a_step_says_in_words_is_said_in_the_job(pool: Pool, tmp_path: Path) -> None:
    items, made = received(tmp_path, "", ""), Ahead()
    begin(made, pool, Obey(), items, tmp_path)
    assert left(tmp_path) == 0
    _, notes = made.perform(pool, Obey(), Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert [text.split()[0] for text, _ in notes] == ["process"]


def test_an_instance_that_a_step_hands_back_stays_where_it_is(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, made, step = received(tmp_path, "same", ""), Ahead(), Obey(counts=True)
    begin(made, pool, step, items, tmp_path)
    batch, _ = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert [item.path for item in batch.items] == [items[0].path, tmp_path / "out" / "001.dcm"]
    monkeypatch.setattr(ahead, "_KEPT", -1.0)
    made.forget()
    assert all(item.path.is_file() for item in items)


def test_nothing_is_made_for_a_job_that_has_begun(pool: Pool, tmp_path: Path) -> None:
    step, items, made = STEPS["anonymize"](), received(tmp_path, *[""] * 2), Ahead()
    made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    begin(made, pool, step, items, tmp_path)
    assert left(tmp_path) == 0


def test_a_file_that_is_gone_is_made_again(pool: Pool, tmp_path: Path) -> None:
    step, items, made = STEPS["anonymize"](), received(tmp_path, *[""] * 2), Ahead()
    begin(made, pool, step, items, tmp_path)
    for path in (tmp_path / "ahead").rglob("*.dcm"):
        path.unlink()
    batch, _ = made.perform(pool, step, Batch(items=tuple(items)), tmp_path / "out", GIVEN)
    assert names(batch.items) == names(items)
    assert all(item.path.is_file() for item in batch.items)


def test_what_nobody_takes_is_removed(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, items, made = STEPS["anonymize"](), received(tmp_path, *[""] * 3), Ahead()
    begin(made, pool, step, items, tmp_path)
    assert left(tmp_path) == 3
    monkeypatch.setattr(ahead, "_KEPT", -1.0)
    begin(made, pool, step, [], tmp_path)
    assert left(tmp_path) == 0


def test_after_a_while_another_folder_takes_what_is_made_and_the_empty_one_goes(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, items, made, clock = STEPS["anonymize"](), received(tmp_path, *[""] * 2), Ahead(), [0.0]
    monkeypatch.setattr(ahead.time, "monotonic", lambda: clock[0])
    folders = []
    for moment in (0.0, 1.0, 601.0, 1802.0):
        clock[0] = moment
        begin(made, pool, step, items, tmp_path)
        folders.append({path.name for path in (tmp_path / "ahead").iterdir()})
        made.perform(pool, step, Batch(items=tuple(items)), tmp_path / f"out{moment}", GIVEN)
        made._over.clear()
    assert folders[0] == folders[1]
    assert len(folders[2] - folders[1]) == 1
    assert len(folders[3]) == 1


def test_only_what_depends_on_nothing_else_goes_ahead(tmp_path: Path) -> None:
    assert may_go_ahead(STEPS["anonymize"]())
    assert not may_go_ahead(STEPS["anonymize"](numbers="SITE-")), "a number is given once, and to whose job comes"
    assert may_go_ahead(STEPS["decompress"]())
    assert not may_go_ahead(STEPS["anonymize"](recipe=tmp_path / "recipe")), "it may be edited meanwhile"
    rules = PixelOptions(rules=(tmp_path / "us.script",))
    assert not may_go_ahead(STEPS["anonymize"](options=("clean_pixel_data",), pixels=rules)), "so may they"
    assert may_go_ahead(STEPS["anonymize"](options=("clean_pixel_data",)))
    assert not may_go_ahead(STEPS["nifti"]()), "it needs the whole unit"
    assert not may_go_ahead(STEPS["png"]()), "a picture stands beside the instance"
    assert not may_go_ahead(STEPS["png"](show="montage")), "it needs the whole unit, by its options"  # type: ignore[call-arg]  # its own field
    assert not may_go_ahead(STEPS["masks"]()), "it needs what only its job has"
    assert not may_go_ahead(STEPS["forward"](to="archive")), "nothing leaves"
    assert not may_go_ahead(Pile())
