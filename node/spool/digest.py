"""SHA-256 of what is written, taken by a thread beside the one that writes.

Hashing holds no interpreter lock. While it goes on, the one who receives reads the header and lets the disk begin: with
a processor to spare an instance of half a megabyte is answered a fifth sooner, and without one nothing is lost.
"""

from __future__ import annotations

import hashlib
import mmap
import queue
import threading
from collections.abc import Callable

_WORTH = 1 << 18
"""Bytes from which on it is worth while to wake another thread."""

_Task = tuple["hashlib._Hash", memoryview, threading.Event]


class Beside:
    """One thread that hashes, begun when it is needed first. Used by many threads; it takes one task at a time, and
    who finds it busy hashes for himself."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._idle = threading.Lock()
        self._thread: threading.Thread | None = None

    def update(self, digest: hashlib._Hash, data: memoryview) -> Callable[[], object]:
        """Add `data` to the digest. Neither may be touched before what this returns was called, which waits."""
        if len(data) < _WORTH or not self._idle.acquire(blocking=False):
            digest.update(data)
            return _nothing
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hash", daemon=True)
            self._thread.start()
        over = threading.Event()
        self._tasks.put((digest, data, over))
        return over.wait

    def close(self) -> None:
        """End the thread; what it was given before is done. Afterwards everyone hashes for himself."""
        self._idle.acquire()
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            digest, data, over = task
            digest.update(data)
            # The mapping behind `data` ends with its last reference: none stays here until the next task.
            del task, data
            self._idle.release()
            over.set()


def _nothing() -> None:
    """It is done already."""


class Written:
    """SHA-256 of a file that grows, from its own pages: what is hashed is what the disk is given.

    Hashed is in parts of no more than `_PART` bytes, so that what is left at the end is little, however long the file.
    """

    _PART = 1 << 20

    def __init__(self, beside: Beside, descriptor: int, start: int) -> None:
        self._beside, self._descriptor = beside, descriptor
        self._digest = hashlib.sha256()
        self._at = start
        self._wait: Callable[[], object] = _nothing

    def reach(self, end: int) -> None:
        """The file has so many bytes now. Raises OSError."""
        while end - self._at >= self._PART:
            begin = self._at // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
            length = self._at - begin + self._PART
            pages = mmap.mmap(self._descriptor, length, access=mmap.ACCESS_READ, offset=begin)
            self._add(memoryview(pages)[self._at - begin :])

    def end(self, pages: mmap.mmap) -> None:
        """The file is here as a whole, mapped from its first byte: begin with what is left."""
        self._add(memoryview(pages)[self._at :])

    def hexdigest(self) -> str:
        """Of all that was there when `end` was called."""
        self._wait()
        return self._digest.hexdigest()

    def _add(self, data: memoryview) -> None:
        self._wait()
        self._at += len(data)
        self._wait = self._beside.update(self._digest, data)
