"""Turns: so many at once, first come first served, and nobody is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from node.receive.turns import Turns
from tests.receive.station import until


class _One:
    """A thread that takes turns when it is told, and says when it has one."""

    def __init__(self, turns: Turns) -> None:
        self.has = threading.Event()
        self._end = threading.Event()
        self._turns = turns
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._turns.take()
        self.has.set()
        self._end.wait(10)
        self._turns.give()

    def ends(self) -> None:
        self._end.set()
        self._thread.join(10)


def _waits(turns: Turns, count: int) -> Callable[[], bool]:
    return lambda: len(turns._waiting) == count


def test_no_more_have_a_turn_at_once_than_may() -> None:
    turns = Turns(2)
    first, second = _One(turns), _One(turns)
    assert first.has.wait(10)
    assert second.has.wait(10)
    third = _One(turns)
    until(_waits(turns, 1), "the third one waits")
    assert not third.has.is_set()
    first.ends()
    assert third.has.wait(10)
    second.ends()
    third.ends()


def test_who_came_first_is_served_first() -> None:
    turns = Turns(1)
    turns.take()
    ones = []
    for number in range(3):
        ones.append(_One(turns))
        until(_waits(turns, number + 1), "one more waits")
    turns.give()
    for number, one in enumerate(ones):
        assert one.has.wait(10)
        assert not any(later.has.is_set() for later in ones[number + 1 :])
        one.ends()


def test_who_passes_a_turn_on_stands_behind_those_who_wait() -> None:
    turns = Turns(1)
    turns.take()
    waiting = _One(turns)
    until(_waits(turns, 1), "one waits")
    seen = []

    def pass_on() -> None:
        turns.pass_on()
        seen.append(waiting.has.is_set())

    passing = threading.Thread(target=pass_on, daemon=True)
    passing.start()
    assert waiting.has.wait(10)
    waiting.ends()
    passing.join(10)
    assert seen == [True]
    turns.give()


def test_nobody_waits_and_a_turn_is_kept() -> None:
    turns = Turns(1)
    turns.take()
    turns.pass_on()
    turns.give()
    turns.take()


def test_while_one_waits_for_its_peer_another_has_its_turn() -> None:
    turns = Turns(1)
    turns.take()
    with turns.given():
        other = _One(turns)
        assert other.has.wait(10)
        other.ends()
    late = _One(turns)
    until(_waits(turns, 1), "the turn is taken back")
    assert not late.has.is_set()
    turns.give()
    assert late.has.wait(10)
    late.ends()


@given(at_once=st.integers(1, 3), threads=st.integers(1, 6), times=st.integers(1, 20), passes=st.booleans())
def test_all_get_their_turns_and_never_too_many_at_once(
    at_once: int, threads: int, times: int, *, passes: bool
) -> None:
    turns, places = Turns(at_once), threading.Semaphore(at_once)
    done: list[bool] = []

    def work() -> None:
        for _ in range(times):
            turns.take()
            free = places.acquire(blocking=False)
            if free:
                places.release()
            if passes:
                turns.pass_on()
            done.append(free)
            turns.give()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert done == [True] * (threads * times)
