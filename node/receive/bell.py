"""Wakes a thread that waits in poll()."""

from __future__ import annotations

import contextlib
import os
import threading


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

    def close(self) -> None:
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
