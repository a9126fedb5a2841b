"""The loop that closes units waits between its rounds, and outlives what goes wrong in one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tests import make
from tests.collect.test_collector import ALL
from tests.kit import Kit


class Rounds(threading.Event):
    """The wake-up of a loop: what it waits for each time, and its end after so many."""

    def __init__(self, count: int, stop: threading.Event) -> None:
        super().__init__()
        self.count, self.stop, self.waited = count, stop, list[float | None]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        self.set()
        if len(self.waited) > self.count:
            self.stop.set()
        return True


def looping(kit: Kit, rounds: int, judge: Callable[[], int] = lambda: 0) -> tuple[Rounds, threading.Event]:
    stop, soon = threading.Event(), threading.Event()
    wake = Rounds(rounds, stop)
    kit.collector(judge).run(stop, wake, soon)
    return wake, soon


def test_the_loop_waits_between_two_rounds_and_hears_what_wakes_it_then(kit: Kit) -> None:
    kit.rules(ALL)
    rounds: list[None] = []
    wake, soon = looping(kit, 2, lambda: rounds.append(None) or 0)
    assert len(rounds) == 2, "none after its end"
    assert wake.waited == [0.0, 1.0, 1.0]
    assert not wake.is_set(), "else it would not wait again"
    assert not soon.is_set()


def test_the_loop_says_when_a_unit_may_be_complete_soon(kit: Kit) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    kit.age(59.5)
    wake, soon = looping(kit, 1)
    assert wake.waited[1] is not None
    assert wake.waited[1] < 0.6
    assert soon.is_set()


@pytest.mark.parametrize(
    ("fault", "wait"),
    [(sa.exc.OperationalError("select", {}, Exception("away")), 1.0), (ZeroDivisionError(), 5.0)],
)
def test_the_loop_goes_on_after_a_fault(kit: Kit, fault: Exception, wait: float) -> None:
    kit.rules(ALL)
    kit.index(make.instance())
    kit.age(61)
    faults = [fault]

    def judge() -> int:
        if faults:
            raise faults.pop()
        return 0

    wake, _ = looping(kit, 2, judge)
    assert wake.waited[:2] == [0.0, wait]
    assert len(kit.jobs()) == 1
