"""The one thread of a process that shows what it received and writes the rows: in groups, always after the bytes."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from node.dicom.header import pack
from node.index.database import damage
from node.index.intake import Intake
from node.model import UID, Arrival, Identity, Origin, ReceiptId
from node.spool import Kept, Presence, Spool

log = logging.getLogger("node.index")

_GROUP = 500
_PAUSE = 0.02
"""Seconds in which a group gathers: a commit per instance would cost more than the rows."""
_MANY = 3
"""So many in that time, and senders are in full swing: a group then gathers for `_LONG_PAUSE`, which leaves the
processor to them. Completion waits for what is acknowledged and not indexed, so nothing is decided too early."""
_LONG_PAUSE = 0.25
_GAP = 0.06
"""Seconds without a further one that end such a group: receiver processes tell of theirs 50 times a second. What came
last is then indexed soon, and the quiet time of its unit begins."""


def record(intake: Intake, group: Sequence[Arrival]) -> None:
    """Write the rows of a group. One that the database does not take is held, alone; the others go on.

    Raises sqlalchemy.exc.SQLAlchemyError when the database itself is at fault: then the group may be written
    again as a whole, because a row that is there already is left as it is.
    """
    try:
        intake.record(group)
    except Exception as error:  # whatever is wrong with one row, a bug of ours too, must not stop the others
        if _away(error):
            raise
        log.warning("a group of %d rows was refused (%s); written one by one", len(group), type(error).__name__)
        for arrival in group:
            _record_one(intake, arrival)


def _record_one(intake: Intake, arrival: Arrival) -> None:
    try:
        intake.record([arrival])
    except Exception as error:  # as above
        if _away(error):
            raise
        log.error("the row of instance %s is refused (%s); it is held", arrival.receipt, type(error).__name__)
        why = f"what it says of itself does not fit into the index ({type(error).__name__})"
        intake.record([nameless(arrival.receipt, arrival.path, arrival.size, arrival.received, why)])


def _away(error: Exception) -> bool:
    """Whether the database is at fault, and not what was to be written."""
    broken = isinstance(error, sa.exc.DBAPIError) and (error.connection_invalidated or damage(error))
    return bool(broken) or isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError))


def nameless(receipt: ReceiptId, path: str, size: int, received: datetime, why: str) -> Arrival:
    """A row for a file of which nothing can be said, so that it is seen: held with a reason, in no unit."""
    none = UID("")
    return Arrival(
        receipt=receipt, path=path, size=size, sha256="", received=received,
        origin=Origin(calling_ae="", called_ae="", sender=""),
        identity=Identity(sop_class=none, sop_instance=none, study=none, series=none, transfer_syntax=none),
        header=pack({}), held=why,
    )  # fmt: skip


_Waiting = tuple[Kept, Arrival, Callable[[int], None]]
"""The last is told how many of its instances are indexed."""


@dataclass(slots=True)
class RowWriter:
    """Takes arrivals from many threads, shows and commits them in groups. When the database is away it keeps them
    and tries again: receiving goes on, and the disk's watermark is what ends it."""

    spool: Spool
    intake: Intake
    presence: Presence
    committed: Callable[[int], None]
    """Told after each commit: wakes completion up, counts."""
    reach: Callable[[str], None]
    pause: float = 1.0
    """Seconds between two tries when the database is away."""
    written: int = 0
    """Instances that got their row since the start."""
    _queue: queue.SimpleQueue[_Waiting | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    damaged: str = ""
    """Why the database takes no rows until a person acts; empty when it takes them, or may in a while."""

    def put(self, kept: Kept, arrival: Arrival, indexed: Callable[[int], None] | None = None) -> None:
        """`indexed` is told how many were committed, where another process has acknowledged it."""
        self._queue.put((kept, arrival, indexed or self.presence.index))

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
        waiting: list[_Waiting] = []
        while waiting or not self._stopping.is_set() or not self._queue.empty():
            waiting += self._gather(block=not waiting)
            # In parts also after an outage: databases limit how many values one statement may have.
            while waiting and self._commit(waiting[:_GROUP]):
                del waiting[:_GROUP]
            if waiting and self._stopping.is_set():
                log.warning(
                    "%d instances are in the spool and not in the index; the next start indexes them",
                    len(waiting) + self._queue.qsize(),
                )
                return
            if waiting:
                self._stopping.wait(self.pause)

    def _gather(self, *, block: bool) -> list[_Waiting]:
        """What is queued, up to a group; waits for the first one."""
        found: list[_Waiting] = []
        try:
            first = self._queue.get(block=block)
        except queue.Empty:
            return found
        if first is not None:
            found.append(first)
        began = time.monotonic()
        while len(found) < _GROUP:
            pause = _LONG_PAUSE if len(found) >= _MANY and not self._stopping.is_set() else _PAUSE
            left = max(0.0, began + pause - time.monotonic())
            try:
                following = self._queue.get(timeout=min(_GAP, left))
            except queue.Empty:
                break
            if following is not None:
                found.append(following)
        return found

    def _commit(self, group: list[_Waiting]) -> bool:
        try:
            self.spool.show([(kept.slot, kept.path) for kept, _, _ in group])
            self.reach("instance visible")
            self.reach("before the rows")
            record(self.intake, [arrival for _, arrival, _ in group])
        except OSError as error:
            # They are safe where they are; a disk that is full or read-only may be neither in a while.
            log.warning("%d instances cannot be given their place in the spool: %s", len(group), error.strerror)
            return False
        except sa.exc.SQLAlchemyError as error:
            self._say_away(error)
            return False
        except Exception:  # worker loop: a bug must not end indexing; the instances are in the spool
            log.exception("%d rows could not be written; tried again", len(group))
            return False
        for indexed, count in Counter(indexed for _, _, indexed in group).items():
            indexed(count)
        if self.damaged:  # a read that was cut looks like a damaged page, once
            log.warning("the database takes rows again")
        self.damaged = ""
        self.written += len(group)
        self.reach("after the rows")
        self.committed(len(group))
        return True

    def _say_away(self, error: sa.exc.SQLAlchemyError) -> None:
        if why := damage(error):
            if not self.damaged:  # tried again every second: a person has to act, and one line says how
                self.damaged = why
                log.error("the database is damaged, instances are kept in the spool and wait for their rows: %s", why)
            return
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        log.warning("the database is away, instances wait for their rows: %s", type(cause).__name__)
