"""What a person may do to what is held or waits, by whatever name, and what no one may do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest
import sqlalchemy as sa

from node import acts
from node.engine.runs import Task
from node.index import jobs
from node.index.schema import delivery, history, job, produced, receipt
from node.model import ReceiptId
from tests import make
from tests.kit import Kit, changed

RULES = """
destinations:
  a: {folder: ./a}
  b: {folder: ./b}
routes: [{name: all, when: always, late: LATE, steps: [{forward: a}, {forward: b}]}]
"""
SERIES = make.uid("study", "series")


def made(kit: Kit, late: str = "rerun", count: int = 2) -> tuple[str, list[ReceiptId]]:
    kit.rules(RULES.replace("LATE", late))
    receipts = kit.index(*make.ct_series(count))
    (key,) = kit.close()
    return key, receipts


def held_job(kit: Kit, count: int = 2) -> tuple[str, list[ReceiptId]]:
    key, receipts = made(kit, count=count)
    with kit.database.durable.begin() as connection:
        jobs.hold(connection, key, "a codec failed", 1.0)
    return key, receipts


def sending(kit: Kit, *, held: bool) -> tuple[str, str, list[ReceiptId]]:
    """A job that is done, and its delivery to `a`, in the engine too."""
    job_id, receipts = made(kit)
    key = kit.put(job_id, "a", *(kit.goods(f"{n}", r) for n, r in enumerate(receipts)))
    with kit.database.durable.begin() as connection:
        jobs.send_nothing(connection, job_id, "b", receipts)
        jobs.finish(connection, job_id, 1.0)
    if held:
        kit.outbox.hold(kit.read(key)[0], "gave up")
    return job_id, key, receipts


def runs(kit: Kit, key: str) -> int:
    """How often a job or delivery is in the engine, whatever became of it."""
    return len([f for f in kit.engine._list() if f":{key}:" in f.workflow_id])


# ---- retry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["all", "study", "series", "instance", "receipt", "job", "route"])
def test_a_held_job_runs_again_by_any_of_its_names(kit: Kit, subject: str) -> None:
    key, receipts = held_job(kit)
    names = {
        "study": make.uid("study"), "series": SERIES, "instance": make.uid("study", "series", 1),
        "receipt": receipts[0], "job": key, "route": "all",
    }  # fmt: skip
    assert kit.acts().retry(names.get(subject, subject)).lines == (f"job {key} runs again",)
    assert kit.jobs() == {key: "queued"}
    assert runs(kit, key) == 2
    assert kit.balance() == {"in_job": 2}
    assert [h["text"] for h in kit.rows(history)] == ["retry by a person"]


def test_nothing_is_done_for_a_name_that_nothing_has(kit: Kit) -> None:
    held_job(kit)
    for act in (kit.acts().retry, kit.acts().release, kit.acts().drop):
        assert not act("1.2.3")


@pytest.mark.parametrize("subject", ["all", "a", "delivery", "job"])
def test_a_held_delivery_is_sent_again(kit: Kit, subject: str) -> None:
    job_id, key, receipts = sending(kit, held=True)
    name = {"delivery": key, "job": job_id}.get(subject, subject)
    assert kit.acts().retry(name).lines == (f"delivery {key} is sent again",)
    assert kit.parcels(key) == ["waiting", "waiting"]
    assert kit.owed(job_id, "a") == dict.fromkeys(receipts, "waiting")
    assert runs(kit, key) == 1
    assert kit.jobs() == {job_id: "done"}, "the job is over; only its delivery goes on"
    (row,) = kit.rows(delivery)
    assert (row["tries"], row["failures"], row["reason"]) == (2, 0, "")


def test_a_delivery_that_waits_for_its_time_is_tried_now(kit: Kit) -> None:
    _, key, _ = sending(kit, held=False)
    with kit.database.durable.begin() as connection:
        kit.engine.enqueue_delivery(connection, key, "a", 2, delay=timedelta(hours=1))
    assert kit.acts().retry("a").lines == (f"delivery {key} is tried now",)
    assert kit.acts().retry("b").lines == ()


def test_an_unknown_destination_keeps_its_delivery_held(kit: Kit) -> None:
    _, key, _ = sending(kit, held=True)
    kit.rules("routes: [{name: all, when: always, steps: [drop]}]")
    assert "not in rules.yaml" in kit.acts().retry("all").lines[0]
    assert kit.deliveries() == {key: "held"}


def test_what_is_held_in_the_job_and_what_is_held_in_its_delivery_each_go_their_way(kit: Kit) -> None:
    """To put everything held back to waiting would leave what has no file there waiting for ever."""
    job_id, receipts = made(kit)
    with kit.database.durable.begin() as connection:
        jobs.hold_receipts(connection, job_id, receipts[:1], "broken")
    key = kit.put(job_id, "a", kit.goods("1", receipts[1]))
    with kit.database.durable.begin() as connection:
        jobs.send_nothing(connection, job_id, "b", receipts)
        jobs.finish(connection, job_id, 1.0)
    kit.outbox.hold(kit.read(key)[0], "gave up")
    assert kit.acts().retry("a").lines == (f"delivery {key} is sent again",)
    assert kit.owed(job_id, "a") == {receipts[0]: "held", receipts[1]: "waiting"}
    assert kit.acts().retry(job_id).lines == (f"job {job_id} runs again",)
    assert kit.owed(job_id, "a") == {receipts[0]: "in_job", receipts[1]: "waiting"}


def test_an_earlier_generation_is_not_run_after_a_later_one(kit: Kit) -> None:
    key, _ = held_job(kit)
    kit.index(make.instance(number=9))
    (second,) = kit.close()
    kit.write(sa.update(job).where(job.c.id == key).values(state="held"))
    assert "generation 2 works on all of it" in kit.acts().retry(key).lines[0]
    assert kit.jobs() == {key: "done", second: "queued"}


# ---- release -----------------------------------------------------------------------------------------------


def test_a_job_held_for_a_member_proceeds_when_it_is_released(kit: Kit) -> None:
    key, _ = held_job(kit)
    kit.acts().release(key)
    assert '"partial": "proceed"' in kit.rows(job)[0]["plan"]
    assert kit.jobs() == {key: "queued"}


def test_a_retry_does_not_decide_to_proceed(kit: Kit) -> None:
    key, _ = held_job(kit)
    kit.acts().retry(key)
    assert '"partial": "hold"' in kit.rows(job)[0]["plan"]


def test_a_loop_that_is_released_goes_through_the_routes(kit: Kit) -> None:
    kit.rules(RULES.replace("LATE", "rerun"))
    arrival = kit.arrival(make.instance())
    uid = arrival.identity.sop_instance
    kit.write(sa.insert(produced).values(sop_instance=uid, content="", renamed=True))
    kit.record(arrival)
    assert kit.balance() == {"held": 1}
    assert kit.acts().retry("all").lines == (), "to try again decides nothing"
    assert kit.acts().release(uid).lines == (f"instance {arrival.receipt} goes on",)
    (key,) = kit.close()
    assert kit.owed(key, "a") == {arrival.receipt: "in_job"}


def test_a_released_instance_takes_the_place_of_the_current_one(kit: Kit) -> None:
    _, receipts = made(kit, count=1)
    (other,) = kit.index(changed(make.ct_series(1)[0], SeriesInstanceUID=make.uid("another")))
    assert kit.acts().release(other)
    assert kit.receipts() == {receipts[0]: "superseded", other: "current"}
    assert kit.balance() == {"superseded": 1, "in_job": 1}


def test_what_cannot_be_named_stays_held(kit: Kit) -> None:
    kit.index(make.instance())
    kit.write(sa.update(receipt).values(state="held", sop_instance=""))
    assert "stays held" in kit.acts().release("all").lines[0]
    assert set(kit.receipts().values()) == {"held"}


# ---- drop --------------------------------------------------------------------------------------------------


def test_a_dropped_job_is_over(kit: Kit) -> None:
    key, _ = held_job(kit)
    assert kit.acts().drop(key).lines == (f"job {key}: 4 obligations are dropped",)
    assert kit.jobs() == {key: "dropped"}
    assert kit.balance() == {"dropped": 2}
    assert not kit.acts().retry("all")


def test_dropping_all_looks_into_no_job_that_is_over(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node has thousands of those, and its write lock is held meanwhile."""
    held, _ = held_job(kit)
    receipts = kit.index(*make.ct_series(2, series="second"))
    (over,) = [key for key in kit.close() if key != held]
    with kit.database.durable.begin() as connection:
        for name in ("a", "b"):
            jobs.send_nothing(connection, over, name, receipts)
        jobs.finish(connection, over, 1.0)
    looked, drop = list[str](), acts.drop_in_job

    def noted(connection: sa.Connection, job_id: str, receipts: Collection[str] | None, now: float) -> int:
        looked.append(job_id)
        return drop(connection, job_id, receipts, now)

    monkeypatch.setattr(acts, "drop_in_job", noted)
    kit.acts().drop("all")
    assert looked == [held]


