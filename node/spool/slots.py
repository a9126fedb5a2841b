"""Files whose names are on the disk before an instance comes to be written into them.

The name of a new file is as dear to make durable as its content: it takes a sync of the folder. Made ahead,
many names share one, and an instance costs the sync of its own file alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from pathlib import Path

from node.spool.files import Files

_MOST = 64
"""Names that are made at once, at the most; a process that receives little has few."""


class Slots:
    """Empty files of one process, ready to be written. Thread-safe."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder, self._files = folder, files
        self._ready: deque[tuple[Path, int]] = deque()
        self._lock = threading.Lock()
        self._made = 0
        self._batch = 1

    def take(self) -> tuple[Path, int]:
        """(path, descriptor open for writing) of an empty file whose name outlasts a power cut.

        Raises OSError when the disk does not take new names.
        """
        with self._lock:
            if not self._ready:
                self._make(self._batch)
                self._batch = min(_MOST, self._batch * 2)
            return self._ready.popleft()

    def _make(self, count: int) -> None:
        made: list[tuple[Path, int]] = []
        try:
            for _ in range(count):
                path = self._folder / f"{self._made:010d}.part"
                made.append((path, self._files.create(path)))
                self._made += 1
        except OSError:
            self._batch = 1
            if not made:
                raise
        try:
            self._files.sync_folder(self._folder)
        except OSError:
            self._batch = 1
            self._give_up(made)
            raise
        self._ready.extend(made)

    def close(self) -> None:
        """Remove what was not taken."""
        with self._lock:
            left, self._ready = list(self._ready), deque()
        self._give_up(left)

    def _give_up(self, slots: list[tuple[Path, int]]) -> None:
        for path, descriptor in slots:
            with contextlib.suppress(OSError):
                self._files.close(descriptor)
            with contextlib.suppress(OSError):
                self._files.remove(path)
