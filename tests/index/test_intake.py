"""Rows for what the spool keeps: each instance once, in its units, whoever else writes at the same time."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.index import jobs
from node.index.intake import Counted, Intake, unit_keys
from node.index.schema import member, obligation, produced, receipt, unit
from node.model import UID, Arrival, Identity, UnitKind
from tests import make
from tests.kit import Kit, Store, changed, opened


def one(number: int = 1, **how: str) -> make.FileDataset:
    return make.instance(number=number, **how)


def units(kit: Kit) -> dict[tuple[str, str], tuple[int, str, int]]:
    """(kind, called AE) -> (generation, state, count), for tests with one series."""
    return {(u["kind"], u["called_ae"]): (u["generation"], u["state"], u["count"]) for u in kit.rows(unit)}


def test_a_group_gets_its_rows_and_its_units(kit: Kit) -> None:
    arrivals = [kit.arrival(one(n)) for n in (1, 2, 3)]
    assert kit.record(*arrivals) == Counted(3, 0, 0, 0)
    assert units(kit) == {("series", "NODE"): (1, "open", 3), ("study", "NODE"): (1, "open", 3)}
    row = kit.rows(receipt, receipt.c.id == arrivals[0].receipt)[0]
    assert (row["calling_ae"], row["sender"], row["state"]) == ("CT1", "127.0.0.1", "current")
    assert kit.spool.where(row["path"]).is_file()


def test_a_group_that_is_indexed_again_changes_nothing(kit: Kit) -> None:
    """The sweep beside a live writer."""
    arrivals = [kit.arrival(one(n)) for n in (1, 2)]
    kit.record(*arrivals)
    before = kit.rows(member), kit.rows(unit)
    assert kit.record(*arrivals, arrivals[0]) == Counted(0, 0, 0, 0)
    assert (kit.rows(member), kit.rows(unit)) == before


def test_a_group_costs_the_same_however_much_is_indexed(sqlite_store: Store, tmp_path: Path) -> None:
    """SQLite plans without statistics: given the choice it reads every row that has a state."""
    asked: list[tuple[str, Any]] = []

    def remember(connection: Any, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if "FROM node_receipt" in statement:
            asked.append((statement, parameters))

    with opened(sqlite_store, tmp_path / "data") as kit:
        arrivals = [kit.arrival(one(n)) for n in range(1, 6)]
        sa.event.listen(kit.database.derived, "before_cursor_execute", remember)
        kit.record(*arrivals)
        sa.event.remove(kit.database.derived, "before_cursor_execute", remember)
        with kit.database.reader.connect() as connection:
            plans = [
                row[3]
                for statement, parameters in asked
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
    assert len(plans) >= 2
    assert all(plan.startswith("SEARCH") and "node_receipt_state" not in plan for plan in plans), plans


def test_what_has_no_row_is_missing(kit: Kit) -> None:
    known, unknown = kit.arrival(one(1)), kit.arrival(one(2))
    kit.record(known)
    intake = Intake(kit.database, lambda: kit.config.kinds)
    assert intake.missing([known.receipt, unknown.receipt]) == {unknown.receipt}


def test_the_same_bytes_again_are_a_duplicate(kit: Kit) -> None:
    first, again = kit.index(one()), kit.index(one())
    assert kit.receipts() == {first[0]: "current", again[0]: "duplicate"}
    assert kit.rows(receipt, receipt.c.id == again[0])[0]["against"] == first[0]
    assert units(kit)["series", "NODE"] == (1, "open", 1)


def test_duplicates_within_one_group_are_told_apart(kit: Kit) -> None:
    group = kit.arrival(one()), kit.arrival(one()), kit.arrival(changed(one(), KVP=80))
    assert kit.record(*group) == Counted(1, 1, 1, 0)


def test_other_bytes_under_one_uid_wait_to_be_compared(kit: Kit) -> None:
    _, other = kit.index(one())[0], kit.index(changed(one(), KVP=80))[0]
    assert kit.receipts()[other] == "unjudged"
    assert units(kit)["series", "NODE"][2] == 1


def test_the_same_instance_for_two_called_ae_titles_is_two(kit: Kit) -> None:
    kit.index(one(), called="NODE")
    kit.index(one(), called="RESEARCH")
    assert Counter(kit.receipts().values()) == {"current": 2}
    assert len(units(kit)) == 4


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
def test_one_uid_in_two_series_or_studies_is_held_and_both_are_named(kit: Kit, keyword: str) -> None:
    kit.index(one())
    other = changed(one(), **{keyword: make.uid("another")})
    held = kit.index(other)[0]
    assert kit.receipts()[held] == "held"
    reason = kit.rows(receipt, receipt.c.id == held)[0]["reason"]
    for uid in (one().SeriesInstanceUID, one().StudyInstanceUID, other[keyword].value):
        assert uid in reason


def test_the_same_bytes_as_what_is_held_are_its_duplicate(kit: Kit) -> None:
    """Else a sender that tries again each night would have a person asked the same each morning."""
    kit.index(one())
    other = changed(one(), SeriesInstanceUID=make.uid("another"))
    held, *again = kit.index(other), kit.index(other), kit.index(other)
    assert [kit.receipts()[r[0]] for r in again] == ["duplicate", "duplicate"]
    assert {kit.rows(receipt, receipt.c.id == r[0])[0]["against"] for r in again} == set(held)


def test_a_loop_that_goes_on_is_held_once(kit: Kit) -> None:
    arrivals = [kit.arrival(one()) for _ in range(3)]
    made = {"sop_instance": arrivals[0].identity.sop_instance, "content": arrivals[0].sha256, "renamed": True}
    kit.write(sa.insert(produced).values(**made))
    kit.record(arrivals[0])
    kit.record(*arrivals[1:])
    assert Counter(kit.receipts().values()) == {"held": 1, "duplicate": 2}


def test_the_same_bytes_as_what_is_not_compared_yet_are_its_duplicate(kit: Kit) -> None:
    other = changed(one(), KVP=80)
    kit.index(one())
    waits = kit.index(other)[0]
    group = kit.index(other, other)
    assert [kit.receipts()[r] for r in (waits, *group)] == ["unjudged", "duplicate", "duplicate"]


@pytest.mark.parametrize("state", ["dropped", "superseded"])
def test_what_was_decided_against_is_decided_anew_when_it_comes_again(kit: Kit, state: str) -> None:
    """A sender's new act: the policy, or a person, may say something else today."""
    other = changed(one(), KVP=80)
    kit.index(one())
    before = kit.index(other)[0]
    kit.write(sa.update(receipt).where(receipt.c.id == before).values(state=state))
    (again,) = kit.index(other)
    assert kit.receipts()[again] == "unjudged"


