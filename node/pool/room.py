"""While instances come in, workers leave a processor to whoever receives them.

A lower priority alone is not enough: each C-STORE sleeps and wakes several times (socket, disk, threads), and on a
processor that is busy every one of these waits until the kernel lets go of what runs there, and finds its caches full
of somebody's volume. With one processor that no worker may use, a small instance is answered about as fast as on an
idle machine. A conversion that has one processor of two takes longer meanwhile, which nobody waits for.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

_TURN = 0.1
"""Seconds between two looks."""

_SINCE = 1.0
"""Seconds after the last instance in which another one is expected on an open association."""


def processors(allowed: Collection[int], *, receiving: bool) -> frozenset[int]:
    """Those of the `allowed` ones, by their numbers in sched_getaffinity(2), that workers may use: all but an eighth,
    at least one, while something is received; all of them where there is but one."""
    spared = max(1, len(allowed) // 8) if receiving and len(allowed) > 1 else 0
    return frozenset(sorted(allowed)[spared:])


def keep_to(process: int, wanted: Collection[int]) -> None:
    """Let all threads of a process run on these processors only, and those that they will start.

    A process that has ended is no error. Where the kernel knows no affinity, nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    done: set[int] = set()
    with contextlib.suppress(OSError):
        # A thread that was started meanwhile may have been started by one that had not been told yet.
        while found := {int(name) for name in os.listdir(f"/proc/{process}/task")} - done:  # noqa: PTH208  names only
            for thread in found:
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, wanted)
            done |= found


@dataclass(slots=True)
class Room:
    """`wanted` may be called by many threads; `run` is the loop of one."""

    workers: Callable[[], Collection[int]]
    """Process ids of those there are now."""
    senders: Callable[[], int]
    """How many associations are open: where there is none, nobody waits for an answer."""
    clock: Callable[[], float] = time.monotonic
    _last: float = float("-inf")
    _told: dict[int, frozenset[int]] = field(default_factory=dict)

    def wanted(self) -> None:
        """An instance has come."""
        self._last = self.clock()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.wait(_TURN):
            self.look()

    def look(self) -> None:
        """Tell each worker that has not been told which processors it may use."""
        if not hasattr(os, "sched_getaffinity"):
            return
        everything = frozenset(os.sched_getaffinity(0))
        receiving = self.clock() - self._last < _SINCE and self.senders() > 0
        may = processors(everything, receiving=receiving)
        there = set(self.workers())
        self._told = {process: told for process, told in self._told.items() if process in there}
        for process in there:
            # A new one has what its parent has.
            if self._told.get(process, everything) != may:
                keep_to(process, may)
            self._told[process] = may
