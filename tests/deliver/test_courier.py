"""Deliveries end, wait, or are held, each for a reason; what was acknowledged is not sent again."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa
from pydicom.dataset import FileDataset

from node.config import Destination
from node.deliver.base import Outcome, Parcel, Record, Result, Target
from node.engine.runs import DONE, STOP
from node.errors import CannotSucceed, TryAgain
from node.index import jobs
from node.index.schema import delivery, history, parcel
from node.model import ReceiptId
from node.outbox import FILE_GONE, Delivery
from tests import make
from tests.kit import Kit, changed
from tests.peers import Recorder, free_port
from tests.spool.disk import Disk

ROUTES = "routes: [{name: r, when: always, late: LATE, steps: [{forward: a}]}]"


def rules(destination: str, *, late: str = "rerun") -> str:
    return f"destinations: {{a: {{{destination}}}}}\n{ROUTES.replace('LATE', late)}"


def to(port: int, more: str = "") -> str:
    return rules(f"dicom: ARCHIVE@127.0.0.1:{port}{more}")


def put(kit: Kit, text: str, instances: Sequence[FileDataset]) -> tuple[str, list[ReceiptId]]:
    """A job whose files wait for destination `a`; its delivery, and its receipts."""
    kit.rules(text)
    receipts = kit.index(*instances)
    (job_id,) = kit.close()
    assert kit.run(job_id) == DONE
    return f"{job_id}>a", receipts


def owed(kit: Kit, key: str) -> list[str]:
    """In order of receipt."""
    return [state for _, state in sorted(kit.owed(key.removesuffix(">a")).items())]


def said(kit: Kit) -> list[str]:
    return [h["text"] for h in kit.rows(history, history.c.what == "delivery")]


def uids(instances: Sequence[FileDataset]) -> list[str]:
    return [str(ds.SOPInstanceUID) for ds in instances]


# ---- an application entity ---------------------------------------------------------------------------------


def test_what_waits_is_sent_and_settled(working: Kit) -> None:
    instances = make.ct_series(3)
    with Recorder() as archive:
        key, _ = put(working, to(archive.port), instances)
        assert working.courier().deliver(key, 1) == DONE
        assert sorted(archive.uids) == sorted(uids(instances))
        assert working.courier().deliver(key, 1) == STOP, "it is over"
        assert len(archive.received) == 3
    assert working.deliveries() == {key: "delivered"}
    assert working.balance() == {"delivered": 3}
    assert said(working) == ["a: delivered"]


def test_one_that_is_refused_is_held_and_the_others_go(working: Kit) -> None:
    instances = make.ct_series(3)
    bad = uids(instances)[1]
    with Recorder(refuse=0x0117, refuse_when=lambda one: one.sop_instance == bad) as archive:
        key, receipts = put(working, to(archive.port), instances)
        assert working.courier().deliver(key, 1) == DONE
        assert len(archive.received) == 2
    assert working.deliveries() == {key: "held"}
    assert working.owed(key.removesuffix(">a")) == dict(zip(receipts, ("delivered", "held", "delivered"), strict=True))
    assert working.reasons(key.removesuffix(">a")) == {"ARCHIVE answered 0x0117 invalid SOP instance"}


def test_what_the_destination_asks_for_again_comes_again_alone(working: Kit) -> None:
    instances = make.ct_series(3)
    full = uids(instances)[0]
    with Recorder(refuse=0xA700, refuse_when=lambda one: one.sop_instance == full) as archive:
        key, _ = put(working, to(archive.port, ", retry: {first: 10s}"), instances)
        outcome = working.courier().deliver(key, 1)
        assert outcome.verdict == "again"
        assert 9 <= outcome.after <= 10
        assert sorted(working.parcels(key)) == ["delivered", "delivered", "waiting"]
        (row,) = working.rows(delivery)
        assert (row["failures"], row["reason"]) == (1, "ARCHIVE answered 0xA700 refused: out of resources")
        assert row["next_at"] is not None
        archive.refuse = None
        assert working.courier().deliver(key, 2) == DONE
        assert archive.uids[-1] == full
        assert len(archive.received) == 3, "the two others were not sent again"


def test_a_disk_that_fails_at_the_end_holds_nothing_and_sends_nothing_again(
    working: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder() as archive:
        key, _ = put(working, to(archive.port, ", retry: {first: 1s}"), make.ct_series(2))
        disk = Disk(working.data, {"remove": {0: errno.EIO}})
        monkeypatch.setattr(working.outbox, "_files", disk)
        assert working.courier().deliver(key, 1).verdict == "again"
        assert working.deliveries() == {key: "waiting"}
        disk.faults = {}
        assert working.courier().deliver(key, 2) == DONE
        assert len(archive.received) == 2
    assert working.deliveries() == {key: "delivered"}


def test_an_association_that_breaks_is_taken_up_where_it_was(working: Kit) -> None:
    instances = make.ct_series(4)
    with Recorder(abort_after=2) as archive:
        key, _ = put(working, to(archive.port), instances)
        assert working.courier().deliver(key, 1).verdict == "again"
        assert working.parcels(key).count("delivered") == 2
        archive.abort_after = None
        assert working.courier().deliver(key, 2) == DONE
        assert sorted(archive.uids) == sorted(uids(instances)), "each once"


def test_a_destination_that_does_not_answer_is_tried_later_and_at_last_given_up(working: Kit) -> None:
    key, receipts = put(working, to(free_port(), ", retry: {first: 1s, give_up: 1h}"), make.ct_series(2))
    waits = [working.courier().deliver(key, attempt).after for attempt in (1, 2, 3)]
    assert waits[0] <= 1 < waits[1] <= 2 < waits[2] <= 4
    assert owed(working, key) == ["waiting", "waiting"]
    working.write(sa.update(delivery).values(failing_since=delivery.c.failing_since - 3601))
    assert working.courier().deliver(key, 4) == STOP
    assert working.deliveries() == {key: "held"}
    assert working.owed(key.removesuffix(">a")) == dict.fromkeys(receipts, "held")
    assert "gave up after 4 tries" in working.reasons(key.removesuffix(">a")).pop()
    assert len(said(working)) == 5


# ---- the guard at the exit ---------------------------------------------------------------------------------


def test_what_the_destination_does_not_accept_is_held_and_never_sent(working: Kit) -> None:
    with Recorder() as archive:
        key, _ = put(working, to(archive.port), make.ct_series(1))
        working.rules(to(archive.port, ", accepts: identified"))
        changed_mind = working.config.destinations["a"].model_copy(update={"accepts": "deidentified"})
        courier = working.courier()
        working.config = working.config.model_copy(update={"destinations": {"a": changed_mind}})
        assert courier.deliver(key, 1) == STOP
        assert working.reasons(key.removesuffix(">a")) == {"a accepts deidentified, this is identified"}
        working.acts().release(key)
        assert courier.deliver(key, 2) == STOP, "not a person's to release"
        assert archive.received == []
    assert working.balance() == {"held": 1}


def test_a_destination_that_is_gone_holds_the_delivery(working: Kit) -> None:
    key, _ = put(working, to(free_port()), make.ct_series(1))
    working.rules("routes: [{name: r, when: always, steps: [drop]}]")
    assert working.courier().deliver(key, 1) == STOP
    assert working.reasons(key.removesuffix(">a")) == {'destination "a" is not in rules.yaml any more'}


def test_a_delivery_that_nobody_knows_is_not_sent(working: Kit) -> None:
    assert working.courier().deliver("no such", 1) == STOP


# ---- again -------------------------------------------------------------------------------------------------


def test_a_rerun_sends_only_what_changed(working: Kit) -> None:
    with Recorder() as archive:
        first, _ = put(working, to(archive.port), make.ct_series(2))
        working.courier().deliver(first, 1)
        late = make.instance(number=9)
        newer = changed(make.ct_series(1)[0], KVP=80)
        second, _ = put(working, to(archive.port), [late])
        working.index(newer)
        working.duplicates().judge()
        assert working.courier().deliver(second, 1) == DONE
        assert archive.uids[2:] == uids([late])
        (third,) = working.close()
        working.run(third)
        assert working.courier().deliver(f"{third}>a", 1) == DONE
        assert archive.uids[3:] == uids([newer])
    assert working.balance() == {"delivered": 3, "superseded": 1}


def test_another_machine_under_the_same_name_gets_everything(working: Kit) -> None:
    with Recorder() as old:
        first, _ = put(working, to(old.port), make.ct_series(2))
        working.courier().deliver(first, 1)
    with Recorder() as new:
        second, _ = put(working, to(new.port), [make.instance(number=9)])
        assert working.courier().deliver(second, 1) == DONE
        assert len(new.received) == 3


def test_an_earlier_generation_does_not_arrive_after_a_later_one(working: Kit) -> None:
    port = free_port()
    first, _ = put(working, to(port), make.ct_series(2))
    assert working.courier().deliver(first, 1).verdict == "again"
    second, _ = put(working, to(port), [make.instance(number=9)])
    with Recorder(port=port) as archive:
        assert working.courier().deliver(second, 1) == DONE
        assert working.courier().deliver(first, 2) == STOP
        assert len(archive.received) == 3
    assert working.balance() == {"delivered": 3}


@pytest.mark.parametrize("late", ["rerun", "delta"])
def test_a_later_generation_waits_for_what_the_earlier_has_in_flight(working: Kit, late: str) -> None:
    """Else it could be sent twice, or the older content arrive last."""
    with Recorder() as archive:
        rules_ = to(archive.port).replace("late: rerun", f"late: {late}")
        first, _ = put(working, rules_, make.ct_series(1))
        second, _ = put(working, rules_, [make.instance(number=9)])
        courier = replace(working.courier(), under_way=lambda key: key == first)
        outcome = courier.deliver(second, 1)
        assert outcome.verdict == "again"
        assert len(archive.received) == 0
        assert replace(courier, under_way=lambda key: False).deliver(second, 2).verdict in ("done", "stop")


def corrected(kit: Kit, port: int, late: str, instance: FileDataset) -> str:
    """The same instance again, with other content; its delivery, released when its route holds late arrivals."""
    kit.rules(to(port).replace("late: rerun", f"late: {late}"))
    kit.index(changed(instance, KVP=80))
    kit.duplicates().judge()
    (job_id,) = kit.close()
    if late == "hold":
        assert kit.acts().release(job_id)
    assert kit.run(job_id) == DONE
    return f"{job_id}>a"


@pytest.mark.parametrize("late", ["rerun", "delta", "hold"])
@pytest.mark.parametrize("became", ["waits", "held"])
def test_older_content_does_not_arrive_after_newer(working: Kit, late: str, became: str) -> None:
    port = free_port()
    one, other = make.ct_series(2)
    first, _ = put(working, to(port), [one, other])
    assert working.courier().deliver(first, 1).verdict == "again"
    if became == "held":
        working.outbox.hold(working.read(first)[0], "gave up")
    second = corrected(working, port, late, one)
    with Recorder(port=port) as archive:
        assert working.courier().deliver(second, 1) == DONE
        working.acts().retry("all")
        working.courier().deliver(first, 2)
        assert sorted(archive.uids) == sorted(uids([one, other]))
        assert archive.uids.count(uids([one])[0]) == 1, "the older content stays here"
    assert working.balance() == {"delivered": 2, "superseded": 1}
    assert working.ledger().obligations["replaced"] == (2 if late == "rerun" else 1)


def test_a_job_that_runs_after_a_later_delta_does_not_bring_older_content(working: Kit) -> None:
    port = free_port()
    one, other = make.ct_series(2)
    working.rules(to(port))
    working.index(one, other)
    (first,) = working.close()
    with working.database.durable.begin() as connection:
        jobs.hold(connection, first, "a codec failed", 1.0)
    second = corrected(working, port, "delta", one)
    with Recorder(port=port) as archive:
        assert working.courier().deliver(second, 1) == DONE
        assert working.acts().retry(first)
        assert working.run(first) == DONE
        assert working.courier().deliver(f"{first}>a", 1) == DONE
        assert archive.uids == uids([one, other])
    assert working.balance() == {"delivered": 2, "superseded": 1}


@pytest.mark.parametrize("what", ["dicom", "folder"])
def test_a_file_that_is_gone_is_made_again_by_its_job_when_a_person_retries(working: Kit, what: str) -> None:
    (working.data / "a").mkdir()
    instances = make.ct_series(2)
    with Recorder() as archive:
        key, _ = put(working, to(archive.port) if what == "dicom" else rules("folder: ./a"), instances)
        job_id = key.removesuffix(">a")
        working.read(key)[1][0].path.unlink()
        assert working.courier().deliver(key, 1) == DONE
        assert working.deliveries() == {key: "held"}
        assert working.reasons(job_id) == {FILE_GONE}
        assert working.acts().retry(key).lines == (
            f"delivery {key} is sent when job {job_id} has made its files again",
        )
        assert working.jobs() == {job_id: "queued"}
        assert working.balance() == {"in_job": 1, "delivered": 1}
        assert working.run(job_id) == DONE
        assert working.courier().deliver(key, 2) == DONE
        if what == "dicom":
            assert sorted(archive.uids) == sorted(uids(instances)), "the other was not sent again"
        else:
            assert len(files(working)) == 2
    assert working.balance() == {"delivered": 2}


# ---- a folder ----------------------------------------------------------------------------------------------


def files(kit: Kit) -> list[str]:
    return sorted(path.name for path in (kit.data / "a").rglob("*.dcm"))


def test_a_rerun_takes_out_of_a_folder_what_it_no_longer_has(working: Kit) -> None:
    (working.data / "a").mkdir()
    old, kept = make.ct_series(2)
    first, receipts = put(working, rules("folder: ./a"), [old, kept])
    working.courier().deliver(first, 1)
    assert files(working) == sorted(f"{uid}.dcm" for uid in uids([old, kept]))
    working.write(sa.text("UPDATE node_receipt SET state = 'superseded' WHERE id = :r").bindparams(r=receipts[0]))
    new = make.instance(number=9)
    second, _ = put(working, rules("folder: ./a"), [new])
    assert working.courier().deliver(second, 1) == DONE
    assert files(working) == sorted(f"{uid}.dcm" for uid in uids([kept, new]))


@pytest.mark.parametrize("order", ["early first", "late first"])
def test_a_delta_leaves_the_earlier_files_whichever_arrives_first(working: Kit, order: str) -> None:
    (working.data / "a").mkdir()
    early = make.ct_series(2)
    first, _ = put(working, rules("folder: ./a", late="delta"), early)
    late = make.instance(number=9)
    second, _ = put(working, rules("folder: ./a", late="delta"), [late])
    for key in (first, second) if order == "early first" else (second, first):
        assert working.courier().deliver(key, 1) == DONE
    assert files(working) == sorted(f"{uid}.dcm" for uid in uids([*early, late]))


def test_a_folder_that_is_not_there_is_waited_for(working: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    key, _ = put(working, rules("folder: ./a"), make.ct_series(1))
    assert working.courier().deliver(key, 1).verdict == "again"
    (working.data / "a").mkdir()
    assert working.courier().deliver(key, 2) == DONE
    assert (len(files(working)), caplog.messages[-1]) == (1, f"delivery {key}: delivered, after tries that failed")


# ---- in the middle of it -----------------------------------------------------------------------------------


@dataclass
class Scripted:
    """A target that does what the test says with each parcel."""

    answer: Callable[[Parcel], Result]
    brought: list[int]

    def deliver(self, parcels: Sequence[Parcel], record: Record, stop: Callable[[], bool]) -> None:
        for one in parcels:
            if stop():
                return
            self.brought.append(one.number)
            record(one, self.answer(one))

    def check(self) -> str:
        return "scripted"


def scripted(answer: Callable[[Parcel], Result]) -> tuple[Scripted, Callable[..., Target]]:
    target = Scripted(answer, [])

    def open(one: Delivery, destination: Destination, taken: Collection[str]) -> Target:
        return target

    return target, open


TAKEN = Result(outcome=Outcome.DELIVERED)


@pytest.mark.parametrize(("decide", "became"), [("drop", "delivered"), ("rerun", "dropped")])
def test_what_was_decided_while_it_was_sent_ends_it(working: Kit, decide: str, became: str) -> None:
    key, receipts = put(working, to(free_port()), make.ct_series(3))

    def answer(one: Parcel) -> Result:
        if one.number == 2:
            if decide == "drop":
                working.acts().drop(key)
            else:
                put(working, to(free_port()), [make.instance(number=9)])
        return TAKEN

    target, open = scripted(answer)
    assert working.courier(open).deliver(key, 1) == STOP
    assert target.brought == [1, 2], "the third is not sent any more"
    assert working.deliveries()[key] == became, "what had been brought stays delivered"
    first, second, third = sorted(receipts)
    of = working.owed(key.removesuffix(">a"))
    assert of[third] == ("dropped" if decide == "drop" else "replaced")
    assert {first, second} <= set(of)
    assert working.ledger().balanced


def test_a_bug_in_a_target_holds_the_delivery_and_says_no_values(
    working: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = put(working, to(free_port()), make.ct_series(1))

    def answer(one: Parcel) -> Result:
        raise ValueError("^".join(["Doe", "John"]))

    _, open = scripted(answer)
    with caplog.at_level(logging.ERROR):
        assert working.courier(open).deliver(key, 1) == STOP
    assert "a fault in the node (ValueError)" in working.reasons(key.removesuffix(">a")).pop()
    assert "Doe^John" not in caplog.text
    assert "test_courier.py" in caplog.text


@pytest.mark.parametrize(
    ("error", "verdict", "state"),
    [(CannotSucceed("no context fits"), "stop", "held"), (TryAgain("away"), "again", "waiting"),
     (OSError(5, "I/O error"), "again", "waiting"), (RuntimeError("can't start new thread"), "again", "waiting")],
)  # fmt: skip
def test_what_a_target_raises_goes_its_way(working: Kit, error: Exception, verdict: str, state: str) -> None:
    key, _ = put(working, to(free_port()), make.ct_series(1))

    def answer(one: Parcel) -> Result:
        raise error

    _, open = scripted(answer)
    assert working.courier(open).deliver(key, 1).verdict == verdict
    assert working.deliveries() == {key: state}


def test_a_node_that_stops_leaves_the_rest_for_the_next_start(working: Kit) -> None:
    key, _ = put(working, to(free_port()), make.ct_series(3))
    target, open = scripted(lambda one: TAKEN)
    courier = replace(working.courier(open), stop=lambda: len(target.brought) >= 1)
    assert courier.deliver(key, 1).verdict == "again"
    assert working.parcels(key) == ["delivered", "waiting", "waiting"]
    (row,) = working.rows(delivery)
    assert (row["state"], row["failures"]) == ("waiting", 0), "stopping is no failure"


def test_a_poisoned_delivery_is_held(working: Kit) -> None:
    key, _ = put(working, to(free_port()), make.ct_series(1))
    working.courier().poisoned(key, "the process died 4 times")
    working.courier().poisoned("no such", "why")
    assert working.deliveries() == {key: "held"}
    assert [p["reason"] for p in working.rows(parcel)] == ["the process died 4 times"]