@pytest.mark.parametrize(("content", "renamed", "loops"), [("same", False, True), ("other", False, False),
                                                           ("other", True, True)])  # fmt: skip
def test_what_this_node_made_is_held_when_it_comes_back(kit: Kit, content: str, renamed: bool, loops: bool) -> None:
    arrival = kit.arrival(one())
    known = arrival.sha256 if content == "same" else "0" * 64
    kit.write(sa.insert(produced).values(sop_instance=arrival.identity.sop_instance, content=known, renamed=renamed))
    kit.record(arrival)
    row = kit.rows(receipt)[0]
    assert row["state"] == ("held" if loops else "current")
    assert ("came back from CT1" in row["reason"]) is loops


def test_an_arrival_can_come_held(kit: Kit) -> None:
    kit.record(kit.arrival(one(), held="it has no provenance"))
    assert kit.rows(receipt)[0]["reason"] == "it has no provenance"
    assert kit.rows(member) == []


def test_a_late_arrival_opens_the_next_generation(kit: Kit) -> None:
    kit.index(one(1), one(2))
    kit.close()
    assert units(kit)["series", "NODE"] == (1, "complete", 2)
    late = kit.index(one(3))[0]
    assert units(kit)["series", "NODE"] == (2, "open", 1)
    assert {m["generation"] for m in kit.rows(member, member.c.receipt == late)} == {2}


def test_instances_go_into_the_kinds_that_routes_work_on(kit: Kit) -> None:
    kit.rules("routes: [{name: each, unit: instance, when: always, steps: [drop]}]")
    kit.index(one(1), one(2))
    assert Counter(kind for kind, *_ in [(u["kind"],) for u in kit.rows(unit)]) == {
        "study": 1, "series": 1, "instance": 2,
    }  # fmt: skip


def test_units_of_an_instance() -> None:
    of = Identity(sop_class=UID("1"), sop_instance=UID("2"), study=UID("3"), series=UID("4"), transfer_syntax=UID("5"))
    assert unit_keys(of, [UnitKind.SERIES, UnitKind.STUDY]) == [
        (UnitKind.STUDY, "3", "3", ""), (UnitKind.SERIES, "4", "3", "4"),
    ]  # fmt: skip


# ---- several writers -----------------------------------------------------------------------------------


