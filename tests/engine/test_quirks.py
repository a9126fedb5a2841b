"""What we change about DBOS: it wakes when rung, and keeps exceptions' texts out of the log."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from node.engine.quirks import SETTLE, WORKER, Doorbells, Stops, frames, quiet_log


def waiting(stop: threading.Event, name: str, seconds: float) -> tuple[threading.Thread, list[bool]]:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(stop.wait(seconds)), name=name)
    thread.start()
    return thread, answers


def test_a_ring_ends_the_wait_of_its_queue_only_and_does_not_look_like_a_stop() -> None:
    bells, stop = Doorbells(), threading.Event()
    Stops(bells).append(stop)
    begun = time.monotonic()
    rung, rung_answer = waiting(stop, WORKER + "jobs", 30)
    other, other_answer = waiting(stop, WORKER + "send-2", 30)
    plain, plain_answer = waiting(stop, "scheduler", 30)
    bells.ring("jobs")
    rung.join(10)
    assert rung_answer == [False]
    assert time.monotonic() - begun >= SETTLE
    assert other_answer == plain_answer == []
    stop.set()
    bells.ring_all()
    other.join(10)
    plain.join(10)
    assert other_answer == plain_answer == [True]


def test_a_ring_while_nobody_waits_is_kept() -> None:
    bells, stop = Doorbells(), threading.Event()
    Stops(bells).append(stop)
    bells.ring("jobs")
    thread, answer = waiting(stop, WORKER + "jobs", 30)
    thread.join(10)
    assert answer == [False]


def test_the_log_of_dbos_names_the_kind_of_an_error_and_not_its_text(caplog: pytest.LogCaptureFixture) -> None:
    quiet_log()
    quiet_log()
    log = logging.getLogger("dbos")
    assert [type(handler) for handler in log.handlers] == [logging.NullHandler]
    with pytest.raises(ValueError, match="Doe") as raised:
        raise ValueError("Doe^John")
    log.error("Exception encountered in background workflow:", exc_info=raised.value)
    assert "test_quirks.py" in frames(raised.value)
    assert [record.getMessage() for record in caplog.records] == [
        "Exception encountered in background workflow: ValueError"
    ]
    assert "Doe^John" not in caplog.text