def test_dropping_one_instance_drops_no_other(kit: Kit) -> None:
    key, receipts = held_job(kit, count=3)
    assert kit.acts().drop(make.uid("study", "series", 2))
    assert kit.jobs() == {key: "held"}
    assert kit.balance() == {"held": 2, "dropped": 1}
    kit.acts().retry(key)
    assert kit.owed(key, "a") == {receipts[0]: "in_job", receipts[1]: "dropped", receipts[2]: "in_job"}


def test_dropping_one_instance_of_a_delivery_sends_the_others(kit: Kit) -> None:
    job_id, key, receipts = sending(kit, held=False)
    assert kit.acts().drop(receipts[0]).lines == (f"delivery {key}: 1 files are dropped",)
    assert kit.parcels(key) == ["dropped", "waiting"]
    assert kit.owed(job_id, "a") == {receipts[0]: "dropped", receipts[1]: "waiting"}


@pytest.mark.parametrize("subject", ["all", "a", "series"])
@pytest.mark.parametrize("held", [True, False])
def test_a_dropped_delivery_is_over_also_in_the_engine(kit: Kit, subject: str, held: bool) -> None:
    _, key, _ = sending(kit, held=held)
    if not held:
        with kit.database.durable.begin() as connection:
            kit.engine.enqueue_delivery(connection, key, "a", 2)
    assert kit.acts().drop(SERIES if subject == "series" else subject)
    assert kit.deliveries() == {key: "dropped"}
    assert kit.engine.cancel(Task.DELIVERY, key) == 0, "nothing of it is active any more"
    assert kit.balance() == {"dropped": 2}


def test_an_instance_held_at_receipt_is_dropped(kit: Kit) -> None:
    kit.record(kit.arrival(make.instance(), held="it has no provenance"))
    (held,) = kit.receipts()
    assert kit.acts().drop("all").lines == (f"instance {held} is dropped",)
    assert kit.balance() == {"dropped": 1}


def test_what_no_route_took_is_matched_again_when_a_route_has_come(kit: Kit) -> None:
    kit.rules("routes: [{name: none, when: {Modality: US}, steps: [{set: {remove: [PatientComments]}}]}]")
    kit.index(*make.ct_series(2))
    assert kit.close() == []
    assert kit.balance() == {"unrouted": 2}
    assert not kit.acts().release("all")  # what is unrouted is many, and needs a name
    kit.rules(RULES.replace("LATE", "rerun"))
    assert any("matched again" in line for line in kit.acts().release(SERIES).lines)
    assert kit.balance() == {"in_job": 2}
    (key,) = kit.close()
    assert key.endswith(".2.all")
    assert not any("matched again" in line for line in kit.acts().release(SERIES).lines)
