"""What the system tells of folders: an event is set when something in them changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class Watching:
    """Sets `wake` when something of `kinds` (created, modified, moved, deleted, closed) happens in `folders`.

    What was told says only that it is time to look: events may be lost, and where the system tells nothing (network
    folders, no watches left) none comes. Started and stopped once.
    """

    def __init__(
        self, wake: threading.Event, folders: Collection[Path], kinds: Collection[str], *, recursive: bool = False
    ) -> None:
        self._observer = Observer()
        self._observer.daemon = True
        for folder in folders:
            self._observer.schedule(_Waker(wake, kinds), str(folder), recursive=recursive)

    def start(self) -> None:
        """Raises OSError when the system does not tell, most often for fs.inotify.max_user_watches."""
        self._observer.start()

    def stop(self) -> None:
        """Nothing is set any more. Also of one that could not start."""
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join(10)


class _Waker(FileSystemEventHandler):
    def __init__(self, wake: threading.Event, kinds: Collection[str]) -> None:
        self._wake, self._kinds = wake, kinds

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in self._kinds:
            self._wake.set()


def _not_of_a_stop(record: logging.LogRecord) -> bool:
    """watchdog calls it an error that a file changed in the moment in which it was told to stop."""
    return "called when the thread is inactive" not in record.getMessage()


logging.getLogger("watchdog.observers.inotify").addFilter(_not_of_a_stop)
