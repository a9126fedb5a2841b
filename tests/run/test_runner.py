"""Jobs step by step: what is left where, what is owed after each, and what a crash or a fault leaves behind."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.engine.engine import Engine
from node.engine.runs import DONE, STOP
from node.index import jobs
from node.index.schema import history, job, obligation, parcel, receipt
from node.lifecycle import Body
from node.model import Disclosure, ReceiptId
from node.run import results
from node.steps import STEPS
from tests import make
from tests.kit import Kit
from tests.run.steps_for_tests import Obey, Pile

TO = "destinations: {a: {folder: ./a}, b: {folder: ./b}}\n"


def route(*steps: str, more: str = "") -> str:
    return f"{TO}routes: [{{name: r, when: always, steps: [{', '.join(steps)}]{more}}}]"


def wishing(*wishes: str) -> list[FileDataset]:
    found = make.ct_series(len(wishes))
    for ds, wanted in zip(found, wishes, strict=True):
        ds.ImageComments = wanted
    return found


def queued(kit: Kit, rules: str, instances: Sequence[FileDataset]) -> tuple[str, list[ReceiptId]]:
    kit.steps = {**STEPS, "obey": Obey, "pile": Pile}
    kit.rules(rules)
    receipts = kit.index(*instances)
    (key,) = kit.close()
    return key, receipts


def notes(kit: Kit, key: str, what: str) -> list[str]:
    return [h["text"] for h in kit.rows(history, history.c.subject == key, history.c.what == what)]


# ---- the whole way -----------------------------------------------------------------------------------------


def wait_for(until: Callable[[], object], story: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, story()
        time.sleep(0.02)


def test_a_series_goes_anonymized_from_the_spool_to_a_folder_by_the_engine(working: Kit) -> None:
    folder = working.data / "a"
    folder.mkdir()
    rules = """
destinations: {a: {folder: ./a, accepts: deidentified, concurrent: 1, layout: "{Modality}"}}
routes: [{name: r, when: always, steps: [anonymize, {forward: a}]}]
"""
    key, receipts = queued(working, rules, make.ct_series(3))
    engine = Engine(working.database.derived, working.data, "worker-1", poll=0.2, look=0.2)
    try:
        engine.launch(Body(runner=working.runner(), courier=working.courier()), [1])
        wait_for(lambda: set(working.owed(key).values()) == {"delivered"}, lambda: working.rows(history))
    finally:
        engine.stop(10)
    found = [dcmread(path) for path in folder.rglob("*.dcm")]
    assert len(found) == 3
    assert all(ds.PatientIdentityRemoved == "YES" and ds.PatientName != "Müster^Invented" for ds in found)
    assert working.jobs() == {key: "done"}
    assert working.deliveries() == {f"{key}>a": "delivered"}
    assert working.balance() == {"delivered": 3}
    assert set(working.owed(key)) == set(receipts)
    assert not any(path.is_file() for path in working.outbox.root.rglob("*"))


def test_each_step_of_each_generation_has_its_own_note_and_counts_all_of_it(working: Kit) -> None:
    """More instances than a worker is given at once, two steps of one name, and one instance that comes late."""
    sets = ("{set: {assign: {ImageComments: a}}}", "{set: {assign: {ImageComments: b}}}")
    *series, late = make.ct_series(25)
    first, _ = queued(working, route(*sets), series)
    working.run(first)
    working.index(late)
    (second,) = working.close()
    working.run(second)
    assert notes(working, first, "note") == ["set: 24 changed"] * 2
    assert notes(working, second, "note") == ["set: 25 changed"] * 2


def test_what_comes_back_after_it_was_made_here_is_held(working: Kit) -> None:
    rules = """
