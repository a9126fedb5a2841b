"""What wakes a thread that waits: its bell, or something to read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from node.receive.bell import Bell, Ringing


@pytest.fixture
def bell() -> Iterator[Bell]:
    bell = Bell()
    yield bell
    bell.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reads, writes = os.pipe()
    yield reads, writes
    os.close(reads)
    os.close(writes)


def test_a_wait_ends_with_something_to_read(bell: Bell, pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"x")
    assert bell.wait(pipe[0], None)


def test_a_wait_ends_with_the_bell_which_is_silent_again_afterwards(bell: Bell, pipe: tuple[int, int]) -> None:
    for _ in range(3):
        bell.ring()
    assert not bell.wait(pipe[0], None)
    os.write(pipe[1], b"x")
    assert bell.wait(pipe[0], None)  # the bell alone would have answered: nothing


def test_a_bell_that_rings_from_another_thread_ends_a_wait_for_nothing(bell: Bell) -> None:
    ringer = threading.Thread(target=bell.ring)
    ringer.start()
    assert not bell.wait(-1, 10_000)
    ringer.join()


def test_a_wait_ends_by_itself(bell: Bell, pipe: tuple[int, int]) -> None:
    assert not bell.wait(pipe[0], 1)
    assert not bell.wait(-1, 0)


def test_ringing_after_the_end_does_nothing(bell: Bell) -> None:
    bell.close()
    bell.ring()
    bell.close()


def test_what_is_put_into_a_queue_rings_once_it_is_there(bell: Bell) -> None:
    heard: list[int] = []
    queue = Ringing(lambda: heard.append(queue.qsize()))
    queue.put("something")
    queue.put("more")
    assert heard == [1, 2]
