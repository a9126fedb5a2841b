"""The contract with DBOS, with real processes that are really killed, on both databases."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from node.engine.runs import Task
from tests.engine.conftest import Event, House, kill, opened
from tests.engine.worker import restarted

sqlite_is_enough = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_job_goes_on_at_the_interrupted_step_after_kill_9(house: House) -> None:
    process = house.started()
    house.job("wait-a")
    house.wait(lambda: house.steps("start", "wait-a") == [0, 1])
    kill(process)
    house.go()
    house.started()
    house.wait(lambda: 2 in house.steps("end", "wait-a"))
    assert house.steps("start", "wait-a") == [0, 1, 1, 2]
    assert {event["attempt"] for event in house.events("start")} == {1}  # a death is no attempt


def test_a_process_that_lives_takes_over_from_one_that_died(house: House) -> None:
    first, second = house.started(), house.started()
    for name in "abcd":
        house.job(f"wait-{name}")
    house.wait(lambda: house.count("start") == 8)
    victim = house.events("start")[-1]["pid"]
    died, living = (first, second) if first.pid == victim else (second, first)
    lost = {event["key"] for event in house.events("start") if event["pid"] == died.pid}
    kill(died)
    house.go()
    house.wait(lambda: all(2 in house.steps("end", f"wait-{name}") for name in "abcd"))
    for name in "abcd":
        again = [1] if f"wait-{name}" in lost else []
        assert house.steps("start", f"wait-{name}") == [0, 1, *again, 2]
    assert {event["pid"] for event in house.events("end") if event["number"] == 2} == {living.pid}


def peak(events: list[Event]) -> int:
    """The most that were between start and end at once."""
    running = most = 0
    for event in sorted(events, key=lambda event: float(event["at"])):
        running += {"start": 1, "end": -1}.get(event["what"], 0)
        most = max(most, running)
    return most


def test_two_processes_together_keep_each_destinations_limit_exactly(house: House) -> None:
    limits = {"east": 1, "south": 2, "west": 3}
    house.start()
    house.started()
    # None of these ends before all that may run at once do, however busy the machine is.
    offer(house, "hang", limits)
    house.wait(lambda: all(len(going(house, "hang", name)) == limit for name, limit in limits.items()))
    house.go()
    for batch in range(10):
        offer(house, f"busy{batch}", limits)
        house.wait(lambda: house.count("end") == house.count("start") == len(house.rows("workflow_status")))
        if len({event["pid"] for event in house.events("start")}) == 2:
            break
    else:
        pytest.fail("one process did it all, which shows nothing")
    for name, limit in limits.items():
        assert peak([event for event in house.events() if str(event.get("key")).endswith(f"-{name}")]) == limit


def offer(house: House, what: str, limits: dict[str, int]) -> None:
    """Three times as many deliveries as may run at once, for each destination."""
    with house.database.begin() as connection:
        for name, limit in limits.items():
            for number in range(3 * limit):
                house.client.enqueue_delivery(connection, f"{what}-{number}-{name}", name, limit)


def going(house: House, what: str, name: str) -> list[Event]:
    return [event for event in house.events("start") if event["key"].startswith(what) and event["key"].endswith(name)]


def test_another_try_goes_on_at_its_step_and_counts(house: House) -> None:
    house.job("again-a")
    house.started()
    house.wait(lambda: 2 in house.steps("end", "again-a"))
    story = [(event["number"], event["attempt"]) for event in house.events("start", "again-a")]
    assert story == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1)]


@sqlite_is_enough
def test_a_step_that_says_stop_is_the_last(house: House) -> None:
    house.job("stop-a")
    house.job("x-after")
    house.started()
    house.wait(lambda: 2 in house.steps("end", "x-after"))
    house.wait(lambda: all(row["status"] == "SUCCESS" for row in house.rows("workflow_status")))
    assert house.steps("start", "stop-a") == [0, 1]


def test_a_job_that_kills_its_process_is_held_and_those_beside_it_go_on(house: House) -> None:
    """The others need longer than it takes to kill, so beside it they would die as often."""
    with house.database.begin() as connection:
        for key in ("poison-a", "slow-b", "slow-c"):
            house.client.enqueue_job(connection, key, steps=3)
    house.start(restarted)
    house.wait(lambda: house.count("poisoned"))
    held = house.events("poisoned")
    assert [(event["task"], event["key"]) for event in held] == [("job", "poison-a")]
    assert "died 4 times in step 1" in held[0]["why"]
    assert house.steps("start", "poison-a") == [0, 1, 1, 1, 1]
    house.wait(lambda: 2 in house.steps("end", "slow-b") and 2 in house.steps("end", "slow-c"))
    assert house.count("poisoned") == 1


@sqlite_is_enough
def test_a_bug_in_the_body_is_held_without_its_text_anywhere(house: House) -> None:
    house.job("raise-a")
    house.started()
    house.wait(lambda: house.count("poisoned", "raise-a"))
    assert "ValueError in step 1" in house.events("poisoned")[0]["why"]
    house.wait(lambda: not house.rows("workflow_status"))
    house.stop()
    tables = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
    assert "Doe^John" not in str([house.rows(table) for table in tables])
    assert "Doe^John" not in (house.data / "log").read_text()
    assert house.count("poisoned") == 1


@sqlite_is_enough
@pytest.mark.parametrize("tables", [["operation_outputs"], ["operation_outputs", "workflow_status"]])
def test_an_outcome_that_a_full_database_does_not_take_is_no_death_and_no_bug(house: House, tables: list[str]) -> None:
    """PostgreSQL says that it is full in a way that makes DBOS wait; from SQLite it takes an error."""
    house.started()
    house.job("wait-a")
    house.wait(lambda: house.steps("start", "wait-a") == [0, 1])
    with house.refusing(tables):
        house.go()
        house.wait(lambda: "its outcome is not stored" in house.story())
        house.wait(lambda: "Exception encountered in background workflow" in house.story())
    house.wait(lambda: 2 in house.steps("end", "wait-a"))
    assert house.steps("start", "wait-a") == [0, 1, 1, 2]
    assert not house.events("poisoned")
    assert {event["attempt"] for event in house.events("start")} == {1}


def test_what_is_rolled_back_was_never_put_in(house: House) -> None:
    with house.database.connect() as connection:
        assert house.client.enqueue_job(connection, "x-lost", 3)
        connection.rollback()
    assert house.rows("workflow_status") == []
    with house.database.begin() as connection:
        house.client.enqueue_job(connection, "x-kept", 3)
    assert [row["workflow_uuid"] for row in house.rows("workflow_status")] == ["job:x-kept:1.0"]


def test_twice_the_same_is_one_job_and_another_number_is_another(house: House) -> None:
    assert house.job("x-a", steps=1)
    assert not house.job("x-a", steps=1)
    house.started()
    house.wait(lambda: house.count("end", "x-a") == 1)
    assert not house.job("x-a", steps=1)
    assert house.job("x-a", steps=1, tries=2)
    house.wait(lambda: house.count("end", "x-a") == 2)


@sqlite_is_enough
def test_a_job_can_begin_at_a_later_step(house: House) -> None:
    house.job("x-a", steps=3, start=2)
    house.started()
    house.wait(lambda: house.count("end", "x-a"))
    assert house.steps("start", "x-a") == [2]


def test_a_destination_that_fails_or_hangs_blocks_no_other(house: House) -> None:
    for number in range(4):
        house.delivery(f"dead-{number}", "failing", 2)
        house.delivery(f"hang-{number}", "hanging", 2)
    house.started()
    house.wait(lambda: house.count("start", "hang-0") + house.count("start", "hang-1") == 2)
    house.delivery("x-a", "healthy", 2)
    house.wait(lambda: house.count("end", "x-a"), seconds=5)
    house.wait(lambda: all(house.count("start", f"dead-{number}") > 1 for number in range(4)))
    attempts = [event["attempt"] for event in house.events("start", "dead-0")]
    assert attempts == list(range(1, len(attempts) + 1))
    assert house.count("start", "hang-2") == house.count("start", "hang-3") == 0


def test_only_keys_and_numbers_are_stored(house: House) -> None:
    house.job("x-a", steps=2)
    house.delivery("x-b", "east", 2)
    house.started()
    house.wait(lambda: house.count("end") == 3)
    house.wait(lambda: all(row["status"] == "SUCCESS" for row in house.rows("workflow_status")))
    inputs = [json.loads(row["inputs"]) for row in house.rows("workflow_input")]
    allowed = {"job", "delivery", "x-a", "x-b", "east", ""}
    for stored in inputs:
        assert not stored["namedArgs"]
        (fields,) = stored["positionalArgs"]
        assert all(isinstance(value, int) or value in allowed for value in fields.values())
    assert {row["serialization"] for row in house.rows("workflow_status")} == {"portable_json"}
    outcomes = [json.loads(row["output"]) for row in house.rows("operation_outputs")]
    assert outcomes == [{"verdict": "done", "after": 0.0}] * 3


@sqlite_is_enough
def test_what_waits_can_be_hurried(house: House) -> None:
    house.delivery("later-a", "east", 2)
    house.delivery("later-b", "east", 2)
    house.started()
    house.wait(lambda: Counter(row["status"] for row in house.rows("workflow_status"))["DELAYED"] == 2)
    assert house.client.hurry(Task.DELIVERY, "later-a") == 1
    house.wait(lambda: house.count("end", "later-a") == 2, seconds=5)
    assert house.count("start", "later-b") == 1
    assert house.client.hurry(Task.JOB, "later-b") == 0


@sqlite_is_enough
def test_what_is_cancelled_begins_no_further_step(house: House) -> None:
    house.job("x-later", delay=timedelta(hours=1))
    house.job("wait-a")
    house.job("wait-a:b")
    house.started()
    house.wait(lambda: house.steps("start", "wait-a") == [0, 1])
    assert house.client.cancel(Task.JOB, "wait-a") == 1
    assert house.client.cancel(Task.JOB, "x-later") == 1
    assert house.client.cancel(Task.JOB, "x-later") == 0
    house.go()
    house.wait(lambda: 2 in house.steps("end", "wait-a:b"))
    house.stop()
    assert house.steps("start", "wait-a") == [0, 1]
    assert house.steps("start", "x-later") == []


def test_stopping_ends_the_step_in_flight_and_leaves_the_rest_for_the_next_start(house: House) -> None:
    process = house.started()
    house.job("wait-a")
    house.wait(lambda: house.steps("start", "wait-a") == [0, 1])
    process.terminate()
    house.wait(lambda: house.count("stopping"))  # before it has begun, the step after this one may begin too
    house.go()
    house.wait(lambda: house.count("stopped"))
    assert house.events("stopped")[0]["ended"]
    assert house.steps("end", "wait-a") == [0, 1]
    process.join(10)
    assert process.exitcode == 0
    house.started()
    house.wait(lambda: house.count("end", "wait-a") == 3)
    assert house.steps("start", "wait-a") == [0, 1, 2]


def test_old_work_is_forgotten_and_a_restore_forgets_all(house: House) -> None:
    house.job("x-a", steps=1)
    house.started()
    house.wait(lambda: any(row["status"] == "SUCCESS" for row in house.rows("workflow_status")))
    house.stop()
    house.job("x-b", steps=1)
    assert house.client.prune(timedelta(hours=1)) == 0
    assert house.client.prune(timedelta(seconds=-1)) == 1
    assert [row["workflow_uuid"] for row in house.rows("workflow_status")] == ["job:x-b:1.0"]
    assert house.client.clear() == 1
    assert house.rows("workflow_status") == house.rows("workflow_input") == []


@sqlite_is_enough
def test_a_job_put_in_by_the_working_process_starts_without_waiting_for_the_poll(house: House) -> None:
    house.started(poll=10)
    put_in = time.monotonic()
    (house.data / "put-in-a").touch()
    house.wait(lambda: house.count("end", "put-in-a"))
    assert time.monotonic() - put_in < 5  # the poll is 10 s


def test_processes_that_stopped_leave_no_lock_files(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as house:
        kill(house.started())
        house.started()
        house.stop()
        left = [file.name for file in (tmp_path / "run" / "executors").iterdir()]
    assert left in (["reaper.lock", "process-0.lock"], ["process-0.lock", "reaper.lock"], ["reaper.lock"])
