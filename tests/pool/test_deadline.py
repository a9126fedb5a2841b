"""A call that loops in C ends its worker, and only that."""

from __future__ import annotations

import time

import pytest

from node.pool import Pool, WorkerDied, at_most
from tests.pool import tasks


def test_a_call_that_does_not_end_is_ended_and_the_pool_goes_on(pool: Pool) -> None:
    began = time.monotonic()
    with pytest.raises(WorkerDied, match="a decoder that came to no end was stopped"):
        pool.call(tasks.loop_in_c, 0.3)
    assert time.monotonic() - began < 20
    assert pool.call(tasks.add, 1, 1) == 2


@pytest.mark.parametrize("task", [tasks.in_time, tasks.in_time_again])
def test_a_call_that_ends_in_time_leaves_no_timer_behind(pool: Pool, task: type) -> None:
    assert pool.call(task, 0.1) == "in time"


def test_no_other_process_is_ended() -> None:
    with at_most(0.01):
        time.sleep(0.05)
