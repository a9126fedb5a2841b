"""What was read of files in a quiet time, so that whoever sends them need not read them again.

In memory, and never more than a memory: a file that is another one by now, or was written to, is not known.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from node.run.contents import Content

_MOST = 20_000
"""Files; the oldest are forgotten first. Some 2 KB each."""

Mark = tuple[int, int, int, int]
"""Device, inode, bytes and time of the last change of the content: stays when a file gets another name."""


class Known:
    """Contents by file. For any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._contents: dict[Mark, Content] = {}

    def learn(self, path: Path, before: os.stat_result, content: Content) -> None:
        """before   how the file was when its reading began; nothing is learned when it is not so any more"""
        with contextlib.suppress(OSError):
            if (mark := mark_of(before)) == mark_of(path.stat()):
                with self._lock:
                    self._contents[mark] = content
                    while len(self._contents) > self._most:
                        del self._contents[next(iter(self._contents))]

    def of(self, paths: Sequence[Path]) -> list[Content] | None:
        """Of all these files; None when one is not known, and when one is gone."""
        try:
            marks = [mark_of(path.stat()) for path in paths]
        except OSError:
            return None
        with self._lock:
            found = [content for mark in marks if (content := self._contents.get(mark)) is not None]
        return found if len(found) == len(paths) else None


def mark_of(state: os.stat_result) -> Mark:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
