"""While instances come in, workers leave a processor to whoever receives them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.pool import Pool, Room
from node.pool.room import keep_to, processors
from tests.pool import tasks

ALL = frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset[int]()
numbers = st.sets(st.integers(0, 255), min_size=1)
several = pytest.mark.skipif(len(ALL) < 2, reason="needs two processors that can be chosen among")


@given(numbers)
def test_nobody_receives_and_workers_may_use_everything(allowed: set[int]) -> None:
    assert processors(allowed, receiving=False) == allowed


@given(numbers)
def test_while_something_comes_some_processor_is_spared_and_some_is_left(allowed: set[int]) -> None:
    may = processors(allowed, receiving=True)
    assert may
    assert may <= allowed
    assert len(allowed) == 1 or 1 <= len(allowed - may) <= max(1, len(allowed) / 8)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@several
def test_a_worker_moves_over_for_a_second_after_each_instance() -> None:
    pool, clock = Pool(1), Clock()
    room = Room(pool.processes, lambda: 1, clock)
    try:
        assert pool.call(tasks.processors) == ALL
        room.wanted()
        room.look()
        assert pool.call(tasks.processors) == processors(ALL, receiving=True)
        clock.now += 0.9
        room.wanted()
        clock.now += 0.9
        room.look()
        assert pool.call(tasks.processors) == processors(ALL, receiving=True)
        clock.now += 0.2
        room.look()
        assert pool.call(tasks.processors) == ALL
    finally:
        pool.close()


@several
def test_when_no_association_is_open_nobody_waits_for_an_answer() -> None:
    pool, senders = Pool(1), [1, 0]
    room = Room(pool.processes, senders.pop, Clock())
    try:
        assert pool.call(tasks.processors) == ALL
        room.wanted()
        room.look()
        assert pool.call(tasks.processors) == ALL
        room.look()
        assert pool.call(tasks.processors) == processors(ALL, receiving=True)
    finally:
        pool.close()


@several
def test_a_worker_that_was_started_meanwhile_moves_over_too() -> None:
    pool, clock = Pool(1), Clock()
    room = Room(pool.processes, lambda: 1, clock)
    try:
        room.wanted()
        room.look()
        first = pool.call(tasks.process)
        with pytest.raises(Exception, match="died"):
            pool.call(tasks.die)
        second = pool.call(tasks.process)
        assert second != first
        room.look()
        assert pool.call(tasks.processors) == processors(ALL, receiving=True)
    finally:
        pool.close()


@several
def test_every_thread_of_a_worker_moves_over_and_what_they_start() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", tasks.THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "three threads\n"
        keep_to(process.pid, {max(ALL)})
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "a fourth\n"
        found = [os.sched_getaffinity(int(thread.name)) for thread in Path(f"/proc/{process.pid}/task").iterdir()]
        process.stdin.close()
    assert found == [{max(ALL)}] * 4


@several
def test_a_process_that_has_ended_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    keep_to(process.pid, {max(ALL)})
