"""A later generation that works on everything takes over what earlier ones still owe."""

from __future__ import annotations

import sqlalchemy as sa

from node.index import jobs
from node.index.generations import earlier_deliveries, give_way, replace_waiting
from node.index.schema import delivery, job, obligation, parcel
from node.model import ReceiptId
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}, b: {folder: ./b}}
routes: [{name: all, when: always, late: LATE, steps: [{forward: a}, {forward: b}]}]
"""


def two_generations(kit: Kit, late: str = "rerun") -> tuple[str, str, list[ReceiptId]]:
    """(job of generation 1, job of generation 2, receipts of generation 1)"""
    kit.rules(RULES.replace("LATE", late))
    receipts = kit.index(*make.ct_series(2))
    (first,) = kit.close()
    kit.index(make.instance(number=9))
    (second,) = kit.close()
    return first, second, receipts


def put(kit: Kit, job_id: str, receipts: list[ReceiptId], destination: str = "a") -> str:
    """Something for a destination, with one file for each receipt."""
    return kit.put(job_id, destination, *(kit.goods(f"{receipt}.dcm", receipt) for receipt in receipts))


def test_what_is_held_after_the_later_job_was_made_is_replaced_at_once(kit: Kit) -> None:
    first, second, _ = two_generations(kit)
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, first, "a codec failed", 1.0)
    assert kit.jobs() == {first: "done", second: "queued"}
    assert set(kit.owed(first).values()) == {"replaced"}
    assert kit.reasons(first) == {"generation 2 works on it again"}
    assert kit.balance() == {"in_job": 3}
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, second, "a codec failed", 1.0)
    assert kit.jobs()[second] == "held", "no earlier one takes over"


def test_a_member_held_in_an_earlier_job_is_replaced_when_that_ends(kit: Kit) -> None:
    first, _, receipts = two_generations(kit)
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, first, receipts[:1], "broken")
        jobs.drop_receipts(connection, first, receipts[1:], "by rule")
        jobs.finish(connection, first, 1.0)
    assert kit.owed(first, "a") == {receipts[0]: "replaced", receipts[1]: "dropped"}


def test_a_delta_does_not_take_over(kit: Kit) -> None:
    first, _, _ = two_generations(kit, late="delta")
    with kit.database.durable.begin() as connection:
        assert give_way(connection, first) is None
        jobs.hold(connection, first, "a codec failed", 1.0)
    assert kit.jobs()[first] == "held"


def test_a_held_delivery_is_over_when_the_later_job_is_made(kit: Kit) -> None:
    kit.rules(RULES.replace("LATE", "rerun"))
    receipts = kit.index(*make.ct_series(2))
    (first,) = kit.close()
    key = put(kit, first, receipts)
    kit.outbox.hold(kit.read(key)[0], "gave up")
    kit.index(make.instance(number=9))
    kit.close()
    assert kit.deliveries() == {key: "dropped"}
    assert kit.parcels(key) == ["dropped", "dropped"]
    assert kit.owed(first, "a") == dict.fromkeys(receipts, "replaced")
    assert kit.owed(first, "b") == dict.fromkeys(receipts, "in_job")


def test_what_waits_goes_on_until_the_later_job_has_something_for_there(kit: Kit) -> None:
    first, second, receipts = two_generations(kit)
    to_a, to_b = put(kit, first, receipts, "a"), put(kit, first, receipts, "b")
    assert kit.deliveries() == {to_a: "waiting", to_b: "waiting"}
    later = put(kit, second, receipts, "a")
    assert kit.deliveries() == {to_a: "dropped", to_b: "waiting", later: "waiting"}
    assert kit.owed(first, "a") == dict.fromkeys(receipts, "replaced")
    assert kit.owed(first, "b") == dict.fromkeys(receipts, "waiting")
    assert set(kit.owed(second, "a").values()) == {"waiting", "in_job"}


def test_a_delta_leaves_what_waits(kit: Kit) -> None:
    first, second, receipts = two_generations(kit, late="delta")
    key = put(kit, first, receipts)
    with kit.database.durable.begin() as connection:
        replace_waiting(connection, second, "a")
    assert kit.deliveries() == {key: "waiting"}


def test_earlier_deliveries_are_of_the_same_unit_route_and_destination(kit: Kit) -> None:
    first, second, receipts = two_generations(kit, late="delta")
    to_a, to_b, later = put(kit, first, receipts, "a"), put(kit, first, receipts, "b"), put(kit, second, receipts, "a")
    with kit.database.reader.connect() as connection:
        assert earlier_deliveries(connection, later) == [to_a]
        assert earlier_deliveries(connection, to_a) == earlier_deliveries(connection, to_b) == []


def test_what_a_person_dropped_stays_dropped_in_every_later_generation(kit: Kit) -> None:
    kit.rules(RULES.replace("LATE", "rerun"))
    receipts = kit.index(*make.ct_series(2))
    (first,) = kit.close()
    key = put(kit, first, receipts)
    kit.outbox.hold(kit.read(key)[0], "gave up")
    assert kit.acts().drop(receipts[0])
    for number in (8, 9):
        (late,) = kit.index(make.instance(number=number))
        (later,) = kit.close()
        assert kit.owed(later, "a")[receipts[0]] == "dropped"
        assert kit.reasons(later) == {"by a person"}
        assert kit.owed(later, "b")[receipts[0]] == "in_job", "it was given up for the other one alone"
        assert kit.owed(later, "a")[receipts[1]] == kit.owed(later, "a")[late] == "in_job"


def test_what_a_rule_dropped_is_judged_again(kit: Kit) -> None:
    kit.rules(RULES.replace("LATE", "rerun"))
    receipts = kit.index(*make.ct_series(2))
    (first,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.drop_receipts(connection, first, receipts, "drop in route all")
    kit.index(make.instance(number=9))
    (later,) = kit.close()
    assert set(kit.owed(later).values()) == {"in_job"}


def test_other_routes_and_units_are_left_alone(kit: Kit) -> None:
    first, _, _ = two_generations(kit)
    kit.write(sa.update(job).where(job.c.id == first).values(route="another"))
    with kit.database.durable.begin() as connection:
        assert give_way(connection, first) is None
        jobs.hold(connection, first, "a codec failed", 1.0)
    assert kit.jobs()[first] == "held"
    assert kit.rows(obligation, obligation.c.state == "replaced") == []
    assert kit.rows(delivery) == kit.rows(parcel) == []
