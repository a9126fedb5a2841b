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
_FEW = 32
"""So many are left, of the most that are made, when the next are begun."""


class Slots:
    """Empty files of one process, ready to be written. Thread-safe."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder, self._files = folder, files
        self._ready: deque[tuple[Path, int]] = deque()
        self._lock = threading.Lock()
        self._making = threading.Lock()
        """Held while names are made; never while `_lock` is."""
        self._ahead: threading.Thread | None = None
        self._closed = False
        self._made = 0
        self._batch = 1

    def take(self) -> tuple[Path, int]:
        """(path, descriptor open for writing) of an empty file whose name outlasts a power cut.

        Raises OSError when the disk does not take new names.
        """
        while True:
            with self._lock:
                if self._ready:
                    if len(self._ready) <= _FEW and self._batch == _MOST:
                        self._begin_ahead()
                    return self._ready.popleft()
            with self._making:
                if not self._ready:  # else somebody made some while we waited
                    self._make()

    def _begin_ahead(self) -> None:
        """In full swing the next names are made before the last one is gone: nobody waits for the folder's sync."""
        if self._closed or (self._ahead is not None and self._ahead.is_alive()):
            return
        ahead = threading.Thread(target=self._make_ahead, name="slots", daemon=True)
        # Where the system gives no more threads, who needs a name makes some.
        with contextlib.suppress(RuntimeError):
            ahead.start()
            self._ahead = ahead

    def _make_ahead(self) -> None:
        # A disk that takes no names says so to the one who needs one.
        with self._making, contextlib.suppress(OSError):
            self._make()

    def _make(self) -> None:
        made: list[tuple[Path, int]] = []
        try:
            for _ in range(self._batch):
                path = self._folder / f"{self._made:010d}.part"
                made.append((path, self._files.create(path)))
                self._made += 1
        except OSError:
            self._batch = 1
            if not made:
                raise
        else:
            self._batch = min(_MOST, self._batch * 2)
        try:
            self._files.sync_folder(self._folder)
        except OSError:
            self._batch = 1
            self._give_up(made)
            raise
        with self._lock:
            self._ready.extend(made)

    def close(self) -> None:
        """Remove what was not taken."""
        with self._lock:
            self._closed = True
            ahead = self._ahead
        if ahead is not None:
            ahead.join()
        with self._lock:
            left, self._ready = list(self._ready), deque()
        self._give_up(left)

    def _give_up(self, slots: list[tuple[Path, int]]) -> None:
        for path, descriptor in slots:
            with contextlib.suppress(OSError):
                self._files.close(descriptor)
            with contextlib.suppress(OSError):
                self._files.remove(path)
