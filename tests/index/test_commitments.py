"""Requests for commitment as rows: written once, decided once, reported by one process."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.commitment import Committed, Failed, Proof, Wait
from node.dicom.commitment import Reference, Request
from node.index import commitments
from node.index.commitments import Commitment
from node.index.schema import commitment, commitment_item, receipt
from node.model import UID, Origin
from tests import make
from tests.kit import Kit

CT1 = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")
FIRST = [Reference(UID(make.CT_IMAGE), UID(f"1.2.{n}")) for n in (1, 2, 3)]
LATER = 1e10
"""Long after every report is due."""


def recorded(
    kit: Kit, references: list[Reference] = FIRST, *, transaction: str = "1.9", origin: Origin = CT1,
    proof: Proof = Proof.DELIVERED,
) -> int:  # fmt: skip
    request = Request(transaction=UID(transaction), references=tuple(references))
    with kit.database.durable.begin() as connection:
        return commitments.record(connection, request, origin, proof, kit.database.now(connection))


def decided(kit: Kit, of: int, **verdicts: object) -> None:
    with kit.database.durable.begin() as connection:
        commitments.decide(connection, of, {int(k[1:]): v for k, v in verdicts.items()})  # type: ignore[misc]


def due(kit: Kit, now: float = LATER) -> list[Commitment]:
    with kit.database.reader.connect() as connection:
        return commitments.due(connection, now)


def undecided(kit: Kit) -> list[int]:
    with kit.database.reader.connect() as connection:
        return [one.id for one in commitments.undecided(connection)]


def claimed(kit: Kit, of: int, process: str, live: list[str]) -> bool:
    with kit.database.durable.begin() as connection:
        return commitments.claim(connection, of, process, live, LATER)


def items(kit: Kit) -> list[tuple[int, str, int | None]]:
    return [(r["commitment"], r["state"], r["reason"]) for r in kit.rows(commitment_item)]


def promised(kit: Kit, *receipts: str) -> list[str]:
    with kit.database.reader.connect() as connection:
        return [one.receipt for one in commitments.promised(connection, receipts)]


@pytest.mark.parametrize("proof", Proof)
def test_a_file_is_promised_where_it_is_what_was_committed(kit: Kit, proof: Proof) -> None:
    ds = make.instance()
    (receipt_id,) = kit.index(ds)
    key = recorded(kit, [Reference(UID(make.CT_IMAGE), UID(ds.SOPInstanceUID))], proof=proof)
    assert promised(kit, receipt_id) == []
    decided(kit, key, _1=Committed("there"))
    assert promised(kit, receipt_id) == ([receipt_id] if proof is Proof.STORED else [])
    kit.write(sa.update(receipt).values(state="dropped"))
    assert promised(kit, receipt_id) == []


def test_to_give_up_a_promise_changes_nothing_of_what_had_failed(kit: Kit) -> None:
    ds = make.instance()
    (receipt_id,) = kit.index(ds)
    what = [Reference(UID(make.CT_IMAGE), UID(ds.SOPInstanceUID))]
    for transaction, verdict in (("1.9", Committed("there")), ("1.8", Failed(0x0110, "damaged"))):
        decided(kit, recorded(kit, what, transaction=transaction, proof=Proof.STORED), _1=verdict)
    with kit.database.durable.begin() as connection:
        assert commitments.give_up(connection, [receipt_id]) == 1
    assert sorted(state for _, state, _ in items(kit)) == ["dropped", "failed"]


def test_to_ask_again_for_what_is_open_does_not_begin_its_time_anew_and_for_what_is_over_does(kit: Kit) -> None:
    key = recorded(kit, proof=Proof.STORED)
    kit.write(sa.update(commitment).values(at=5.0))
    assert recorded(kit, proof=Proof.DELIVERED) == key
    (row,) = kit.rows(commitment)
    assert (row["at"], row["proof"]) == (5.0, "stored")
    kit.write(sa.update(commitment).values(state="answered"))
    assert recorded(kit, proof=Proof.DELIVERED) == key
    (row,) = kit.rows(commitment)
    assert row["at"] > 5.0
    assert (row["state"], row["proof"]) == ("open", "delivered")


def test_a_request_waits_until_every_item_is_decided(kit: Kit) -> None:
    key = recorded(kit)
    assert undecided(kit) == [key]
    decided(kit, key, _1=Committed("there"), _2=Wait("not yet"), _3=Failed(0x0112, "not here"))
    assert undecided(kit) == [key]
    assert due(kit) == []
    decided(kit, key, _2=Committed("there"))
    assert undecided(kit) == []
    (one,) = due(kit)
    assert (one.id, one.transaction, one.origin, one.proof) == (key, "1.9", CT1, Proof.DELIVERED)


def test_what_is_decided_stays_decided(kit: Kit) -> None:
    key = recorded(kit, FIRST[:1])
    decided(kit, key, _1=Committed("there"))
    decided(kit, key, _1=Failed(0x0110, "another process thought otherwise"))
    assert items(kit) == [(key, "committed", None)]


def test_the_report_says_each_item_in_the_order_of_the_request(kit: Kit) -> None:
    key = recorded(kit)
    decided(kit, key, _3=Committed("there"), _1=Committed("there"), _2=Failed(0x0119, "other class"))
    (one,) = due(kit)
    with kit.database.reader.connect() as connection:
        report = commitments.report_of(connection, one)
    assert report.committed == (FIRST[0], FIRST[2])
    assert report.failed == ((FIRST[1], 0x0119),)


def test_the_report_leaves_the_answer_to_the_request_time_to_go_first(kit: Kit) -> None:
    key = recorded(kit, FIRST[:1])
    decided(kit, key, _1=Committed("there"))
    with kit.database.reader.connect() as connection:
        now = kit.database.now(connection)
        soon = commitments.next_due(connection, now)
    assert soon is not None
    assert 0 < soon - now <= 1
    assert due(kit, now) == []


# ---- the same request again --------------------------------------------------------------------------------


def test_the_same_request_while_it_is_open_changes_nothing(kit: Kit) -> None:
    key = recorded(kit)
    decided(kit, key, _1=Committed("there"))
    assert recorded(kit, FIRST[::-1]) == key, "whatever the order"
    assert [state for _, state, _ in items(kit)] == ["committed", "waiting", "waiting"]


def test_the_same_request_after_its_answer_is_answered_again(kit: Kit) -> None:
    key = recorded(kit, FIRST[:2])
    decided(kit, key, _1=Committed("there"), _2=Failed(0x0112, "not here"))
    assert claimed(kit, key, "a", ["a"])
    with kit.database.durable.begin() as connection:
        commitments.answered(connection, key, "a")
    assert due(kit) == []
    assert recorded(kit, FIRST[:2], proof=Proof.STORED) == key
    assert [state for _, state, _ in items(kit)] == ["waiting", "waiting"], "what failed may be there, the other gone"
    (row,) = kit.rows(commitment)
    assert (row["state"], row["proof"], row["tries"]) == ("open", "stored", 0)


def test_a_transaction_that_the_requester_used_for_something_else_fails_as_a_duplicate(kit: Kit) -> None:
    first = recorded(kit)
    second = recorded(kit, FIRST[:1])
    assert second != first
    assert [state for _, state, _ in items(kit)[:3]] == ["waiting"] * 3, "the first one is not touched"
    assert items(kit)[3:] == [(second, "failed", 0x0131)]
    assert [one.id for one in due(kit)] == [second]
    assert recorded(kit, FIRST[:1]) == second, "again"
    assert items(kit)[3:] == [(second, "failed", 0x0131)]


def test_the_transactions_of_two_requesters_are_their_own(kit: Kit) -> None:
    recorded(kit)
    recorded(kit, FIRST[:1], origin=Origin(calling_ae="MR1", called_ae="NODE", sender="10.1.2.4"))
    assert {state for _, state, _ in items(kit)} == {"waiting"}


# ---- who reports -------------------------------------------------------------------------------------------


def test_one_of_two_processes_has_a_report_and_the_other_one_when_the_first_is_dead(kit: Kit) -> None:
    key = recorded(kit, FIRST[:1])
    decided(kit, key, _1=Committed("there"))
    assert claimed(kit, key, "a", ["a", "b"])
    assert not claimed(kit, key, "b", ["a", "b"])
    assert claimed(kit, key, "a", ["a", "b"]), "its own, after a fault"
    assert claimed(kit, key, "b", ["b"])
    with kit.database.durable.begin() as connection:
        commitments.answered(connection, key, "a")
    assert due(kit) != [], "what is no more its own it cannot end"
    with kit.database.durable.begin() as connection:
        commitments.answered(connection, key, "b")
    assert due(kit) == []


def test_a_report_that_does_not_get_through_has_its_time_and_reason_and_is_given_up(kit: Kit) -> None:
    key = recorded(kit, FIRST[:1])
    decided(kit, key, _1=Committed("there"))
    for now, then in ((100.0, 200.0), (250.0, None)):
        assert claimed(kit, key, "a", ["a"])
        with kit.database.durable.begin() as connection:
            commitments.not_answered(connection, key, "a", "nobody listens", now=now, next_at=then)
    (row,) = kit.rows(commitment)
    assert (row["tries"], row["failing_since"], row["reason"], row["state"]) == (2, 100.0, "nobody listens", "given_up")
    assert row["next_at"] == 200.0
    assert not claimed(kit, key, "a", ["a"])


# ---- retention ---------------------------------------------------------------------------------------------


def test_instances_of_open_requests_are_known_to_retention(kit: Kit) -> None:
    receipts = kit.index(*make.ct_series(2))
    wanted = Reference(UID(make.CT_IMAGE), UID(make.uid("study", "series", 1)))
    key = recorded(kit, [wanted])
    with kit.database.reader.connect() as connection:
        assert commitments.in_open_commitments(connection, receipts) == {receipts[0]}
    kit.write(sa.update(commitment).where(commitment.c.id == key).values(state="answered"))
    with kit.database.reader.connect() as connection:
        assert commitments.in_open_commitments(connection, receipts) == set()
