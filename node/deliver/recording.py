"""What a destination answered goes onto the disk in groups, beside the thread that sends.

To wait for the disk after each answer takes about as long as to send an instance. So the next ones leave
meanwhile; what was answered and is not yet on the disk when the process dies is sent once more, like what was
just under way. Hence a bound, `at_once`: never are more instances than that without a record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 16
"""Instances of one delivery that a kill may make it send again."""
_SHARE = 25
"""Of a smaller delivery at most one in so many, and one at least: a few instances are recorded one by one."""
_GATHER = 0.01
"""Seconds that an answer waits for others, so that a group is more than the one that came first."""


def at_once(parcels: int) -> int:
    """How many instances of a delivery with so many may be without a record: sent, or being sent."""
    return max(1, min(_MOST, parcels // _SHARE))


def side_by_side(parcels: int, most: int) -> int:
    """Associations for a delivery with so many, `most` at the most: what each has in hand has no record either."""
    return max(1, min(most, at_once(parcels) // 2))


class Recording(Generic[T]):
    """Use it with `with`: at the end of the block everything that was added is on the disk.

    write       puts some answers onto the disk, in the order in which they came; False when no more are wanted
    at_once     see the function; at 1 each answer is on the disk before `add` returns
    sending     threads that add: when it returns each of them may have one more that is being sent
    """

    def __init__(self, write: Callable[[Sequence[T]], bool], at_once: int, sending: int = 1) -> None:
        self._write, self._at_once = write, at_once - sending + 1
        self._enough = max(1, at_once // 2)
        """Half of them: the thread that sends comes to the bound only where the disk is slower than the peer."""
        self._changed = threading.Condition()
        self._came: list[T] = []
        self._unrecorded = 0
        """Those in `_came`, and those that are being written."""
        self._closing = False
        self._wanted = True
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)

    @property
    def wanted(self) -> bool:
        """False as soon as a write said so, or failed."""
        return self._wanted and self._failure is None

    def add(self, answer: T) -> None:
        """Returns when another instance may be sent. Raises what `write` raised, also for an earlier one."""
        with self._changed:
            self._came.append(answer)
            self._unrecorded += 1
            self._changed.notify_all()
            # What is sent next has no record either.
            self._changed.wait_for(lambda: self._unrecorded < self._at_once or self._failure is not None)
            if self._failure is not None:
                raise self._failure

    def __enter__(self) -> Recording[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Also when the block raised: what the peer has, it has. Raises what `write` raised."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if self._failure is not None and self._failure is not error:
            raise self._failure

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._came or self._closing)
                if not self._came:
                    return
                self._changed.wait_for(lambda: len(self._came) >= self._enough or self._closing, _GATHER)
                group, self._came = self._came, []
            try:
                wanted = self._write(group)
            except Exception as failure:  # raised again in the thread that sends
                with self._changed:
                    self._failure = failure
                    self._changed.notify_all()
                return
            with self._changed:
                self._wanted = self._wanted and wanted
                self._unrecorded -= len(group)
                self._changed.notify_all()
