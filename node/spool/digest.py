"""SHA-256 of what is written, taken by a thread beside the one that writes.

Hashing holds no interpreter lock. While it goes on, the one who receives writes the same bytes, reads the next ones and
the header, and lets the disk begin. Two threads that hand work to each other cost more than they gain where a second
instance comes at the same time: then everyone hashes for himself.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable

_WORTH = 1 << 16
"""Bytes from which on it is worth while to wake another thread."""

_Task = tuple["hashlib._Hash", memoryview, threading.Event]


class Beside:
    """One thread that hashes, begun when it is needed first. Used by many threads; it takes one task at a time, and
    who finds it busy hashes for himself."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._idle = threading.Lock()
        self._thread: threading.Thread | None = None
        self._coming = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """One more instance comes."""
        with self._lock:
            self._coming += 1

    def end(self) -> None:
        """One of them is here, or will not be."""
        with self._lock:
            self._coming -= 1

    def update(self, digest: hashlib._Hash, data: memoryview) -> Callable[[], object]:
        """Add `data` to the digest. Neither may be touched before what this returns was called, which waits."""
        if len(data) < _WORTH or self._coming > 1 or not self._idle.acquire(blocking=False):
            digest.update(data)
            return _nothing
        if self._thread is None and not self._start():
            digest.update(data)
            return _nothing
        over = threading.Event()
        self._tasks.put((digest, data, over))
        return over.wait

    def _start(self) -> bool:
        """False where the system gives no more threads: then everyone hashes for himself, until it does."""
        thread = threading.Thread(target=self._run, name="hash", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._idle.release()
            return False
        self._thread = thread
        return True

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
            # What is behind `data` ends with its last reference: none stays here until the next task.
            del task, data
            self._idle.release()
            over.set()


def _nothing() -> None:
    """It is done already."""


class Hashing:
    """SHA-256 of one instance, of the bytes as they come: those that are written, while they are at hand.

    Beside its writer only where no other instance comes meanwhile: with several, everyone has something to do.
    """

    def __init__(self, beside: Beside) -> None:
        self._beside = beside
        self._digest = hashlib.sha256()
        self._data: memoryview | None = None
        """What is being hashed."""
        self._wait: Callable[[], object] = _nothing
        self._over = False
        beside.begin()

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes. They may not be changed while `reads` says so."""
        self._settle()
        view = memoryview(data)
        self._wait = self._beside.update(self._digest, view)
        if self._wait is not _nothing:
            self._data = view

    def reads(self, buffer: memoryview) -> bool:
        """Whether something in what underlies `buffer` is being hashed."""
        return self._data is not None and self._data.obj is buffer.obj

    def hexdigest(self) -> str:
        """Of all that was added."""
        self._settle()
        return self._digest.hexdigest()

    def end(self) -> None:
        """Nothing more comes. May be called again."""
        if not self._over:
            self._over = True
            self._settle()
            self._beside.end()

    def _settle(self) -> None:
        self._wait()
        self._data, self._wait = None, _nothing
