"""A person drops what is held or waits: that, and nothing that others stand behind."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from node.index import jobs
from node.index.giving_up import drop_in_delivery, drop_in_job, held_in_job
from node.index.schema import parcel
from node.model import ReceiptId
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}}
routes: [{name: all, when: always, steps: [{forward: a}]}]
"""


def shared(kit: Kit) -> tuple[str, str, list[ReceiptId]]:
    """A delivery of one file for each of two receipts and one made from both."""
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(2))
    (job_id,) = kit.close()
    goods = [kit.goods("1", receipts[0]), kit.goods("2", receipts[1]), kit.goods("volume", *receipts)]
    return job_id, kit.put(job_id, "a", *goods), receipts


def dropped_from_delivery(kit: Kit, key: str, receipts: Collection[str] | None) -> int:
    with kit.database.durable.begin() as connection:
        return drop_in_delivery(connection, key, receipts)


def dropped_from_job(kit: Kit, job_id: str, receipts: Collection[str] | None) -> int:
    with kit.database.durable.begin() as connection:
        return drop_in_job(connection, job_id, receipts, 5.0)


def test_a_whole_delivery(kit: Kit) -> None:
    job_id, key, receipts = shared(kit)
    assert dropped_from_delivery(kit, key, None) == 3
    assert kit.deliveries() == {key: "dropped"}
    assert kit.owed(job_id) == dict.fromkeys(receipts, "dropped")
    assert kit.reasons(job_id) == {"by a person"}
    assert dropped_from_delivery(kit, key, None) == 0


def test_one_instance_of_several_drops_what_was_made_from_it_alone(kit: Kit) -> None:
    job_id, key, receipts = shared(kit)
    assert dropped_from_delivery(kit, key, {receipts[0]}) == 1
    assert kit.parcels(key) == ["dropped", "waiting", "waiting"]
    assert kit.deliveries() == {key: "waiting"}
    assert set(kit.owed(job_id).values()) == {"waiting"}, "the volume made from both goes on"


def test_what_was_delivered_stays_delivered(kit: Kit) -> None:
    job_id, key, receipts = shared(kit)
    one, parcels = kit.read(key)
    kit.outbox.delivered(one, [parcels[0], parcels[2]])
    assert dropped_from_delivery(kit, key, None) == 1
    assert kit.parcels(key) == ["delivered", "dropped", "delivered"]
    assert kit.deliveries() == {key: "delivered"}
    assert kit.owed(job_id)[receipts[1]] == "dropped"


def test_a_held_job(kit: Kit) -> None:
    job_id, _, receipts = shared(kit)
    kit.write(sa.update(parcel).values(state="delivered"))
    kit.write(sa.text("UPDATE node_obligation SET state = 'held'"))
    kit.write(sa.text("UPDATE node_job SET state = 'held'"))
    assert dropped_from_job(kit, job_id, {receipts[0]}) == 1
    assert kit.jobs() == {job_id: "held"}, "the other one is still held"
    assert dropped_from_job(kit, job_id, {receipts[1], receipts[0]}) == 1
    assert kit.jobs() == {job_id: "dropped"}
    assert kit.balance() == {"dropped": 2}


def test_what_is_held_in_the_outbox_is_not_the_jobs_to_drop(kit: Kit) -> None:
    job_id, key, _ = shared(kit)
    kit.outbox.hold(kit.read(key)[0], "gave up")
    with kit.database.reader.connect() as connection:
        assert held_in_job(connection, job_id) == set()
    assert dropped_from_job(kit, job_id, None) == 0
    assert set(kit.owed(job_id).values()) == {"held"}


def test_a_job_that_went_on_is_not_dropped_with_a_member(kit: Kit) -> None:
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(2))
    (job_id,) = kit.close()
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, job_id, receipts[:1], "broken")
    key = kit.put(job_id, "a", kit.goods("2", receipts[1]))
    with kit.database.durable.begin() as connection:
        jobs.finish(connection, job_id, 1.0)
    assert dropped_from_job(kit, job_id, None) == 1
    assert kit.jobs() == {job_id: "done"}
    assert kit.owed(job_id) == {receipts[0]: "dropped", receipts[1]: "waiting"}
    assert kit.deliveries() == {key: "waiting"}
