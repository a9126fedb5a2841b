"""An instance is delivered when everything made from it is."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.index import jobs
from node.index.schema import obligation, parcel
from node.index.settle import settle, sources_of
from node.model import ReceiptId
from tests import make
from tests.kit import Kit

ROUTE = "routes: [{name: all, when: always, steps: [{forward: a}, {forward: b}]}]"
RULES = """
destinations: {a: {folder: ./a}}
routes: [{name: all, when: always, steps: [{forward: a}]}]
"""


def shared(kit: Kit, *states: str) -> tuple[str, str, list[ReceiptId]]:
    """A delivery of one file for each of two receipts, and one made from both; in these states."""
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(2))
    (job_id,) = kit.close()
    goods = [kit.goods("1", receipts[0]), kit.goods("2", receipts[1]), kit.goods("volume", *receipts)]
    key = kit.put(job_id, "a", *goods)
    for number, state in enumerate(states, 1):
        kit.write(sa.update(parcel).where(parcel.c.number == number).values(state=state, reason=f"{number} {state}"))
    with kit.database.durable.begin() as connection:
        settle(connection, key, job_id, "a")
    return job_id, key, receipts


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("delivered", "delivered", "delivered"), ("delivered", "delivered")),
        (("delivered", "delivered", "waiting"), ("waiting", "waiting")),
        (("held", "delivered", "delivered"), ("held", "delivered")),
        (("delivered", "delivered", "held"), ("held", "held")),
        (("waiting", "held", "delivered"), ("waiting", "held")),
        (("dropped", "delivered", "delivered"), ("dropped", "delivered")),
        (("held", "dropped", "waiting"), ("held", "waiting")),
    ],
)
def test_the_worst_file_decides(kit: Kit, states: tuple[str, ...], expected: tuple[str, str]) -> None:
    job_id, key, receipts = shared(kit, *states)
    assert kit.owed(job_id) == dict(zip(receipts, expected, strict=True))
    with kit.database.reader.connect() as connection:
        assert sources_of(connection, key) == set(receipts)


def test_what_is_owed_to_another_destination_is_left_alone(kit: Kit) -> None:
    kit.rules("destinations: {a: {folder: ./a}, b: {folder: ./b}}\n" + ROUTE)
    receipts = kit.index(*make.ct_series(2))
    (job_id,) = kit.close()
    for target in ("a", "b"):
        key = kit.put(job_id, target, *(kit.goods(str(n), one) for n, one in enumerate(receipts)))
    kit.write(sa.update(parcel).where(parcel.c.delivery == key).values(state="held", reason="no"))
    with kit.database.durable.begin() as connection:
        settle(connection, key, job_id, "b")
    assert set(kit.owed(job_id, "a").values()) == {"waiting"}
    assert set(kit.owed(job_id, "b").values()) == {"held"}


@pytest.mark.parametrize("state", ["waiting", "held"])
def test_what_was_delivered_is_so_no_more_when_something_made_from_it_is_to_be_sent_yet(kit: Kit, state: str) -> None:
    job_id, key, receipts = shared(kit, "delivered", "delivered", "delivered")
    assert set(kit.owed(job_id).values()) == {"delivered"}
    kit.write(sa.update(parcel).where(parcel.c.number == 1).values(state=state))
    with kit.database.durable.begin() as connection:
        settle(connection, key, job_id, "a")
    assert kit.owed(job_id) == {receipts[0]: state, receipts[1]: "delivered"}


def test_the_reason_goes_with_what_is_held(kit: Kit) -> None:
    job_id, _, _ = shared(kit, "held", "delivered", "delivered")
    assert kit.reasons(job_id) == {"1 held"}


@pytest.mark.parametrize("state", ["in_job", "dropped", "replaced", "ignored"])
def test_what_is_not_the_outboxs_is_left_alone(kit: Kit, state: str) -> None:
    job_id, key, receipts = shared(kit, "waiting", "waiting", "waiting")
    kit.write(sa.update(obligation).where(obligation.c.receipt == receipts[0]).values(state=state))
    kit.write(sa.update(parcel).values(state="delivered"))
    with kit.database.durable.begin() as connection:
        settle(connection, key, job_id, "a")
    assert kit.owed(job_id) == {receipts[0]: state, receipts[1]: "delivered"}


def test_what_the_job_holds_stays_held_whatever_became_of_files_that_it_sent_before(kit: Kit) -> None:
    job_id, key, receipts = shared(kit, "waiting", "waiting", "waiting")
    kit.write(sa.update(obligation).where(obligation.c.receipt == receipts[0]).values(state="in_job"))
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, job_id, receipts[:1], "nifti: no geometry")
    for state, expected in (("held", "held"), ("waiting", "waiting"), ("delivered", "delivered")):
        kit.write(sa.update(parcel).values(state=state, reason="from the destination"))
        with kit.database.durable.begin() as connection:
            settle(connection, key, job_id, "a")
        assert kit.owed(job_id) == {receipts[0]: "held", receipts[1]: expected}
        assert "nifti: no geometry" in kit.reasons(job_id)
