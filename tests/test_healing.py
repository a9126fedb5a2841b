"""A node whose engine lost what its rows say is under way puts it in again, once."""

from __future__ import annotations

import sqlalchemy as sa

from node.engine.runs import Task
from node.healing import heal
from node.index.schema import delivery, job
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}}
routes: [{name: r, when: {Modality: CT}, steps: [{forward: a}]}]
"""


def queued(kit: Kit) -> tuple[str, str]:
    """A job and a delivery of it, both under way."""
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(1))
    (key,) = kit.close()
    sent = kit.put(key, "a", kit.goods("0", receipts[0]))
    with kit.database.durable.begin() as connection:
        kit.engine.enqueue_delivery(connection, sent, "a", 1)
    return key, sent


def test_what_the_engine_has_is_left_alone(kit: Kit) -> None:
    key, sent = queued(kit)
    assert kit.engine.has(Task.JOB, key)
    assert kit.engine.has(Task.DELIVERY, sent)
    assert heal(kit.database, kit.engine, lambda name: 1) == 0
    assert {row["tries"] for row in (*kit.rows(job), *kit.rows(delivery))} == {1}


def test_what_the_engine_lost_is_put_in_again_once(kit: Kit) -> None:
    key, sent = queued(kit)
    kit.engine.clear()
    assert heal(kit.database, kit.engine, lambda name: 1) == 2
    assert kit.engine.has(Task.JOB, key)
    assert kit.engine.has(Task.DELIVERY, sent)
    assert heal(kit.database, kit.engine, lambda name: 1) == 0


def test_a_delivery_whose_destination_is_gone_is_put_in_too_so_that_it_can_be_held(kit: Kit) -> None:
    _, sent = queued(kit)
    kit.engine.clear()
    assert heal(kit.database, kit.engine, lambda name: None) == 2
    assert kit.engine.has(Task.DELIVERY, sent)


def test_what_is_over_or_held_stays_as_it_is(kit: Kit) -> None:
    queued(kit)
    kit.engine.clear()
    kit.write(sa.update(job).values(state="held"))
    kit.write(sa.update(delivery).values(state="delivered"))
    assert heal(kit.database, kit.engine, lambda name: 1) == 0