def together(*writers: Callable[[], None]) -> list[BaseException]:
    """Run them at the same moment. Returns what they raised."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(len(writers))

    def run(writer: Callable[[], None]) -> None:
        barrier.wait()
        try:
            writer()
        except Exception as error:  # handed to the test
            raised.append(error)

    threads = [threading.Thread(target=run, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def recording(kit: Kit, groups: Sequence[Sequence[Arrival]]) -> Callable[[], None]:
    def run() -> None:
        for group in groups:
            Intake(kit.database, lambda: kit.config.kinds).record(group)

    return run


def test_one_instance_indexed_twice_at_once_has_one_current_row(kit: Kit) -> None:
    for round_ in range(5):
        both = [[[kit.arrival(one(n, series=f"s{round_}")) for n in range(1, 9)]] for _ in range(2)]
        both[1][0].reverse()  # in opposite order: without one order for all this is a deadlock on PostgreSQL
        assert together(*(recording(kit, groups) for groups in both)) == []
    assert Counter(kit.receipts().values()) == {"current": 40, "duplicate": 40}
    assert all(u["count"] == 8 for u in kit.rows(unit, unit.c.kind == "series"))


def test_units_are_locked_in_one_order_whatever_came_first(kit: Kit) -> None:
    """Two writers that lock them in opposite order would wait for each other for ever."""
    touched: list[str] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("INSERT INTO node_unit"):
            touched.extend(v for v in values_of(parameters) if v in uids)

    first = [kit.arrival(one(n, series=f"s{n}")) for n in (5, 4, 3, 2, 1)]
    uids = {str(a.identity.series) for a in first}
    sa.event.listen(kit.database.derived, "before_cursor_execute", note)
    try:
        kit.record(*first)
        kit.record(*(kit.arrival(one(10 + n, series=f"s{n}")) for n in (5, 3, 4, 1, 2)))
    finally:
        sa.event.remove(kit.database.derived, "before_cursor_execute", note)
    order = list(dict.fromkeys(touched[: len(touched) // 2]))
    assert order == sorted(uids)
    assert list(dict.fromkeys(touched[len(touched) // 2 :])) == sorted(uids)


def values_of(parameters: object) -> list[object]:
    return list(parameters.values()) if isinstance(parameters, dict) else list(parameters)  # type: ignore[call-overload]  # a row


def test_writers_of_the_same_units_wait_for_each_other_and_lose_nothing(kit: Kit) -> None:
    shuffle = random.Random(7).sample
    groups = []
    for writer in range(3):
        arrivals = [kit.arrival(one(100 * writer + n, series=f"s{n % 6}")) for n in range(18)]
        mixed = shuffle(arrivals, len(arrivals))
        groups.append([mixed[:9], mixed[9:]])
    assert together(*(recording(kit, g) for g in groups)) == []
    assert Counter(kit.receipts().values()) == {"current": 54}
    assert {u["count"] for u in kit.rows(unit, unit.c.kind == "series")} == {9}
    assert [u["count"] for u in kit.rows(unit, unit.c.kind == "study")] == [54]


def test_what_a_held_job_misses_is_taken_again_when_it_is_sent_again(kit: Kit) -> None:
    """Retention removed the files; a late arrival's rerun needs them, and the sender sends them once more."""
    ds = make.ct_series(3)
    kit.rules("destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]")
    first = kit.index(*ds[:2])
    kit.close()
    kit.write(sa.update(obligation).values(state="delivered"))
    kit.write(sa.update(receipt).values(path=None, header=None))
    kit.index(ds[2])
    (rerun,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, rerun, "2 of 3 instances are no longer in the spool", 1.0)
    again = kit.index(*ds[:2])
    assert [kit.receipts()[r] for r in (*first, *again)] == ["superseded", "superseded", "current", "current"]
    (third,) = kit.close()
    assert {row["receipt"] for row in kit.rows(obligation) if row["job"] == third} >= set(again)
    assert kit.jobs()[rerun] == "done"


def test_what_is_missed_is_the_same_bytes_and_its_file_is_gone(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    ds = make.ct_series(3)
    kit.rules("destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]")
    gone, here, other = kit.index(*ds)
    (held,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, held, "a person decides", 1.0)
    kit.write(sa.update(receipt).where(receipt.c.id.in_((gone, other))).values(path=None, header=None))
    again = kit.index(ds[0], ds[1], changed(ds[2], KVP=80))
    assert [kit.receipts()[r] for r in again] == ["current", "duplicate", "unjudged"]
    assert [kit.receipts()[r] for r in (gone, here, other)] == ["superseded", "current", "current"]
    assert kit.owed(held) == {gone: "replaced", here: "held", other: "held"}
    assert "is held" not in caplog.text


def test_what_was_delivered_and_left_the_spool_is_a_duplicate_when_it_comes_again(kit: Kit) -> None:
    ds = make.ct_series(1)
    kit.rules("destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]")
    kit.index(*ds)
    kit.close()
    kit.write(sa.update(obligation).values(state="delivered"))
    kit.write(sa.update(receipt).values(path=None, header=None))
    (again,) = kit.index(*ds)
    assert kit.receipts()[again] == "duplicate"
