"""A job's states, and that everything it owes leaves its hands."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.index import jobs
from node.index.jobs import OUTPUT
from node.index.schema import history, job, obligation
from node.model import ReceiptId, UnitKind
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}, b: {folder: ./b}}
routes: [{name: all, when: always, steps: [{forward: a}, {forward: b}]}]
"""
NOWHERE = "routes: [{name: all, when: always, steps: [{set: {assign: {InstitutionName: x}}}]}]"


def started(kit: Kit, rules: str = RULES, count: int = 3) -> tuple[str, list[ReceiptId]]:
    kit.rules(rules)
    receipts = kit.index(*make.ct_series(count))
    (key,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.start(connection, key)
    return key, receipts


def test_a_job_is_read_with_its_unit_and_plan(kit: Kit) -> None:
    key, _ = started(kit)
    with kit.database.reader.connect() as connection:
        found = jobs.read(connection, key)
        assert jobs.read(connection, "no such job") is None
    assert found is not None
    assert (found.kind, found.uid, found.generation) == (UnitKind.SERIES, make.uid("study", "series"), 1)
    assert [name for name, _ in found.plan.steps] == ["forward", "forward"]
    assert (found.state, found.tries, found.owner) == ("running", 1, f"{found.unit}.all")


def test_its_sources_are_what_it_owes_something_for(kit: Kit) -> None:
    key, receipts = started(kit)
    with kit.database.durable.begin() as connection:
        jobs.drop_receipts(connection, key, receipts[:1], "by rule")
    with kit.database.reader.connect() as connection:
        found = jobs.sources(connection, key)
        known = jobs.identities(connection, key)
    assert [s.receipt for s in found] == sorted(receipts[1:])
    assert all(s.path and kit.spool.where(s.path).is_file() for s in found)
    assert set(known) == set(receipts)
    assert known[receipts[0]][0] == make.ct_series(1)[0].SOPInstanceUID


def test_held_members_are_held_for_every_target(kit: Kit) -> None:
    key, receipts = started(kit)
    with kit.database.durable.begin() as connection:
        jobs.hand_over(connection, key, "a", receipts)
        jobs.hold_receipts(connection, key, receipts[:1], "anonymize: no patient")
    assert kit.owed(key, "a") == dict.fromkeys(receipts, "waiting"), "what has left the job is not its to hold"
    assert kit.owed(key, "b") == {receipts[0]: "held", receipts[1]: "in_job", receipts[2]: "in_job"}
    assert kit.reasons(key) == {"anonymize: no patient"}


def test_what_the_route_sends_nothing_of_is_dropped(kit: Kit) -> None:
    key, receipts = started(kit)
    with kit.database.durable.begin() as connection:
        jobs.send_nothing(connection, key, "a", receipts[:2])
        jobs.hand_over(connection, key, "a", receipts)
    assert sorted(kit.owed(key, "a").values()) == ["dropped", "dropped", "waiting"]
    with kit.database.reader.connect() as connection:
        assert jobs.given_up(connection, key, "a") == set(), "nobody gave it up"


def test_a_route_that_sends_nowhere_produced_its_output(kit: Kit) -> None:
    key, receipts = started(kit, NOWHERE)
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, key, receipts[:1], "broken")
        jobs.finish(connection, key, 5.0)
    assert kit.owed(key, OUTPUT) == {receipts[0]: "held", receipts[1]: "produced", receipts[2]: "produced"}
    assert kit.rows(job)[0]["finished"] == 5.0
    assert kit.balance() == {"held": 1, "produced": 2}


def test_what_no_step_spoke_of_is_held_when_the_job_ends(kit: Kit) -> None:
    key, receipts = started(kit)
    with kit.database.durable.begin() as connection:
        jobs.hand_over(connection, key, "a", receipts)
        jobs.finish(connection, key, 5.0)
    assert kit.jobs() == {key: "done"}
    assert kit.owed(key, "b") == dict.fromkeys(receipts, "held")
    assert "a fault in the node" in kit.reasons(key).pop()


def test_a_held_job_holds_what_it_still_owes(kit: Kit) -> None:
    key, receipts = started(kit)
    with kit.database.durable.begin() as connection:
        jobs.drop_receipts(connection, key, receipts[:1], "by rule")
        jobs.hold(connection, key, "no pixels", 5.0)
    assert kit.jobs() == {key: "held"}
    assert kit.owed(key, "a") == {receipts[0]: "dropped", receipts[1]: "held", receipts[2]: "held"}


@pytest.mark.parametrize("ended", ["done", "dropped"])
def test_a_job_that_ended_is_neither_held_nor_finished_again(kit: Kit, ended: str) -> None:
    key, _ = started(kit)
    kit.write(job.update().values(state=ended, finished=1.0))
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, key, "too late", 5.0)
        jobs.finish(connection, key, 5.0)
        jobs.start(connection, key)
    (row,) = kit.rows(job)
    assert (row["state"], row["finished"], row["reason"]) == (ended, 1.0, "")


def test_a_held_job_is_queued_again_with_what_it_held(kit: Kit) -> None:
    key, receipts = started(kit)
    with kit.database.durable.begin() as connection:
        jobs.drop_receipts(connection, key, receipts[:1], "by rule")
        jobs.hold(connection, key, "no pixels", 5.0)
        connection.execute(sa.update(obligation).values(in_outbox=True))
        assert jobs.requeue(connection, key) == 2
    taken_back = kit.rows(obligation, obligation.c.state == "in_job")
    assert not any(row["in_outbox"] for row in taken_back), "it is the job's own again"
    (row,) = kit.rows(job)
    assert (row["state"], row["reason"], row["finished"], row["tries"]) == ("queued", "", None, 2)
    assert kit.owed(key, "a") == {receipts[0]: "dropped", receipts[1]: "in_job", receipts[2]: "in_job"}
    assert kit.balance() == {"in_job": 2, "dropped": 1}


def test_a_later_generation_waits_for_the_earlier_one(kit: Kit) -> None:
    first, _ = started(kit)
    kit.index(make.instance(number=9))
    (second,) = kit.close()
    with kit.database.durable.begin() as connection:
        later = jobs.read(connection, second)
        assert later is not None
        assert jobs.earlier_running(connection, later) == first
        connection.execute(sa.update(job).where(job.c.id == first).values(state="queued"))
        assert jobs.earlier_running(connection, later) == first, "it may begin at any moment"
        jobs.hold(connection, first, "no pixels", 5.0)
        assert jobs.earlier_running(connection, later) is None


def test_many_receipts_are_moved_in_groups(kit: Kit) -> None:
    key, receipts = started(kit, count=2)
    many = [*(ReceiptId(f"{n:032x}") for n in range(1200)), *receipts]
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, key, many, "broken")
    assert set(kit.owed(key, "a").values()) == {"held"}


def test_history_is_kept_in_order(kit: Kit) -> None:
    with kit.database.durable.begin() as connection:
        jobs.remember(connection, "j", "step", "1. anonymize: 3 dicom", 7.0, 0.5)
        jobs.remember(connection, "j", "note", "a note", 8.0)
    assert [(h["what"], h["text"], h["at"], h["seconds"]) for h in kit.rows(history)] == [
        ("step", "1. anonymize: 3 dicom", 7.0, 0.5), ("note", "a note", 8.0, None),
    ]  # fmt: skip
