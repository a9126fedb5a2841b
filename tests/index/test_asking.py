"""Our own requests as rows: asked, answered, asked again for what is left."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.dicom.commitment import Reference, Report
from node.index import asking
from node.index.asking import Asked
from node.index.schema import asked, asked_item, commitment
from node.model import UID
from tests import make
from tests.index.test_commitments import recorded
from tests.kit import Kit

A, B = (Reference(UID(make.CT_IMAGE), UID(f"1.2.{n}")) for n in (1, 2))
TITLES = {"archive": "ARCHIVE"}


@pytest.fixture
def of(kit: Kit) -> int:
    return recorded(kit, [A, B])


def ask(kit: Kit, of: int, *references: Reference, now: float = 100.0) -> None:
    with kit.database.durable.begin() as connection:
        asking.ask(connection, of, {"archive": references}, TITLES, now)


def due(kit: Kit, now: float = 1e10) -> list[Asked]:
    with kit.database.reader.connect() as connection:
        return asking.due(connection, now)


def was_asked(kit: Kit, one: Asked, now: float = 100.0) -> None:
    with kit.database.durable.begin() as connection:
        assert asking.claim(connection, one, "me", ["me"], now)
        asking.was_asked(connection, one, "me", now)


def answer(kit: Kit, report: Report, ae_title: str = "ARCHIVE") -> int | None:
    with kit.database.durable.begin() as connection:
        return asking.answer(connection, report, ae_title, 200.0)


def left(kit: Kit, one: Asked) -> list[str]:
    with kit.database.reader.connect() as connection:
        request = asking.request_of(connection, one)
    return [r.sop_instance for r in request.references] if request else []


def states(kit: Kit) -> list[str]:
    return [row["state"] for row in kit.rows(asked_item)]


def test_a_destination_is_asked_once_for_what_it_has(kit: Kit, of: int) -> None:
    ask(kit, of, A, B)
    ask(kit, of, A, B, now=101.0)
    (one,) = due(kit)
    assert left(kit, one) == ["1.2.1", "1.2.2"]
    was_asked(kit, one)
    assert due(kit, 101.0) == []
    assert [o.transaction for o in due(kit, 100.0 + 601)] == [one.transaction], "it says nothing: asked again"


def test_what_it_commits_is_noted_and_the_matter_is_over(kit: Kit, of: int) -> None:
    ask(kit, of, A, B)
    (one,) = due(kit)
    was_asked(kit, one)
    assert answer(kit, Report(transaction=one.transaction, committed=(A, B))) == of
    assert states(kit) == ["committed", "committed"]
    assert due(kit) == []


def test_for_a_request_that_is_over_nobody_is_asked(kit: Kit, of: int) -> None:
    ask(kit, of, A)
    kit.write(sa.update(commitment).values(state="answered"))
    assert due(kit) == []
    with kit.database.reader.connect() as connection:
        assert asking.next_due(connection, 0.0) is None


def test_what_it_fails_is_asked_again_in_another_transaction(kit: Kit, of: int) -> None:
    ask(kit, of, A, B)
    (one,) = due(kit)
    was_asked(kit, one)
    answer(kit, Report(transaction=one.transaction, committed=(A,), failed=((B, 0x0112),)))
    assert [(r["state"], r["reason"]) for r in kit.rows(asked_item)] == [("committed", None), ("failed", 0x0112)]
    assert due(kit, 201.0) == [], "not at once"
    (again,) = due(kit)
    assert again.transaction != one.transaction
    assert left(kit, again) == ["1.2.2"]
    assert answer(kit, Report(transaction=one.transaction, committed=(B,))) is None, "that one is answered"


def test_what_was_committed_once_no_later_answer_takes_back(kit: Kit, of: int) -> None:
    ask(kit, of, A, B)
    (one,) = due(kit)
    was_asked(kit, one)
    answer(kit, Report(transaction=one.transaction, committed=(A,), failed=((B, 0x0112),)))
    (again,) = due(kit)
    answer(kit, Report(transaction=again.transaction, failed=((A, 0x0110), (B, 0x0112))))
    assert [(r["state"], r["reason"]) for r in kit.rows(asked_item)] == [("committed", None), ("failed", 0x0112)]


def test_who_has_lost_its_claim_notes_nothing(kit: Kit, of: int) -> None:
    ask(kit, of, A)
    (one,) = due(kit)
    with kit.database.durable.begin() as connection:
        assert asking.claim(connection, one, "dead", ["dead", "me"], 100.0)
        assert not asking.claim(connection, one, "me", ["dead", "me"], 100.0)
        assert asking.claim(connection, one, "me", ["me"], 100.0)
        asking.was_asked(connection, one, "dead", 100.0)
        asking.was_not_asked(connection, one, "dead", "why", 900.0)
    (row,) = kit.rows(asked)
    assert (row["state"], row["claimed"], row["tries"], row["next_at"]) == ("due", "me", 0, 100.0)


def test_an_answer_that_is_quicker_than_our_own_note_is_kept(kit: Kit, of: int) -> None:
    ask(kit, of, A)
    (one,) = due(kit)
    with kit.database.durable.begin() as connection:
        assert asking.claim(connection, one, "me", ["me"], 100.0)
    answer(kit, Report(transaction=one.transaction, committed=(A,)))
    with kit.database.durable.begin() as connection:
        asking.was_asked(connection, one, "me", 100.0)
    (row,) = kit.rows(asked)
    assert (row["state"], row["claimed"]) == ("over", "")


@pytest.mark.parametrize(("transaction", "ae_title"), [("1.2.3.4", "ARCHIVE"), ("", "STRANGER")])
def test_what_was_not_asked_or_not_of_this_one_is_not_believed(
    kit: Kit, of: int, transaction: str, ae_title: str
) -> None:
    ask(kit, of, A)
    (one,) = due(kit)
    report = Report(transaction=UID(transaction or one.transaction), committed=(A,))
    assert answer(kit, report, ae_title) is None
    assert states(kit) == ["waiting"]


def test_what_arrives_there_later_is_asked_for_too(kit: Kit, of: int) -> None:
    ask(kit, of, A)
    (one,) = due(kit)
    was_asked(kit, one)
    answer(kit, Report(transaction=one.transaction, committed=(A,)))
    ask(kit, of, A, B, now=300.0)
    (more,) = due(kit, 300.0)
    assert left(kit, more) == ["1.2.2"]


def test_one_process_asks(kit: Kit, of: int) -> None:
    ask(kit, of, A)
    (one,) = due(kit)
    with kit.database.durable.begin() as connection:
        assert asking.claim(connection, one, "a", ["a", "b"], 100.0)
        assert not asking.claim(connection, one, "b", ["a", "b"], 100.0)
        asking.was_not_asked(connection, one, "a", "nobody there", 150.0)
        assert not asking.claim(connection, one, "b", ["a", "b"], 149.0)
        assert asking.claim(connection, one, "b", ["a", "b"], 150.0)
    (row,) = kit.rows(asked)
    assert (row["reason"], row["tries"]) == ("nobody there", 1)