destinations: {a: {folder: ./a, accepts: deidentified}}
routes: [{name: r, when: always, steps: [anonymize, {forward: a}]}]
"""
    key, _ = queued(working, rules, make.ct_series(1))
    working.run(key)
    (row,) = working.rows(parcel, parcel.c.kind == "dicom")
    working.index(dcmread(working.outbox.root / row["path"]), calling="ARCHIVE")
    assert working.balance() == {"waiting": 1, "held": 1}


# ---- obligations -------------------------------------------------------------------------------------------


def test_what_is_owed_follows_each_step(working: Kit) -> None:
    wishes = wishing("", "hold", "drop")
    key, (good, held, dropped) = queued(working, route("obey", "{forward: a}", "{forward: b}"), wishes)
    runner = working.runner()
    assert runner.step(key, 0) == DONE
    assert working.jobs() == {key: "running"}
    assert working.owed(key, "b") == {good: "in_job", held: "held", dropped: "dropped"}
    assert runner.step(key, 1) == DONE
    assert working.owed(key, "a") == {good: "waiting", held: "held", dropped: "dropped"}
    assert working.owed(key, "b")[good] == "in_job"
    assert runner.step(key, 2) == DONE
    assert working.jobs() == {key: "done"}
    assert working.owed(key, "b")[good] == "waiting"
    assert working.balance() == {"waiting": 1, "held": 1, "dropped": 1}
    assert notes(working, key, "step") == [
        "1. obey: 1 dicom, 1 held", "2. forward: 1 dicom, 1 held", "3. forward: 1 dicom, 1 held",
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", ["hold", "fail"])
def test_what_a_step_held_stays_held_when_an_earlier_forward_to_there_delivers(working: Kit, wanted: str) -> None:
    (working.data / "a").mkdir()
    until = working.data / "not yet"
    until.touch()
    steps = ("{forward: a}", f"{{obey: {{until: {until}}}}}", "{forward: a}")
    key, (good, bad) = queued(working, route(*steps, more=", partial: proceed"), wishing("", wanted))
    assert working.runner().step(key, 0) == DONE
    until.unlink()
    for number in (1, 2):
        if working.runner().step(key, number) != DONE:
            break
    assert working.courier().deliver(f"{key}>a", 1) == DONE
    assert working.owed(key)[bad] == "held"
    assert any(reason.startswith("obey: ") for reason in working.reasons(key))
    assert working.balance()["held"] >= 1
    until.touch()
    assert working.acts().retry(key).lines == (f"job {key} runs again",)
    assert working.owed(key)[bad] == "in_job"
    assert working.run(key) == DONE
    assert working.courier().deliver(f"{key}>a", 2) == DONE
    assert working.owed(key) == {good: "delivered", bad: "delivered"}


def test_what_a_step_held_is_dropped_by_a_person_beside_what_was_delivered(working: Kit) -> None:
    (working.data / "a").mkdir()
    key, (good, bad) = queued(working, route("obey", "{forward: a}", more=", partial: proceed"), wishing("", "hold"))
    working.run(key)
    working.courier().deliver(f"{key}>a", 1)
    assert working.acts().drop(key).lines == (f"job {key}: 1 obligations are dropped",)
    assert working.owed(key) == {good: "delivered", bad: "dropped"}


def test_a_later_generation_does_not_send_what_a_person_dropped(working: Kit) -> None:
    (working.data / "a").mkdir()
    key, receipts = queued(working, route("{forward: a}", more=", late: rerun"), make.ct_series(2))
    working.run(key)
    working.acts().drop(receipts[0])
    (late,) = working.index(make.instance(number=9))
    (later,) = working.close()
    assert working.run(later) == DONE
    assert working.courier().deliver(f"{later}>a", 1) == DONE
    assert working.owed(later) == {receipts[0]: "dropped", receipts[1]: "delivered", late: "delivered"}
    assert len(list((working.data / "a").rglob("*.dcm"))) == 2


def test_a_route_that_sends_nowhere_produces(working: Kit) -> None:
    key, receipts = queued(working, route("obey"), wishing("", "hold"))
    assert working.run(key) == DONE
    assert working.owed(key, "output") == dict(zip(receipts, ("produced", "held"), strict=True))


def test_only_the_kinds_that_are_asked_for_are_sent(working: Kit) -> None:
    key, receipts = queued(working, route("pile", "{forward: {to: a, what: [nifti]}}", "{forward: b}"), wishing("", ""))
    working.run(key)
    assert [p["kind"] for p in working.rows(parcel, parcel.c.delivery == f"{key}>a")] == ["nifti"]
    assert len(working.parcels(f"{key}>b")) == 3
    assert working.owed(key, "a") == dict.fromkeys(receipts, "waiting"), "the volume stands for both"


def test_what_a_destination_gets_nothing_of_is_over_by_the_rule(working: Kit) -> None:
    key, receipts = queued(working, route("pile", "{forward: {to: a, what: [nifti]}}", "{forward: b}"), wishing("", ""))
    working.rules(route("{forward: a}").replace("{folder: ./a}", "{dicom: ARCHIVE@127.0.0.1:104}"))
    working.run(key)
    assert working.owed(key, "a") == dict.fromkeys(receipts, "dropped"), "an application entity takes no volume"
    assert working.owed(key, "b") == dict.fromkeys(receipts, "waiting")
    assert working.reasons(key) == {jobs.SENT_NOTHING}
    assert working.balance() == {"waiting": 2}


def test_a_second_forward_to_the_same_place_keeps_the_debt_in_the_job_till_then(working: Kit) -> None:
    """Or a job held in between would look delivered."""
    rules = route("{forward: {to: a, what: [dicom]}}", "obey", "pile", "{forward: {to: a, what: [nifti]}}")
    key, receipts = queued(working, rules, wishing("", ""))
    runner = working.runner()
    runner.step(key, 0)
    one, parcels = working.read(f"{key}>a")
    working.outbox.delivered(one, parcels)
    working.outbox.finish(one)
    assert set(working.owed(key).values()) == {"in_job"}
    for number in (1, 2, 3):
        assert runner.step(key, number) == DONE
    assert working.parcels(f"{key}>a") == ["delivered", "delivered", "waiting"]
    assert working.owed(key) == dict.fromkeys(receipts, "waiting")


def test_a_job_that_is_run_again_does_not_send_what_a_person_dropped(working: Kit) -> None:
    key, (first, second) = queued(working, route("{forward: a}", "obey", "{forward: b}"), wishing("", "fail"))
    runner = working.runner()
    runner.step(key, 0)
    working.acts().drop(first)
    runner.step(key, 1)
    runner.step(key, 2)
    assert working.jobs() == {key: "done"}
    assert working.owed(key, "b") == {first: "waiting", second: "held"}
    working.acts().retry(key)
    working.run(key)
    assert working.owed(key, "a") == {first: "dropped", second: "waiting"}
    assert working.parcels(f"{key}>a") == ["dropped", "waiting"]


def test_a_delivery_carries_what_the_batch_discloses(working: Kit) -> None:
    key, _ = queued(working, route("{forward: a}", "{obey: {hides: true}}", "{forward: b}"), wishing("", ""))
    working.run(key)
    assert working.read(f"{key}>a")[0].disclosure is Disclosure.IDENTIFIED
    assert working.read(f"{key}>b")[0].disclosure is Disclosure.DEIDENTIFIED


# ---- held members ------------------------------------------------------------------------------------------


def test_a_step_over_the_whole_unit_waits_for_a_person_when_a_member_is_held(working: Kit) -> None:
    key, receipts = queued(working, route("obey", "pile", "{forward: a}"), wishing("", "hold"))
    assert working.run(key) == STOP
    assert working.jobs() == {key: "held"}
    assert working.owed(key) == dict.fromkeys(receipts, "held")
    assert working.reasons(key) == {
        "obey: it asked to be held",
        "pile: 1 of its instances were held before it, and it needs all of them; "
        "`partial: proceed` in the route goes on without them. The first one: it asked to be held",
    }
    assert working.acts().release(key)
    assert working.run(key) == DONE
    assert working.owed(key) == {receipts[0]: "waiting", receipts[1]: "held"}


def test_a_route_may_proceed_without_held_members(working: Kit) -> None:
    rules = route("obey", "pile", "{forward: a}", more=", partial: proceed")
    key, receipts = queued(working, rules, wishing("", "hold"))
    assert working.run(key) == DONE
    assert working.owed(key) == {receipts[0]: "waiting", receipts[1]: "held"}


def test_an_instance_that_kills_its_worker_is_held_alone(working: Kit) -> None:
    key, receipts = queued(working, route("obey", "{forward: a}"), wishing("", "die", ""))
    assert working.run(key) == DONE
    assert working.owed(key) == dict(zip(receipts, ("waiting", "held", "waiting"), strict=True))


def test_a_held_member_that_is_retried_and_works_is_all_that_is_sent(working: Kit, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    rules = route(f"{{obey: {{until: '{mended}'}}}}", "{forward: a}")
    key, receipts = queued(working, rules, wishing("", "hold"))
    working.run(key)
    one, parcels = working.read(f"{key}>a")
    working.outbox.delivered(one, parcels)
    working.outbox.finish(one)
    assert working.balance() == {"delivered": 1, "held": 1}
    mended.touch()
    assert working.acts().retry(receipts[1])
    assert working.run(key) == DONE
    assert working.parcels(f"{key}>a") == ["delivered", "waiting"]
    assert working.balance() == {"delivered": 1, "waiting": 1}


# ---- work folders ------------------------------------------------------------------------------------------


def test_what_another_job_left_under_the_same_id_is_not_believed(working: Kit) -> None:
    """After a restore units are numbered on from those of the backup, so ids come again for other patients."""
    rules = route("obey", "{forward: a}")
    first, (before,) = queued(working, rules, make.ct_series(1, series="first"))
    assert working.run(first) == DONE
    left = results.job_folder(working.data / "work", first, 1)
    second, (now,) = queued(working, rules, make.ct_series(1, series="second"))
    left.rename(results.job_folder(working.data / "work", second, 1))
    assert working.run(second) == DONE
    (sent,) = working.rows(parcel, parcel.c.delivery == f"{second}>a")
    assert (str(now) in sent["sources"], str(before) in sent["sources"]) == (True, False)
    assert dcmread(working.outbox.root / sent["path"]).SeriesInstanceUID == make.uid("study", "second")


# ---- faults ------------------------------------------------------------------------------------------------


def test_one_that_vanishes_holds_the_job(working: Kit) -> None:
    key, _ = queued(working, route("obey", "{forward: a}"), wishing("", "vanish"))
    assert working.run(key) == STOP
    assert working.reasons(key) == {"obey: 1 instances went in and neither came out nor were held"}
    assert working.rows(parcel) == []


@pytest.mark.parametrize("wanted", ["again", "full"])
def test_what_is_the_worlds_fault_is_tried_again(working: Kit, wanted: str) -> None:
    key, _ = queued(working, route("obey"), wishing(wanted))
    outcome = working.run(key)
    assert (outcome.verdict, outcome.after) == ("again", 5.0)
    assert working.jobs() == {key: "running"}


@pytest.mark.parametrize(
    ("wanted", "why"),
    [("fail", "obey: it asked to fail"), ("bug", "obey: a fault in the node (ValueError in steps_for_tests.py:")],
)
def test_a_single_instance_that_fails_holds_its_job(
    working: Kit, wanted: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = queued(working, route("obey", "{forward: a}"), wishing(wanted))
    with caplog.at_level(logging.WARNING):
        assert working.run(key) == STOP
    assert working.jobs() == {key: "held"}
    (row,) = working.rows(job)
    assert row["reason"].startswith(why)
    assert notes(working, key, "note") == [f"held: {row['reason']}"]
    assert working.runner().step(key, 0) == STOP, "a held job is not run"


def test_a_destination_that_is_gone_holds_the_job(working: Kit) -> None:
    key, _ = queued(working, route("{forward: a}"), wishing(""))
    working.rules("routes: [{name: r, when: always, steps: [drop]}]")
    assert working.run(key) == STOP
    assert "not in rules.yaml any more" in working.reasons(key).pop()


def test_an_instance_that_left_the_spool_holds_the_job(working: Kit) -> None:
    key, _ = queued(working, route("obey"), wishing("", ""))
    working.write(sa.update(receipt).where(receipt.c.id == min(working.receipts())).values(path=None))
    assert working.run(key) == STOP
    assert "1 of 2 instances are no longer in the spool" in working.reasons(key).pop()


def test_a_poisoned_job_is_held_with_the_engines_reason(working: Kit) -> None:
    key, _ = queued(working, route("obey"), wishing(""))
    working.runner().poisoned(key, "the process died 4 times in step 0")
    working.runner().poisoned("no such job", "why")
    assert working.jobs() == {key: "held"}
    assert working.reasons(key) == {"the process died 4 times in step 0"}


def test_a_job_that_nobody_knows_is_not_run(working: Kit) -> None:
    assert working.runner().step("1.1.nothing", 0) == STOP


def test_a_later_generation_waits_for_the_earlier(working: Kit) -> None:
    first, _ = queued(working, route("obey"), wishing(""))
    working.index(make.instance(number=9))
    (second,) = working.close()
    assert working.run(second).verdict == "again"
    assert working.jobs()[second] == "queued"
    working.run(first)
    assert working.run(second) == DONE


# ---- crashes -----------------------------------------------------------------------------------------------


def made_by(kit: Kit, key: str) -> dict[str, tuple[int, int]]:
    """Every file that steps left: its inode, and when it was written."""
    folder = results.job_folder(kit.data / "work", key, 1)
    found = {str(p.relative_to(folder)): p.stat() for p in folder.rglob("*.dcm")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in found.items()}


def test_a_job_goes_on_with_what_finished_steps_left(working: Kit) -> None:
    key, _ = queued(working, route("obey", "obey", "{forward: a}"), wishing("", ""))
    working.runner().step(key, 0)
    before = made_by(working, key)
    working.runner().step(key, 0)
    working.runner().step(key, 1)
    after = made_by(working, key)
    assert before.items() <= after.items(), "the first step's files were not made again"
    assert len(after) == 4


def test_after_the_machine_started_again_everything_is_made_again(
    working: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, receipts = queued(working, route("obey", "obey", "{forward: a}"), wishing("", "hold"))
    working.runner().step(key, 0)
    working.runner().step(key, 1)
    before = made_by(working, key)
    monkeypatch.setattr(results, "boot", lambda: "another start")
    assert working.runner().step(key, 2) == DONE
    after = made_by(working, key)
    assert set(before) == set(after)
    assert not set(before.values()) & set(after.values())
    assert working.owed(key) == {receipts[0]: "waiting", receipts[1]: "held"}


def test_making_it_again_does_not_touch_what_is_being_sent(working: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = queued(working, route("obey", "{forward: a}", "obey"), wishing(""))
    working.runner().step(key, 0)
    working.runner().step(key, 1)
    (row,) = working.rows(parcel)
    sent = working.outbox.root / row["path"]
    descriptor = os.open(sent, os.O_RDONLY)
    try:
        monkeypatch.setattr(results, "boot", lambda: "another start")
        working.runner().step(key, 2)
        assert sent.stat().st_ino == os.fstat(descriptor).st_ino
        assert all(sent.stat().st_ino != inode for inode, _ in made_by(working, key).values())
    finally:
        os.close(descriptor)
    assert working.parcels(f"{key}>a") == ["waiting"]


@pytest.mark.parametrize("point", ["step 1 begins", "step 1 made its files", "job ends"])
def test_a_job_that_was_stopped_anywhere_ends_the_same(working: Kit, point: str) -> None:
    class Killed(BaseException):
        pass

    def reach(reached: str) -> None:
        if reached == point:
            raise Killed

    key, receipts = queued(working, route("obey", "{forward: a}"), wishing("", "hold", "drop"))
    working.reach = reach
    with pytest.raises(Killed):
        working.run(key)
    working.reach = working.reached.append
    assert working.runner().step(key, 1) == DONE
    assert working.owed(key) == dict(zip(receipts, ("waiting", "held", "dropped"), strict=True))
    assert working.parcels(f"{key}>a") == ["waiting"]
    assert working.jobs() == {key: "done"}
    assert {o["job"] for o in working.rows(obligation)} == {key}
