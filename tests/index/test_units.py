"""Open units are found when they may be complete, and closed once, with their jobs or not at all."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from node.index import units
from node.index.schema import completion, job, obligation, unit
from node.index.units import NewJob, Open
from node.model import Origin, Plan, ReceiptId, Unit, UnitKind
from tests import make
from tests.kit import Kit

SERIES = {UnitKind.SERIES: (60.0, 3600.0)}


def opened(kit: Kit, waits: units.Waits = SERIES) -> list[Open]:
    with kit.database.reader.connect() as connection:
        return units.open_units(connection, kit.database.now(connection), waits)


def new_job(receipts: list[ReceiptId], *, route: str = "r", state: str = "in_job", **how: bool) -> NewJob:
    plan = Plan(route=route, unit=UnitKind.SERIES, steps=(("drop", {}), ("forward", {"to": "a"})), fingerprint="f")
    what = {"replaces": False, "delta": False, "starts": state == "in_job", **how}
    return NewJob(plan=plan, owed=[(r, "a", state, "why" if state == "held" else "") for r in receipts], **what)


def close(
    kit: Kit, closing: Unit, *jobs: NewJob, enqueued: list[tuple[str, int]] | None = None, fail: bool = False
) -> bool:
    def enqueue(_: sa.Connection, key: str, steps: int) -> None:
        (enqueued if enqueued is not None else []).append((key, steps))
        if fail:
            raise RuntimeError

    with kit.database.durable.begin() as connection:
        return units.close(
            connection, closing, evidence="quiet: 60 s", verdicts=[("r", True, ["always"])], jobs=jobs,
            now=kit.database.now(connection), enqueue=enqueue,
        )  # fmt: skip


@pytest.mark.parametrize(("replaces", "state"), [(True, "replaced"), (False, "held")])
def test_what_an_earlier_job_is_held_with_is_over_only_when_the_new_one_works_on_all_of_it(
    kit: Kit, replaces: bool, state: str
) -> None:
    receipts = kit.index(make.instance())
    kit.age(61)
    (found,) = opened(kit)
    assert close(kit, found.unit, new_job(receipts, state="held"))
    later = kit.index(make.instance(number=2))
    kit.age(61)
    (found,) = opened(kit)
    assert close(kit, found.unit, new_job(later, replaces=replaces))
    assert kit.owed(f"{found.unit.id}.1.r") == {receipts[0]: state}
    assert kit.owed(f"{found.unit.id}.2.r") == {later[0]: "in_job"}


# ---- finding -----------------------------------------------------------------------------------------------


def test_a_unit_is_found_when_it_was_quiet_for_the_shortest_time(kit: Kit) -> None:
    kit.index(make.instance())
    kit.age(50)
    assert opened(kit) == []
    kit.age(11)
    assert [o.unit.kind for o in opened(kit)] == [UnitKind.SERIES]


def test_kinds_have_their_own_times(kit: Kit) -> None:
    kit.index(make.instance())
    kit.age(61)
    waits = {UnitKind.SERIES: (600.0, 3600.0), UnitKind.STUDY: (60.0, 3600.0)}
    assert [o.unit.kind for o in opened(kit, waits)] == [UnitKind.STUDY]


def test_a_unit_that_never_gets_quiet_is_found_at_at_most(kit: Kit) -> None:
    kit.index(make.instance())
    kit.age(3601)
    kit.index(make.instance(number=2))
    (found,) = opened(kit)
    assert (found.unit.last - found.unit.first).total_seconds() > 3600


def test_it_says_who_sent_and_what_is_not_compared_yet(kit: Kit) -> None:
    kit.index(make.instance(number=1), calling="CT1")
    kit.index(make.instance(number=2), calling="CT2", sender="10.0.0.2")
    other = make.instance(number=1)
    other.KVP = 80
    kit.index(other)
    kit.age(61)
    (found,) = opened(kit)
    assert {o.calling_ae for o in found.unit.senders} == {"CT1", "CT2"}
    assert Origin(calling_ae="CT2", called_ae="NODE", sender="10.0.0.2") in found.unit.senders
    assert (found.unjudged, found.unit.count) == (1, 2)


def test_what_was_touched_in_the_future_was_touched_now(kit: Kit) -> None:
    kit.index(make.instance())
    kit.age(-3600)
    with kit.database.derived.begin() as connection:
        now = kit.database.now(connection)
        assert units.any_touched_after(connection, now + 3000)
        every = connection.scalar(sa.select(sa.func.count()).select_from(unit).where(unit.c.state == "open"))
        assert units.set_back(connection, now) == every
        assert every
        assert not units.any_touched_after(connection, now)
    kit.age(61)
    assert [o.unit.kind for o in opened(kit)] == [UnitKind.SERIES]


def test_what_was_touched_in_the_past_or_is_complete_keeps_its_time_when_the_clock_goes_back(kit: Kit) -> None:
    kit.index(make.instance())
    kit.age(30)
    before = [(u["first_at"], u["last_at"]) for u in kit.rows(unit)]
    with kit.database.derived.begin() as connection:
        assert units.set_back(connection, kit.database.now(connection)) == 0
    assert [(u["first_at"], u["last_at"]) for u in kit.rows(unit)] == before
    kit.write(sa.update(unit).values(state="complete"))
    kit.age(-3600)
    with kit.database.derived.begin() as connection:
        assert units.set_back(connection, kit.database.now(connection)) == 0


def test_it_says_nothing_of_who_sent_another_unit(kit: Kit) -> None:
    kit.index(make.instance(series="a"), calling="CT1")
    kit.index(make.instance(series="b"), calling="CT2")
    kit.age(61)
    assert [[o.calling_ae for o in one.unit.senders] for one in opened(kit)] == [["CT1"], ["CT2"]]


@pytest.mark.parametrize(
    ("state", "tries", "begun"), [("held", 0, False), ("held", 1, True), ("done", 0, True), ("queued", 1, True)]
)
def test_an_earlier_job_was_begun_unless_it_was_held_from_the_first(
    kit: Kit, state: str, tries: int, begun: bool
) -> None:
    receipts = kit.index(make.instance())
    kit.age(61)
    (found,) = opened(kit)
    assert close(kit, found.unit, new_job(receipts))
    kit.write(sa.update(job).values(state=state, tries=tries))
    with kit.database.reader.connect() as connection:
        assert units.routes_run(connection, found.unit.id, 2) == {"r": begun}
        assert units.routes_run(connection, found.unit.id, 1) == {}


def test_the_next_ripe_one_tells_when_to_look_again(kit: Kit) -> None:
    with kit.database.reader.connect() as connection:
        assert units.next_ripe(connection, kit.database.now(connection), SERIES) is None
    kit.index(make.instance())
    kit.age(20)
    with kit.database.reader.connect() as connection:
        now = kit.database.now(connection)
        at = units.next_ripe(connection, now, SERIES)
    assert at is not None
    assert 38 < at - now <= 40


# ---- closing -----------------------------------------------------------------------------------------------


def test_closing_makes_the_job_and_what_it_owes(kit: Kit) -> None:
    receipts = kit.index(*make.ct_series(2))
    kit.age(61)
    closing = opened(kit)[0].unit
    enqueued: list[tuple[str, int]] = []
    assert close(kit, closing, new_job(receipts), enqueued=enqueued)
    key = units.job_id(closing.id, 1, "r")
    assert enqueued == [(key, 2)]
    assert kit.jobs() == {key: "queued"}
    assert kit.owed(key) == dict.fromkeys(receipts, "in_job")
    (made,) = kit.rows(completion)
    assert (made["count"], made["evidence"], made["verdicts"]) == (2, "quiet: 60 s", '[["r", true, ["always"]]]')
    assert units.plan_of(kit.rows(job)[0]["plan"]) == new_job([]).plan


def test_a_unit_that_changed_since_it_was_judged_stays_open(kit: Kit) -> None:
    kit.index(make.instance(number=1))
    kit.age(61)
    judged = opened(kit)[0].unit
    late = kit.index(make.instance(number=2))
    assert not close(kit, judged, new_job(late))
    assert kit.jobs() == {}
    assert kit.rows(completion) == []


def test_a_closed_unit_is_not_closed_again(kit: Kit) -> None:
    kit.index(make.instance())
    kit.age(61)
    judged = opened(kit)[0].unit
    assert close(kit, judged)
    assert not close(kit, judged)
    assert not close(kit, replace(judged, generation=2))


def test_a_failed_transaction_leaves_neither_a_closed_unit_nor_a_job(kit: Kit) -> None:
    receipts = kit.index(make.instance())
    kit.age(61)
    judged = opened(kit)[0].unit
    with pytest.raises(RuntimeError):
        close(kit, judged, new_job(receipts), fail=True)
    assert [u["state"] for u in kit.rows(unit, unit.c.id == judged.id)] == ["open"]
    assert (kit.jobs(), kit.rows(completion), kit.rows(obligation)) == ({}, [], [])


def test_two_processes_that_close_at_the_same_moment_make_one_job(kit: Kit) -> None:
    enqueued: list[tuple[str, int]] = []
    closed: list[bool] = []
    for number in range(6):
        receipts = kit.index(make.instance(series=f"s{number}"))
        kit.age(61)
        judged = next(o.unit for o in opened(kit) if o.unit.uid == make.uid("study", f"s{number}"))
        barrier = threading.Barrier(2)

        def run(judged: Unit, receipts: list[ReceiptId], barrier: threading.Barrier) -> None:
            barrier.wait()
            closed.append(close(kit, judged, new_job(receipts), enqueued=enqueued))

        threads = [threading.Thread(target=run, args=(judged, receipts, barrier)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(closed) == [False] * 6 + [True] * 6
    assert len(kit.jobs()) == len(enqueued) == 6


@pytest.mark.parametrize(("state", "became"), [("held", "held"), ("ignored", "done")])
def test_a_job_with_nothing_to_run_is_not_put_into_the_engine(kit: Kit, state: str, became: str) -> None:
    receipts = kit.index(make.instance())
    kit.age(61)
    enqueued: list[tuple[str, int]] = []
    assert close(kit, opened(kit)[0].unit, new_job(receipts, state=state), enqueued=enqueued)
    assert enqueued == []
    (row,) = kit.rows(job)
    assert (row["state"], row["tries"]) == (became, 0)
    assert row["finished"] is not None


def test_members_are_current_ones_up_to_a_generation(kit: Kit) -> None:
    first = kit.index(*make.ct_series(2))
    kit.age(61)
    judged = opened(kit)[0].unit
    close(kit, judged, new_job(first))
    late = kit.index(make.instance(number=9))
    with kit.database.reader.connect() as connection:
        assert {m.receipt for m in units.members(connection, judged.id, 1)} == set(first)
        both = units.members(connection, judged.id, 2)
        assert units.routes_run(connection, judged.id, 2) == {"r": True}
        assert units.routes_run(connection, judged.id, 1) == {}
    assert {m.receipt: m.generation for m in both} == {**dict.fromkeys(first, 1), late[0]: 2}
    assert both[0].header["00080060"] == ["CS", ["CT"]]
