"""What a courier notes is on the disk, settles what is owed, and never undoes what a person decided."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.index.schema import delivery, job, parcel, sent
from node.model import Disclosure, ReceiptId
from node.outbox import Delivery, Outbox, Waiting
from node.spool import Files
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a}, b: {folder: ./b}}
routes: [{name: all, when: always, late: LATE, steps: [{forward: a}, {forward: b}]}]
"""


def waiting(kit: Kit, count: int = 2) -> tuple[str, list[ReceiptId], Delivery, list[Waiting]]:
    kit.rules(RULES.replace("LATE", "rerun"))
    receipts = kit.index(*make.ct_series(count))
    (job_id,) = kit.close()
    key = kit.put(job_id, "a", *(kit.goods(f"{n}.dcm", receipt) for n, receipt in enumerate(receipts)))
    return job_id, receipts, *kit.read(key)


def test_nothing_of_an_unknown_delivery(kit: Kit) -> None:
    assert kit.outbox.read("no such") is None


def test_delivered_ones_wait_no_more_and_are_remembered(kit: Kit) -> None:
    _, _, one, parcels = waiting(kit)
    assert kit.outbox.delivered(one, parcels[:1])
    assert [p.number for p in kit.read(one.id)[1]] == [parcels[1].number]
    assert kit.outbox.already("a", ["0.dcm", "1.dcm"]) == {"0.dcm": parcels[0].content}
    assert kit.outbox.already("b", ["0.dcm"]) == {}


def test_the_latest_content_is_what_the_destination_has(kit: Kit) -> None:
    _, _, one, parcels = waiting(kit)
    kit.outbox.delivered(one, parcels)
    kit.write(sa.update(sent).values(content="older"))
    kit.outbox.delivered(one, parcels)
    assert kit.outbox.already("a", ["0.dcm"]) == {"0.dcm": parcels[0].content}


def test_what_lies_in_a_folder_is_not_remembered_as_sent(kit: Kit) -> None:
    _, _, one, parcels = waiting(kit)
    kit.outbox.delivered(one, parcels[:1], place="x/0.dcm")
    assert kit.rows(sent) == []
    assert kit.outbox.published(one) == ["x/0.dcm"]


def test_finishing_settles_and_lets_the_files_go(kit: Kit) -> None:
    job_id, receipts, one, parcels = waiting(kit)
    kit.outbox.delivered(one, parcels[:1])
    assert kit.outbox.finish(one) == "waiting", "one is left"
    kit.outbox.delivered(one, parcels[1:])
    assert kit.outbox.finish(one) == "delivered"
    assert kit.owed(job_id, "a") == dict.fromkeys(receipts, "delivered")
    assert not any(p.path.exists() for p in parcels)


def test_a_refused_one_is_held_and_keeps_its_file(kit: Kit) -> None:
    job_id, receipts, one, parcels = waiting(kit)
    kit.outbox.refused(one, parcels[:1], "SOP class not supported")
    kit.outbox.delivered(one, parcels[1:])
    assert kit.outbox.finish(one) == "held"
    assert kit.owed(job_id, "a") == {receipts[0]: "held", receipts[1]: "delivered"}
    assert kit.reasons(job_id) == {"SOP class not supported"}
    assert [p.path.exists() for p in parcels] == [True, False]


def test_a_file_that_two_parcels_share_stays_while_one_of_them_is_held(kit: Kit) -> None:
    job_id, (receipt, *_), _, _ = waiting(kit)
    goods = kit.goods("1", receipt)
    one, parcels = kit.read(kit.put(job_id, "b", goods, goods))
    assert len({p.path for p in parcels}) == 1
    kit.outbox.refused(one, parcels[:1], "SOP class not supported")
    kit.outbox.delivered(one, parcels[1:])
    assert kit.outbox.finish(one) == "held"
    assert parcels[0].path.exists()


@pytest.mark.parametrize("answer", ["delivered", "refused"])
def test_an_answer_is_about_the_content_that_was_read_and_not_about_what_was_made_anew(kit: Kit, answer: str) -> None:
    job_id, receipts, one, parcels = waiting(kit)
    kit.put(job_id, "a", kit.goods("0.dcm", receipts[0], content="other"), kit.goods("1.dcm", receipts[1]))
    if answer == "delivered":
        assert not kit.outbox.delivered(one, parcels)
    else:
        assert not kit.outbox.refused(one, parcels, "SOP class not supported")
    assert kit.parcels(one.id) == ["waiting", "held" if answer == "refused" else "delivered"]


def test_failures_are_counted_until_something_gets_through(kit: Kit) -> None:
    _, _, one, parcels = waiting(kit)
    first = kit.outbox.failed(one, "no answer")
    again = kit.outbox.failed(one, "no answer")
    assert first is not None
    assert again is not None
    assert (first[0], again[0]) == (1, 2)
    assert first[1] == again[1], "since the first"
    kit.outbox.wait(one, 99.0)
    assert kit.rows(delivery)[0]["next_at"] == 99.0
    kit.outbox.delivered(one, parcels[:1])
    (row,) = kit.rows(delivery)
    assert (row["failures"], row["failing_since"]) == (0, None)
    assert kit.outbox.failed(one, "no answer") is not None


def test_holding_holds_what_still_waits(kit: Kit) -> None:
    job_id, receipts, one, parcels = waiting(kit)
    kit.outbox.delivered(one, parcels[:1])
    assert kit.outbox.hold(one, "gave up")
    assert kit.parcels(one.id) == ["delivered", "held"]
    assert kit.owed(job_id, "a") == {receipts[0]: "delivered", receipts[1]: "held"}


