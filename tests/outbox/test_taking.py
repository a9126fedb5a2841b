"""Files become parcels: bytes first, then rows; the same again changes nothing."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.index.schema import delivery, parcel, produced
from node.model import Disclosure, Kind, ReceiptId
from node.outbox import Outbox
from node.outbox.taking import take_back
from node.spool import Files
from tests import make
from tests.kit import Kit
from tests.spool.disk import Disk

RULES = """
destinations: {a: {folder: ./a}}
routes: [{name: all, when: always, steps: [{forward: a}]}]
"""


def queued(kit: Kit, count: int = 2) -> tuple[str, list[ReceiptId]]:
    kit.rules(RULES)
    receipts = kit.index(*make.ct_series(count))
    (job_id,) = kit.close()
    return job_id, receipts


def contents(kit: Kit, key: str) -> list[str]:
    """What each parcel's file holds, in order of number."""
    return [(kit.outbox.root / p["path"]).read_text() for p in kit.rows(parcel, parcel.c.delivery == key)]


def test_the_outbox_has_files_of_its_own(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    goods = kit.goods("1", receipts[0], content="one")
    key = kit.put(job_id, "a", goods)
    goods.path.unlink()
    assert contents(kit, key) == ["one"]
    _, (waiting,) = kit.read(key)
    assert (waiting.name, waiting.sources, waiting.content) == ("1", (receipts[0],), goods.content)
    assert waiting.path.read_text() == "one"


def test_putting_the_same_again_changes_nothing(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    goods = [kit.goods(str(n), receipt) for n, receipt in enumerate(receipts)]
    key = kit.put(job_id, "a", *goods)
    before = kit.rows(parcel), kit.rows(delivery)
    kit.put(job_id, "a", *goods)
    assert (kit.rows(parcel), kit.rows(delivery)) == before
    kit.outbox.delivered(kit.read(key)[0], kit.read(key)[1][:1])
    kit.put(job_id, "a", *goods)
    assert kit.parcels(key) == ["delivered", "waiting"]


def test_new_content_under_the_same_name_is_sent_again(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    key = kit.put(job_id, "a", kit.goods("1", receipts[0], content="old"), kit.goods("2", receipts[1]))
    kit.outbox.delivered(*kit.read(key))
    kit.outbox.finish(kit.read(key)[0])
    kit.put(job_id, "a", kit.goods("1", receipts[0], content="new"), kit.goods("2", receipts[1]))
    assert kit.parcels(key) == ["waiting", "delivered"]
    assert contents(kit, key)[0] == "new"
    found, _ = kit.read(key)
    assert (found.state, found.tries) == ("waiting", 2)
    assert kit.owed(job_id) == {receipts[0]: "waiting", receipts[1]: "delivered"}


def test_files_of_one_name_are_not_taken_for_each_other(kit: Kit) -> None:
    """Two steps may each leave a `1`; and a route may forward twice to one destination."""
    job_id, receipts = queued(kit)
    goods = []
    for text in ("mask", "volume", "report"):
        path = kit.data / text / "1"
        path.parent.mkdir()
        made = kit.goods("1", receipts[0], content=text)
        goods.append(replace(made, path=made.path.rename(path)))
    for _ in range(2):
        kit.put(job_id, "a", *goods[:2], step=0)
        key = kit.put(job_id, "a", goods[2], step=3)
        assert kit.parcels(key) == ["waiting"] * 3
        assert contents(kit, key) == ["mask", "volume", "report"]


def test_a_held_parcel_waits_again_when_its_job_ran_again(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    goods = [kit.goods(str(n), receipt) for n, receipt in enumerate(receipts)]
    key = kit.put(job_id, "a", *goods)
    kit.outbox.hold(kit.read(key)[0], "gave up")
    kit.put(job_id, "a", *goods)
    assert kit.parcels(key) == ["waiting", "waiting"]
    assert kit.deliveries() == {key: "waiting"}


def test_what_a_job_does_not_make_again_is_not_sent(kit: Kit) -> None:
    """Its recipe was edited, and holds now what it let pass."""
    job_id, receipts = queued(kit)
    goods = [kit.goods(str(n), receipt) for n, receipt in enumerate(receipts)]
    key = kit.put(job_id, "a", *goods)
    kit.put(job_id, "a", goods[1])
    assert kit.parcels(key) == ["held", "waiting"]
    assert kit.owed(job_id) == dict(zip(receipts, ("held", "waiting"), strict=True))
    kit.put(job_id, "a")
    assert kit.parcels(key) == ["held", "held"]
    kit.put(job_id, "a", *goods)
    assert kit.parcels(key) == ["waiting", "waiting"], "made again after all"
    assert kit.balance() == {"waiting": 2}


def test_what_a_job_made_under_another_name_takes_the_place_of_what_waits(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    key = kit.put(job_id, "a", kit.goods("before.nii", *receipts, kind=Kind.NIFTI, sop_instance=""))
    kit.put(job_id, "a", kit.goods("after.nii", *receipts, kind=Kind.NIFTI, sop_instance=""))
    assert kit.parcels(key) == ["dropped", "waiting"]
    assert kit.balance() == {"waiting": 2}


def test_a_job_that_is_held_takes_back_what_another_try_sent_from_that_step_on(kit: Kit) -> None:
    job_id, receipts = queued(kit, 3)
    for step, receipt in enumerate(receipts):
        key = kit.put(job_id, "a", kit.goods(str(step), receipt), step=step)
    with kit.database.durable.begin() as connection:
        take_back(connection, job_id, 1)
    assert kit.parcels(key) == ["waiting", "held", "held"]
    assert kit.owed(job_id) == dict(zip(receipts, ("waiting", "held", "held"), strict=True))


def test_what_was_delivered_stays_so_when_its_job_does_not_make_it_again(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    key = kit.put(job_id, "a", *(kit.goods(str(n), receipt) for n, receipt in enumerate(receipts)))
    kit.outbox.delivered(*kit.read(key))
    kit.put(job_id, "a", kit.goods("1", receipts[1]))
    assert kit.parcels(key) == ["delivered", "delivered"]


@pytest.mark.parametrize("order", [("identified", "deidentified"), ("deidentified", "identified")])
def test_one_identified_file_makes_the_delivery_identified(kit: Kit, order: tuple[str, str]) -> None:
    job_id, receipts = queued(kit)
    for step, disclosure in enumerate(order):
        goods = kit.goods(str(step), receipts[0])
        key = kit.put(job_id, "a", goods, step=step, disclosure=Disclosure(disclosure))
    assert kit.read(key)[0].disclosure is Disclosure.IDENTIFIED


def test_a_full_disk_takes_nothing_over(kit: Kit) -> None:
    class Full(Files):
        def link(self, existing: Path, new: Path) -> bool:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job_id, receipts = queued(kit)
    kit.outbox = Outbox(kit.data / "outbox", kit.database, Full())
    with pytest.raises(OSError, match="No space"):
        kit.put(job_id, "a", kit.goods("1", receipts[0]))
    assert kit.rows(parcel) == kit.rows(delivery) == []
    assert set(kit.owed(job_id).values()) == {"in_job"}


def test_a_file_is_on_the_disk_before_it_has_its_name_and_all_names_before_their_rows(kit: Kit) -> None:
    job_id, receipts = queued(kit, 3)
    disk = Disk(kit.data)
    kit.outbox = Outbox(kit.data / "outbox", kit.database, disk)
    goods = [kit.goods(str(number), receipt) for number, receipt in enumerate(receipts)]

    def also(connection: sa.Connection, sent: set[ReceiptId], tries: int | None) -> None:
        disk.note("rows")

    kit.outbox.put(job_id, "a", goods, Disclosure.IDENTIFIED, step=0, also=also)
    story = [(call.kind, call.path, call.to) for call in disk.calls]
    shown = [call for call in story if call[0] == "show"]
    assert len(shown) == 3
    for one in shown:
        _, hidden, name = one
        before = [kind for kind, path, to in story[: story.index(one)] if hidden in (path, to)]
        assert before[-2:] == ["link", "sync"], name
    (folder,) = {name.parent for _, _, name in shown}
    last = max(story.index(one) for one in shown)
    rows = story.index(("note", Path("rows"), Path()))
    assert ("sync_folder", folder, Path()) in story[last:rows]
    assert ("sync_folder", kit.outbox.root, Path()) in story[:rows], "its own name"


def test_half_a_copy_is_never_believed(kit: Kit) -> None:
    class Interrupted(Files):
        def link(self, existing: Path, new: Path) -> bool:
            new.write_text("ha")
            raise OSError(errno.EIO, "the power went")

    job_id, receipts = queued(kit)
    whole, kit.outbox = kit.outbox, Outbox(kit.data / "outbox", kit.database, Interrupted())
    goods = kit.goods("1", receipts[0], content="half or whole")
    with pytest.raises(OSError, match="power"):
        kit.put(job_id, "a", goods)
    kit.outbox = whole
    assert contents(kit, kit.put(job_id, "a", goods)) == ["half or whole"]


def test_what_this_node_made_is_remembered_before_it_is_sent(kit: Kit) -> None:
    job_id, receipts = queued(kit)
    kit.put(
        job_id, "a", kit.goods("1", receipts[0], renamed=True), kit.goods("2", receipts[0], changed=True),
        kit.goods("3", receipts[1]), kit.goods("4", receipts[1], sop_instance="", changed=True),
    )  # fmt: skip
    assert {(p["sop_instance"], p["renamed"]) for p in kit.rows(produced)} == {("1", True), ("2", False)}
