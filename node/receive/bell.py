"""Wakes a thread that waits: in poll(), and for what is put into a queue."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from collections.abc import Callable
from typing import Any


class Bell:
    """Thread-safe; ringing after `close` does nothing."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()

    def ring(self) -> None:
        with self._lock:  # the number of a closed descriptor may belong to another file by now
            if self.descriptor >= 0:
                os.eventfd_write(self.descriptor, 1)

    def heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def wait(self, descriptor: int, milliseconds: float | None) -> bool:
        """Until it rings, something can be read from `descriptor` (-1: from nothing), or so long has passed; None is
        for ever. True when there is something to read. What rang is heard."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
        ready = {one for one, _ in poll.poll(milliseconds)}
        if self.descriptor in ready:
            self.heard()
        return descriptor in ready

    def close(self) -> None:
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Ringing(queue.Queue[Any]):
    """A queue that rings when something is put into it."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._ring = ring

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._ring()