@pytest.mark.parametrize("decided", ["dropped", "held", "delivered"])
def test_a_courier_does_not_undo_what_was_decided_while_it_sent(kit: Kit, decided: str) -> None:
    _, _, one, parcels = waiting(kit)
    kit.write(sa.update(delivery).values(state=decided, reason="by a person"))
    assert not kit.outbox.delivered(one, parcels[:1]), "the rest is not to be sent"
    assert not kit.outbox.refused(one, parcels[1:2], "no")
    assert kit.outbox.failed(one, "no answer") is None
    assert not kit.outbox.hold(one, "gave up")
    kit.outbox.wait(one, 5.0)
    assert kit.outbox.finish(one) == decided
    (row,) = kit.rows(delivery)
    assert (row["state"], row["reason"], row["next_at"]) == (decided, "by a person", None)


def test_what_a_person_dropped_while_it_was_sent_is_not_held_when_it_is_refused(kit: Kit) -> None:
    _, _, one, parcels = waiting(kit)
    kit.write(sa.update(parcel).where(parcel.c.number == parcels[0].number).values(state="dropped"))
    assert not kit.outbox.refused(one, parcels, "SOP class not supported")
    assert kit.parcels(one.id) == ["dropped", "held"]


def test_what_is_in_force_is_of_this_generation_and_later_ones(kit: Kit) -> None:
    job_id, receipts, one, parcels = waiting(kit)
    kit.rules(RULES.replace("LATE", "delta"))
    kit.index(make.instance(number=9))
    (later,) = kit.close()
    kit.outbox.delivered(one, parcels[:1], place="first")
    key = kit.put(later, "a", kit.goods("9", receipts[0]))
    kit.outbox.delivered(*kit.read(key), place="second")
    other = kit.put(job_id, "b", kit.goods("0", receipts[0]))
    kit.outbox.delivered(*kit.read(other), place="elsewhere")
    assert set(kit.outbox.in_force(one)) == {"first", "second"}
    assert kit.outbox.in_force(kit.read(key)[0]) == ["second"]


@pytest.mark.parametrize("state", ["waiting", "held"])
def test_the_folder_of_a_delivery_that_may_still_be_sent_stays_however_old_it_is(kit: Kit, state: str) -> None:
    _, _, one, parcels = waiting(kit)
    if state == "held":
        assert kit.outbox.hold(one, "gave up")
    os.utime(kit.outbox.folder(one.id), (0, 0))
    assert kit.outbox.clear(0) == 0
    assert all(p.path.is_file() for p in parcels)


def test_folders_of_deliveries_that_are_over_go_when_nobody_touched_them(kit: Kit) -> None:
    job_id, receipts, one, _ = waiting(kit)
    other = kit.put(job_id, "b", kit.goods("0", receipts[0]))
    kit.write(sa.update(delivery).where(delivery.c.id == other).values(state="dropped"))
    made = kit.outbox.root / "of-a-job-that-never-came-to-its-rows"
    made.mkdir()
    assert kit.outbox.clear(0) == 0, "touched a moment ago"
    for folder in kit.outbox.root.iterdir():
        os.utime(folder, (time.time() - 7200,) * 2)
    assert kit.outbox.clear(0) == 2
    assert [f.name for f in kit.outbox.root.iterdir()] == [kit.outbox.folder(one.id).name]


def test_more_that_comes_while_it_is_finished_keeps_it_waiting(kit: Kit) -> None:
    job_id, receipts, one, parcels = waiting(kit)
    kit.outbox.delivered(one, parcels)
    kit.put(job_id, "a", kit.goods("more", receipts[0]), step=1)
    assert kit.outbox.finish(one) == "waiting"
    assert kit.parcels(one.id) == ["delivered", "delivered", "waiting"]


@pytest.mark.parametrize("again", ["the same", "more"])
def test_what_a_job_adds_while_its_delivery_ends_keeps_its_file(kit: Kit, again: str) -> None:
    """The courier's end falls between the names in the outbox folder and the rows of what is added."""
    job_id, receipts, one, parcels = waiting(kit)
    kit.outbox.delivered(one, parcels)
    if again == "the same":  # as after a retry of what was held
        kit.write(sa.update(parcel).where(parcel.c.number == parcels[0].number).values(state="dropped"))
        goods = kit.goods("0.dcm", receipts[0])
    else:
        goods = kit.goods("more.nii.gz", receipts[0])

    class EndsBetween(Files):
        def sync_folder(self, folder: Path) -> None:
            super().sync_folder(folder)
            if folder == kit.outbox.folder(one.id) and kit.deliveries()[one.id] == "waiting" and not ended:
                ended.append(kit.outbox.finish(one))

    ended: list[str] = []

    def also(connection: sa.Connection, sources: set[ReceiptId], tries: int | None) -> None:
        assert tries == 2

    Outbox(kit.outbox.root, kit.database, EndsBetween()).put(
        job_id, "a", [goods], Disclosure.IDENTIFIED, step=0 if again == "the same" else 1, also=also
    )
    assert ended == ["delivered"]
    _, (left,) = kit.read(one.id)
    assert left.path.read_text() == left.name


def test_a_delivery_of_which_everything_was_dropped_is_dropped(kit: Kit) -> None:
    _, _, one, _ = waiting(kit)
    kit.write(sa.update(parcel).values(state="dropped"))
    assert kit.outbox.finish(one) == "dropped"
    assert kit.rows(job)[0]["state"] == "queued"
