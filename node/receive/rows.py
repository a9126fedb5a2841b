"""The one thread of a process that writes rows for what it received: group commit, always after the bytes."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from node.index.intake import Arrival, Intake
from node.spool import Presence

log = logging.getLogger("node.index")

_GROUP = 500
_PAUSE = 0.02
"""Seconds in which a group gathers: a commit per instance would cost more than the rows."""


@dataclass(slots=True)
class RowWriter:
    """Takes arrivals from many threads and commits them in groups. When the database is away it keeps them
    and tries again: receiving goes on, and the disk's watermark is what ends it."""

    intake: Intake
    presence: Presence
    committed: Callable[[int], None]
    """Told after each commit: wakes completion up, counts."""
    reach: Callable[[str], None]
    _queue: queue.SimpleQueue[Arrival | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)

    def put(self, arrival: Arrival) -> None:
        self._queue.put(arrival)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="rows", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Commit what is queued, for at most so long. What is left is found by the sweep at the next start."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        waiting: list[Arrival] = []
        while True:
            waiting += self._gather(block=not waiting)
            if not waiting:
                if self._stopping.is_set():
                    return
                continue
            if self._commit(waiting):
                waiting = []
            elif self._stopping.is_set():
                log.warning("%d instances are in the spool and not in the index; the next start indexes them", len(waiting))
                return
            else:
                self._stopping.wait(1.0)

    def _gather(self, *, block: bool) -> list[Arrival]:
        """What is queued, up to a group; waits for the first one."""
        found: list[Arrival] = []
        try:
            first = self._queue.get(block=block)
        except queue.Empty:
            return found
        if first is not None:
            found.append(first)
        deadline = time.monotonic() + _PAUSE
        while len(found) < _GROUP:
            try:
                following = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if following is not None:
                found.append(following)
        return found

    def _commit(self, waiting: list[Arrival]) -> bool:
        try:
            self.reach("before the rows")
            self.intake.record(waiting)
        except sa.exc.OperationalError as error:
            log.warning("the database is away, %d instances wait for their rows: %s", len(waiting), type(error.orig).__name__)
            return False
        except Exception:  # worker loop: a group that cannot be written must not end indexing
            log.exception("rows could not be written; tried one by one")
            return self._one_by_one(waiting)
        self.presence.index(len(waiting))
        self.reach("after the rows")
        self.committed(len(waiting))
        return True

    def _one_by_one(self, waiting: list[Arrival]) -> bool:
        done = 0
        for arrival in waiting:
            try:
                self.intake.record([arrival])
            except sa.exc.SQLAlchemyError as error:
                log.error("instance %s stays without a row until the next start: %s", arrival.receipt, type(error).__name__)
            done += 1
        self.presence.index(done)
        self.committed(done)
        return True
