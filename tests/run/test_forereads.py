"""What is read in a quiet time is not read again by the job, and counts for nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from node.errors import CannotSucceed
from node.index import jobs
from node.model import Batch, Item, Kind, ReceiptId, Step
from node.pool import Pool
from node.run import forereads
from node.run.ahead import Ahead
from node.run.forereads import Forereads
from node.run.second_reading import Foreread, SecondReader, nothing_yet
from node.steps import STEPS
from tests.kit import Kit
from tests.run.steps_for_tests import Careless
from tests.run.test_second_reading import batch, patients
from tests.steps.anonymize.driver import SECRET

GIVEN = {"secret": SECRET, "crosswalk": None}


def receipts(items: Sequence[Item]) -> frozenset[ReceiptId]:
    return frozenset(item.sources[0] for item in items)


def made(pool: Pool, step: Step, given: Batch, out: Path) -> Batch:
    batch, _ = Ahead().perform(pool, step, given, out, GIVEN)
    return batch


def assert_leaks(pool: Pool, known: Forereads, given: Batch, leaving: Batch) -> None:
    """The second of two files is read by a job that has `known`, and says who the patient is."""
    below = leaving.items[0].path.parent
    reader = SecondReader(pool, [Careless()], lambda: given, below=below, before=lambda o: known.take(Careless(), o))
    with pytest.raises(CannotSucceed, match="stands in file 2 of 2"):
        reader.read(leaving)


def test_a_job_with_the_same_originals_reads_nothing_again(pool: Pool, tmp_path: Path) -> None:
    given, known = batch(tmp_path, patients("", "")), Forereads()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    known.read(pool, Careless(), given.items, leaving.items, tmp_path / "out")
    asked: list[Foreread | None] = []

    def before(originals: frozenset[ReceiptId]) -> Foreread | None:
        asked.append(known.take(Careless(), originals))
        return asked[-1]

    class NoWorkers(Pool):
        """Whoever reads a file needs a worker."""

        def call(self, *_: object, **__: object) -> NoReturn:
            raise AssertionError("read again")

    reader = SecondReader(NoWorkers(1), [Careless()], lambda: given, below=tmp_path / "out", before=before)
    said, notes = reader.read(leaving)
    assert said.counts == {"files": 2, "originals": 2}
    assert notes == ["second reader: 2 files read, nothing of the originals found"]
    assert len(asked) == 1
    assert asked[0] is not None
    assert known.take(Careless(), receipts(given.items)) is None, "given once"


def test_where_a_peer_has_a_character_set_what_was_read_without_it_counts_for_nothing(
    pool: Pool, tmp_path: Path
) -> None:
    given, asked = batch(tmp_path, patients("")), list[frozenset[ReceiptId]]()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    sent = {given.items[0].sources[0]: "ISO_IR 100"}
    reader = SecondReader(
        pool, [Careless()], lambda: given, below=tmp_path / "out", before=asked.append, charsets=sent
    )  # fmt: skip
    assert reader.read(leaving)[0].state == "clean"
    assert asked == []


@pytest.mark.parametrize("other", ["one more", "one less", "another step"])
def test_with_other_originals_or_another_step_it_counts_for_nothing(pool: Pool, tmp_path: Path, other: str) -> None:
    given, known = batch(tmp_path, patients("", "", "")), Forereads()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    known.read(pool, Careless(), given.items[:2], leaving.items[:2], tmp_path / "out")
    step = STEPS["anonymize"]() if other == "another step" else Careless()
    count = {"one more": 3, "one less": 1, "another step": 2}[other]
    assert known.take(step, receipts(given.items[:count])) is None


def test_a_file_that_was_written_to_since_is_read_again(pool: Pool, tmp_path: Path) -> None:
    given, known = batch(tmp_path, patients("", "")), Forereads()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    known.read(pool, Careless(), given.items, leaving.items, tmp_path / "out")
    leaking = made(pool, Careless(), batch(tmp_path / "b", patients("", "for Petrosyan")), tmp_path / "leaks")
    path = leaving.items[1].path
    path.write_bytes(leaking.items[1].path.read_bytes())
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))  # whatever the clock's steps are
    assert_leaks(pool, known, given, leaving)


def test_a_file_that_was_not_read_ahead_is_read(pool: Pool, tmp_path: Path) -> None:
    given, known = batch(tmp_path, patients("", "for Petrosyan")), Forereads()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    known.read(pool, Careless(), given.items, leaving.items[:1], tmp_path / "out")
    assert_leaks(pool, known, given, leaving)


def test_what_leaks_is_not_remembered_as_read(pool: Pool, tmp_path: Path) -> None:
    given, known = batch(tmp_path, patients("", "for Petrosyan")), Forereads()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    with pytest.raises(CannotSucceed):
        known.read(pool, Careless(), given.items, leaving.items, tmp_path / "out")
    assert known.take(Careless(), receipts(given.items)) is None


def test_a_reading_under_way_is_waited_for_and_one_that_takes_too_long_is_not(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, end = threading.Event(), threading.Event()

    class Slow(SecondReader):
        def foreread(self, made: Batch) -> Foreread:
            begun.set()
            assert end.wait(20)
            return super().foreread(made)

    monkeypatch.setattr(forereads, "SecondReader", Slow)
    given, known = batch(tmp_path, patients("")), Forereads(patience=0.01)
    leaving = made(pool, Careless(), given, tmp_path / "out")
    with ThreadPoolExecutor(2) as threads:
        reading = threads.submit(known.read, pool, Careless(), given.items, leaving.items, tmp_path / "out")
        assert begun.wait(20)
        assert known.take(Careless(), receipts(given.items)) is None
        known._patience = 20.0
        waiting = threads.submit(known.take, Careless(), receipts(given.items))
        end.set()
        reading.result()
        assert waiting.result() is not None


def test_what_nobody_takes_is_forgotten(pool: Pool, tmp_path: Path) -> None:
    given, known = batch(tmp_path, patients("")), Forereads()
    leaving = made(pool, Careless(), given, tmp_path / "out")
    known.read(pool, Careless(), given.items, leaving.items, tmp_path / "out")
    known.forget(0.0)
    assert known._found
    known.forget(float("inf"))
    assert known.take(Careless(), receipts(given.items)) is None


def test_a_job_sends_what_was_read_in_the_quiet_time(working: Kit) -> None:
    working.rules("destinations: {a: {folder: ./a, accepts: deidentified}}\n"
                  "routes: [{name: r, when: always, steps: [anonymize, {forward: a}]}]")  # fmt: skip
    working.index(*patients("", ""))
    (key,) = working.close()
    runner = working.runner()
    with working.database.reader.connect() as connection:
        items = [
            Item(path=working.spool.where(str(one.path)), kind=Kind.DICOM, sources=(one.receipt,))
            for one in jobs.sources(connection, key)
        ]
    runner.begin(working.config.routes[0].chain, items)
    assert len(runner.ahead.forereads._found) == 1
    assert [runner.step(key, number).verdict for number in (0, 1)] == ["done", "done"]
    assert runner.ahead.forereads._found == {}, "the job has it"
    assert working.jobs() == {key: "done"}
    assert working.deliveries().keys() == {f"{key}>a"}


@pytest.mark.parametrize("second_reader", [True, False])
def test_work_ahead_of_a_forward_ends_with_the_reading(pool: Pool, tmp_path: Path, second_reader: bool) -> None:
    step, given, ahead = STEPS["anonymize"](second_reader=second_reader), batch(tmp_path, patients("", "")), Ahead()
    ahead.work(pool, step, given.items, tmp_path / "ahead", GIVEN, lambda: False, to_send=True)
    out, _ = ahead.perform(pool, step, given, tmp_path / "out", GIVEN)
    found = ahead.forereads.take(step, receipts(given.items))
    assert (found is not None) == second_reader
    if found is not None:
        before = SecondReader(pool, [step], lambda: given, below=tmp_path / "out", before=nothing_yet)
        assert found == before.foreread(out), "the files have other names by now, and are the same"


def test_nothing_is_read_ahead_where_no_forward_follows(pool: Pool, tmp_path: Path) -> None:
    step, given, ahead = STEPS["anonymize"](), batch(tmp_path, patients("", "")), Ahead()
    ahead.work(pool, step, given.items, tmp_path / "ahead", GIVEN, lambda: False)
    assert ahead.forereads.take(step, receipts(given.items)) is None
    assert [item.kind for item in given.items] == [Kind.DICOM] * 2
