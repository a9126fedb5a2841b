"""A file that is read behind the one who writes it, so that what was written is judged while the rest comes.

The reader has a descriptor of its own and gets what the file holds, byte for byte, as any other reader would later; it
only waits where the file does not go on yet. What was written goes to the disk in steps: left to one sync at the end,
it would make all wait that sync meanwhile, and so a sender for its answer.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import BinaryIO, cast

from node.spool.files import Files

_STEP = 4 << 20
"""Bytes after which the disk is told to begin with them."""


class Growing:
    """How far a file has been written. One thread writes, another may read."""

    def __init__(self, files: Files | None = None) -> None:
        self._files = files or Files()
        self._moved = Condition()
        self._written = 0
        self._over = False

    @contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """Make the file, or empty it; what is written is in it when `write` returns. Closed and over at the end."""
        try:
            with path.open("wb", buffering=0) as file:
                yield cast(BinaryIO, _Written(file, self))
        finally:
            self.end()

    @contextmanager
    def reading(self, path: Path, *, whole: bool) -> Iterator[BinaryIO]:
        """The file from its first byte, once there is one; it ends where the writer has ended.

        whole  `read(n)` gives fewer than n bytes at the end only; else what there is, at least one
        """
        self._wait_for(0)
        with path.open("rb", buffering=0) as file:
            raw = _Following(file, self)
            yield cast(BinaryIO, io.BufferedReader(raw) if whole else raw)

    def end(self) -> None:
        """Nothing more will be written, whether it was finished or not."""
        with self._moved:
            self._over = True
            self._moved.notify_all()

    def _grown(self, descriptor: int, count: int) -> None:
        before, now = self._written // _STEP * _STEP, (self._written + count) // _STEP * _STEP
        with self._moved:
            self._written += count
            self._moved.notify_all()
        if now > before:
            self._files.hurry(descriptor, before, now - before)

    def _wait_for(self, position: int) -> int:
        """Bytes that are there behind `position`; 0 where there will be none."""
        with self._moved:
            self._moved.wait_for(lambda: self._over or self._written > position)
            return self._written - position


class _Written(io.RawIOBase):
    def __init__(self, file: io.FileIO, growing: Growing) -> None:
        self._file, self._growing = file, growing

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer of bytes
        view = memoryview(data)
        done = 0
        while done < len(view):  # one call to the system may write a part
            done += os.write(self._file.fileno(), view[done:])
        self._growing._grown(self._file.fileno(), done)
        return done


class _Following(io.RawIOBase):
    def __init__(self, file: io.FileIO, growing: Growing) -> None:
        self._file, self._growing = file, growing
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as BufferedReader calls it
        there = self._growing._wait_for(self._at)
        found = self._file.readinto(memoryview(buffer)[:there]) if there > 0 else 0
        self._at += found
        return found
