"""Turns of the associations of one process: so many take bytes and keep instances at once, the others wait.

Threads of one interpreter gain nothing by being many: they take the interpreter and the processor's caches from each
other. What comes meanwhile for one that waits is in the kernel's buffers. First come, first served, and a turn passes
from hand to hand: who gives it up and wants it back stands behind those who waited.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 4
"""One computes while others wait for the disk, or hash."""


class Turns:
    """Thread-safe."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._lock = threading.Lock()
        self._free = at_once
        self._waiting: deque[threading.Lock] = deque()

    def take(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def give(self) -> None:
        """It is over; the next one has it."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def pass_on(self) -> None:
        """Let those go first who wait."""
        if self._waiting:
            self.give()
            self.take()

    @contextmanager
    def given(self) -> Iterator[None]:
        """While this one waits for its peer, another has its turn."""
        self.give()
        try:
            yield
        finally:
            self.take()
