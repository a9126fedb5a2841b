"""Files go when all is over for them and their time has passed; everything else stays, and so does every row."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.acts import Acts
from node.commit.committer import Committer
from node.commit.spooled import damaged
from node.commitment import Committed, Proof
from node.dicom.commitment import Reference
from node.index import jobs
from node.index.schema import commitment, commitment_item, delivery, job, obligation, receipt
from node.model import UID, Disclosure, ReceiptId
from node.retention import Retention, _over
from node.run.results import job_folder
from tests import make
from tests.index.test_commitments import decided, recorded
from tests.kit import Kit, changed
from tests.spool.disk import Disk

DAY = 86_400.0
RULES = """
node: {{ae_title: NODE, data: {data}, keep: {{received: 7d, finished: 1d}}}}
destinations: {{a: {{folder: ./a}}}}
routes: [{{name: r, when: {{Modality: CT}}, late: LATE, steps: [{{forward: a}}]}}]
"""


def retention(kit: Kit) -> Retention:
    return Retention(
        database=kit.database, spool=kit.spool, outbox=kit.outbox, work=kit.data / "work", engine=kit.engine,
        config=lambda: kit.config, reach=kit.reach,
    )  # fmt: skip


def days_pass(kit: Kit, days: float) -> None:
    """As if everything had happened so much earlier."""
    kit.write(sa.update(receipt).values(received=receipt.c.received - days * DAY))
    kit.write(sa.update(job).values(finished=job.c.finished - days * DAY))
    for folder in (kit.data / "work", kit.data / "outbox"):
        for path in folder.iterdir() if folder.is_dir() else ():
            os.utime(path, (time.time() - days * DAY,) * 2)


def finished(kit: Kit, state: str = "delivered", count: int = 2, late: str = "rerun") -> tuple[str, list[ReceiptId]]:
    """A job that is done, and what it owed is in this state."""
    kit.rules(RULES.format(data=kit.data).replace("LATE", late))
    receipts = kit.index(*make.ct_series(count))
    (key,) = kit.close()
    delivery_key = kit.put(key, "a", *(kit.goods(str(n), r) for n, r in enumerate(receipts)))
    if state == "delivered":
        one, parcels = kit.read(delivery_key)
        kit.outbox.delivered(one, parcels)
        kit.outbox.finish(one)
    elif state == "held":
        kit.outbox.hold(kit.read(delivery_key)[0], "gave up")
    with kit.database.durable.begin() as connection:
        jobs.finish(connection, key, kit.database.now(connection))
    return key, receipts


def left(kit: Kit) -> set[str]:
    """Receipts whose file is in the spool."""
    return {path.stem for path in kit.spool.kept()}


# ---- instances ---------------------------------------------------------------------------------------------


def test_what_was_delivered_goes_after_its_time_and_its_row_stays(kit: Kit) -> None:
    _, receipts = finished(kit)
    days_pass(kit, 6)
    assert retention(kit).once()[0] == 0
    assert left(kit) == set(receipts)
    days_pass(kit, 2)
    assert retention(kit).once()[0] == 2
    assert left(kit) == set()
    assert all(row["path"] is None and row["header"] is None for row in kit.rows(receipt))
    assert kit.balance() == {"delivered": 2}
    assert retention(kit).once() == (0, 0)


@pytest.mark.parametrize("state", ["held", "waiting"])
def test_what_still_owes_something_stays(kit: Kit, state: str) -> None:
    _, receipts = finished(kit, state)
    days_pass(kit, 100)
    assert retention(kit).once()[0] == 0
    assert left(kit) == set(receipts)


def test_what_went_through_no_route_stays(kit: Kit) -> None:
    kit.rules(RULES.format(data=kit.data).replace("LATE", "rerun"))
    kit.index(make.instance(make.MR_IMAGE))
    kit.close()
    days_pass(kit, 100)
    retention(kit).once()
    assert len(left(kit)) == 1


def test_what_is_in_a_job_stays(kit: Kit) -> None:
    kit.rules(RULES.format(data=kit.data).replace("LATE", "rerun"))
    kit.index(make.instance())
    (key,) = kit.close()
    kit.write(sa.update(obligation).values(state="delivered"))
    kit.put(key, "a", kit.goods("1", *kit.receipts()))
    days_pass(kit, 100)
    retention(kit).once()
    assert len(left(kit)) == 1, "whatever is owed for it: the job still reads it"


def test_members_of_a_job_that_holds_another_stay_for_its_retry(kit: Kit) -> None:
    key, (first, second) = finished(kit)
    kit.write(sa.update(obligation).where(obligation.c.receipt == first).values(state="held"))
    days_pass(kit, 100)
    assert retention(kit).once()[0] == 0
    assert left(kit) == {first, second}
    kit.acts().drop(key)
    assert retention(kit).once()[0] == 2


def test_what_another_one_is_held_against_stays_till_that_is_decided(kit: Kit) -> None:
    _, receipts = finished(kit, count=1)
    (other,) = kit.index(changed(make.ct_series(1)[0], KVP=80))
    days_pass(kit, 100)
    assert retention(kit).once()[0] == 0
    kit.write(sa.update(receipt).where(receipt.c.id == other).values(state="superseded"))
    assert retention(kit).once()[0] == 2
    assert left(kit).isdisjoint(receipts)


def test_what_somebody_wants_committed_stays_till_that_is_answered(kit: Kit) -> None:
    _, receipts = finished(kit)
    wanted = Reference(UID(make.CT_IMAGE), UID(str(make.ct_series(1)[0].SOPInstanceUID)))
    recorded(kit, [wanted])
    days_pass(kit, 100)
    assert retention(kit).once()[0] == 1
    assert left(kit) == {receipts[0]}
    kit.write(sa.update(commitment).values(state="answered"))
    assert retention(kit).once()[0] == 1


STORED = "node: {{ae_title: NODE, data: {data}, commitment: stored}}\ndestinations: {{a: {destination}}}\n{more}"
FOLDER, CT1_ITSELF = "{folder: ./a}", '{dicom: "CT1@127.0.0.1:104"}'


def committed_from_the_spool(kit: Kit, destination: str, disclosure: Disclosure) -> ReceiptId:
    """One instance whose sender CT1 was told that it is in the spool, and what left here is long delivered."""
    route = "routes: [{name: r, when: {Modality: CT}, steps: [{forward: a}]}]"
    kit.rules(STORED.format(data=kit.data, destination=destination, more=route))
    ct = make.instance()
    (one,) = kit.index(ct)
    of = recorded(kit, [Reference(UID(make.CT_IMAGE), UID(str(ct.SOPInstanceUID)))], proof=Proof.STORED)
    decided(kit, of, i1=Committed("it is in the spool"))
    (key,) = kit.close()
    delivery_key = kit.put(key, "a", kit.goods(str(ct.SOPInstanceUID), one), disclosure=disclosure)
    sent, parcels = kit.read(delivery_key)
    kit.outbox.delivered(sent, parcels)
    kit.outbox.finish(sent)
    with kit.database.durable.begin() as connection:
        jobs.finish(connection, key, kit.database.now(connection))
    kit.write(sa.update(commitment).values(state="answered"))
    days_pass(kit, 100)
    return one


@pytest.mark.parametrize(
    ("destination", "disclosure"), [(FOLDER, Disclosure.DEIDENTIFIED), (CT1_ITSELF, Disclosure.IDENTIFIED)]
)
def test_what_was_committed_from_the_spool_stays_while_nobody_else_has_the_original(
    kit: Kit, destination: str, disclosure: Disclosure
) -> None:
    one = committed_from_the_spool(kit, destination, disclosure)
    assert retention(kit).once()[0] == 0
    assert left(kit) == {one}


def test_what_was_committed_from_the_spool_goes_when_its_original_was_delivered(kit: Kit) -> None:
    committed_from_the_spool(kit, FOLDER, Disclosure.IDENTIFIED)
    assert retention(kit).once()[0] == 1


def test_what_was_committed_from_the_spool_goes_when_a_person_drops_it(kit: Kit) -> None:
    one = committed_from_the_spool(kit, FOLDER, Disclosure.DEIDENTIFIED)
    acts = Acts(database=kit.database, engine=kit.engine, kinds=kit.config.routed, concurrent=lambda name: 1)
    assert acts.drop(one).lines == ("1 instances that were committed from the spool may go",)
    assert retention(kit).once()[0] == 1


@pytest.mark.parametrize("removed", ["before it is decided", "after it is decided"])
def test_retention_that_has_looked_and_a_request_for_commitment_do_not_pass_each_other(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, removed: str
) -> None:
    """The worst moment: nobody wants it when retention looks, it is there when the request is judged. Either it is
    committed and stays, or it goes and is not committed."""
    route = "routes: [{name: r, when: {Modality: CT}, steps: [drop]}]"
    kit.rules(STORED.format(data=kit.data, destination=FOLDER, more=route))
    ct = make.instance()
    (one,) = kit.index(ct)
    kit.write(sa.update(receipt).values(state="duplicate"))
    days_pass(kit, 100)
    looked, judged, go_on = threading.Event(), threading.Event(), threading.Event()

    def look_and_wait(*how: Any) -> list[str]:
        over = _over(*how)
        looked.set()
        go_on.wait(20)
        return over

    def judge_and_wait(instances: Collection[UID]) -> Mapping[UID, str]:
        found = damaged(kit.database, kit.spool, instances)
        judged.set()
        if removed == "before it is decided":
            go_on.set()
            removing.join(2)
        return found

    def ask() -> None:
        with suppress(sa.exc.OperationalError):
            recorded(kit, [Reference(UID(make.CT_IMAGE), UID(str(ct.SOPInstanceUID)))], proof=Proof.STORED)
            Committer(
                database=kit.database, presence=kit.presence, config=lambda: kit.config, here=lambda _: True,
                tell=lambda *_: "there", ask=lambda *_: None, damaged=judge_and_wait,
            ).once()  # fmt: skip

    monkeypatch.setattr("node.retention._over", look_and_wait)
    removing, asking = threading.Thread(target=retention(kit)._forget, args=([one],)), threading.Thread(target=ask)
    removing.start()
    assert looked.wait(10)
    asking.start()
    asking.join(0.5)  # it gets as far as the database lets it
    go_on.set()
    removing.join(30)
    asking.join(30)
    assert judged.is_set() or kit.database.durable.dialect.name == "sqlite"
    committed = [row["state"] for row in kit.rows(commitment_item)] == ["committed"]
    assert committed == (left(kit) == {one})


def test_an_open_unit_keeps_its_members(kit: Kit) -> None:
    _, receipts = finished(kit)
    days_pass(kit, 100)
    kit.index(make.instance(number=9))
    retention(kit).once()
    assert set(receipts) <= left(kit), "a rerun would work on all of them"


@pytest.mark.parametrize("state", ["duplicate", "superseded", "dropped"])
def test_what_was_decided_at_receipt_goes(kit: Kit, state: str) -> None:
    kit.index(make.instance())
    kit.write(sa.update(receipt).values(state=state))
    days_pass(kit, 8)
    assert retention(kit).once()[0] == 1


def test_a_crash_between_row_and_file_leaves_a_file_that_the_next_start_removes(kit: Kit) -> None:
    class Killed(BaseException):
        pass

    def reach(point: str) -> None:
        if point == "retention forgot":
            raise Killed

    finished(kit)
    days_pass(kit, 8)
    kit.reach = reach
    with pytest.raises(Killed):
        retention(kit).once()
    assert len(left(kit)) == 2
    kit.reach = kit.reached.append
    retention(kit).once()
    assert left(kit) == set()


def test_files_that_a_failing_disk_keeps_are_removed_when_it_works_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(kit)
    one = retention(kit)
    one.once()
    days_pass(kit, 8)
    disk = Disk(kit.data, {"remove": {0: errno.EIO}})
    monkeypatch.setattr(kit.spool, "files", disk)
    with pytest.raises(OSError, match="Input/output"):
        one.once()
    assert len(left(kit)) == 2
    disk.faults = {}
    one.once()
    assert left(kit) == set()


def test_a_late_arrival_between_the_look_and_the_removal_keeps_the_files(kit: Kit) -> None:
    _, receipts = finished(kit)
    days_pass(kit, 8)
    one = retention(kit)
    kit.index(make.instance(number=9))
    assert one._forget(sorted(receipts)) == 0
    assert set(receipts) <= left(kit)


def test_many_are_removed_in_groups(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.retention._GROUP", 2)
    finished(kit, count=5)
    days_pass(kit, 8)
    assert retention(kit).once()[0] == 5


# ---- folders -----------------------------------------------------------------------------------------------


def work_of(kit: Kit, key: str, tries: int = 1) -> Path:
    folder = job_folder(kit.data / "work", key, tries)
    folder.mkdir(parents=True)
    (folder / "0.json").write_text("{}")
    return folder


def test_work_folders_go_a_day_after_their_job(kit: Kit) -> None:
    key, _ = finished(kit)
    folders = [work_of(kit, key, tries) for tries in (1, 2)]
    kit.write(sa.update(job).values(tries=2))
    assert retention(kit).once()[1] == 0
    days_pass(kit, 2)
    assert retention(kit).once()[1] == 3, "two tries' work, and the empty folder of the delivery"
    assert not any(folder.exists() for folder in folders)


def test_a_job_that_is_not_over_keeps_its_folder(kit: Kit) -> None:
    key, _ = finished(kit)
    folder = work_of(kit, key)
    for state in ("queued", "running", "held"):
        days_pass(kit, 2)
        kit.write(sa.update(job).values(state=state))
        retention(kit).once()
        assert folder.exists()


def test_a_folder_that_no_job_has_goes_when_nobody_touched_it(kit: Kit) -> None:
    folder = work_of(kit, "1.1.nothing")
    assert retention(kit).once()[1] == 0
    days_pass(kit, 1)
    assert retention(kit).once()[1] == 1
    assert not folder.exists()


def test_folders_of_dropped_deliveries_go(kit: Kit) -> None:
    finished(kit, "waiting")
    kit.write(sa.update(delivery).values(state="dropped"))
    days_pass(kit, 2)
    assert retention(kit).once()[1] == 1


def test_it_does_its_work_now_and_then(kit: Kit) -> None:
    finished(kit)
    days_pass(kit, 8)
    one = retention(kit)
    one.sometimes()
    assert len(left(kit)) == 2, "it has only just started"
    one._last -= 301
    one.sometimes()
    assert left(kit) == set()
