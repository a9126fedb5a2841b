"""Where the bytes of one association come: the same memory again and again, and a second one at need."""

from __future__ import annotations

from collections.abc import Callable

SIZE = 1 << 19
"""Bytes read at once at the most: half a megabyte is a whole CT image, and less is more looks for each."""


class Buffers:
    """Made when something is read. One is enough where what came in it is done with when the next bytes come, and
    stays in the processor's cache; while it is still hashed, they come into the other one."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._now = self._other = memoryview(b"")

    def free(self, read: Callable[[memoryview], bool]) -> memoryview:
        """One in which nothing is read any more; `read` tells it of either, and is never true of both."""
        if not self._now or read(self._now):
            self._now, self._other = self._other or memoryview(bytearray(self._size)), self._now
        return self._now
