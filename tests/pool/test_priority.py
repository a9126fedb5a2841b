"""A worker gives way to whoever answers an association."""

from __future__ import annotations

import os
import sys

import pytest

from node.pool import Pool
from node.pool.priority import NICE, SLICE
from tests.pool import tasks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other schedulers")


def test_a_worker_has_a_lower_priority_and_wakes_nobody_off_the_processor(pool: Pool) -> None:
    here = os.getpriority(os.PRIO_PROCESS, 0)
    nice, policy, _ = pool.call(tasks.priority)
    assert nice == min(here + NICE, 19)
    assert policy == os.SCHED_BATCH


def test_a_worker_runs_in_slices_longer_than_anybody_who_wakes(pool: Pool) -> None:
    _, _, slice_ns = pool.call(tasks.priority)
    if slice_ns is None:
        pytest.skip("this kernel does not say")
    assert slice_ns == SLICE * 1e9


def test_the_process_that_starts_workers_stays_as_it_was(pool: Pool) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    pool.call(tasks.priority)
    assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before
