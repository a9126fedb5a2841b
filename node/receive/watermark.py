"""Room on the disk: enough must stay free, also when everything that is on its way has arrived.

What is promised to instances in flight counts as used, else many senders at once would overshoot
`limits: keep_free` together. A disk that is low is one line in the log when it begins and one when it ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from node.dicom.status import OUT_OF_RESOURCES
from node.errors import Refused
from node.receive.promised import Promised
from node.spool.files import Room

log = logging.getLogger("node.receive")

MINIMUM_INODES = 1000
_STEP = 1 << 24
"""Bytes by which the promise to an instance of unknown size is ahead of it: so seldom is the disk asked."""


class Promise:
    """Room for one instance in flight, given back when its `with` block ends.

    size        bytes that are promised
    written     bytes of them that the disk has and counts as used; whoever writes keeps it up to date
    """

    __slots__ = ("_watermark", "size", "written")

    def __init__(self, watermark: Watermark, size: int) -> None:
        self._watermark, self.size, self.written = watermark, size, 0

    def reach(self, size: int) -> None:
        """The instance turns out to have `size` bytes, or more. Raises Refused when there is no room for them."""
        if size > self.size:
            self._watermark.extend(self, size)

    def __enter__(self) -> Promise:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.over()

    def over(self) -> None:
        """Nothing more will come. May be said twice."""
        self._watermark.give_back(self)


class Watermark:
    """Thread-safe.

    look        what is left where the spool lies; raises OSError
    keep_free   bytes that must stay free
    promised    what the other processes of this node have promised
    say         takes the line when a disk begins or ends to be low
    """

    def __init__(
        self,
        look: Callable[[], Room],
        keep_free: Callable[[], int],
        *,
        promised: Promised | None = None,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        self._look, self._keep_free, self._shared, self._say = look, keep_free, promised, say
        self._lock = threading.Lock()
        self._promises: set[Promise] = set()
        self._low = ""

    @property
    def low(self) -> str:
        """Why instances are refused at present; empty when they are taken."""
        return self._low

    def promise(self, size: int = 0, *, more: bool = False) -> Promise:
        """Room for one more instance. Raises Refused.

        more    it has `size` bytes at least, and how many is not known: say so with `reach` as they come
        """
        with self._lock:
            if more and not self._low and not self._short(size + _STEP, 1):
                size += _STEP
            else:
                self._claim(size, 1)
            promise = Promise(self, size)
            self._promises.add(promise)
            self._tell()
            return promise

    def extend(self, promise: Promise, size: int) -> None:
        with self._lock:
            ahead = size + _STEP
            if not self._short(ahead - promise.size, 0):
                promise.size = ahead
            else:
                self._claim(size - promise.size, 0)
                promise.size = size
            self._tell()

    def give_back(self, promise: Promise) -> None:
        with self._lock:
            self._promises.discard(promise)
            self._tell()

    def check(self, size: int) -> None:
        """Raises Refused where an instance of `size` bytes has no room now."""
        with self._lock:
            self._claim(size, 1)

    def look_again(self) -> None:
        """Another process found the disk low, or not low any more. Raises Refused when it is."""
        with self._lock:
            self._claim(self._margin(), 1)

    def refresh(self) -> None:
        """See whether a disk that was low has room again; to be called now and then."""
        with self._lock:
            if self._low and not self._short(self._margin(), 1):
                self._enough()

    def _claim(self, size: int, files: int) -> None:
        why = self._short(size, files)
        if not why:
            if self._low and not self._short(max(size, self._margin()), files):
                self._enough()
            return
        if self._low:
            raise Refused(OUT_OF_RESOURCES, why, said=True)
        if not self._short(self._margin(), files):
            # Not the disk is low, but this one instance is large.
            raise Refused(OUT_OF_RESOURCES, f"{size >> 20} MiB more do not fit: {why}")
        self._low = why
        self._say(f"the disk is low, and instances are refused (0xA700) until there is room: {why}")
        raise Refused(OUT_OF_RESOURCES, why, said=True)

    def _enough(self) -> None:
        self._low = ""
        self._say("the disk has room again, and instances are taken")

    def _coming(self) -> int:
        coming = 0
        for promise in self._promises:
            if promise.size > promise.written:
                coming += promise.size - promise.written
        return coming

    def _tell(self) -> None:
        if self._shared is not None:
            self._shared.tell(self._coming())

    def _margin(self) -> int:
        """How much more than `keep_free` ends a low: else every file that leaves and comes would be two lines."""
        return self._keep_free() // 20

    def _short(self, size: int, files: int) -> str:
        """Why there is no room for `size` more bytes in so many more files; empty when there is."""
        try:
            room = self._look()
        except OSError as error:
            return f"the spool cannot be looked at: {error.strerror}"
        coming = self._coming() + (self._shared.others() if self._shared is not None else 0)
        free = room.bytes - coming
        if free - size < self._keep_free():
            on_the_way = f" and {coming >> 20} MiB are on their way" if coming >> 20 else ""
            return f"{room.bytes >> 20} MiB are free{on_the_way}, less than limits: keep_free asks for"
        if 0 <= room.inodes < MINIMUM_INODES + (len(self._promises) if files else 0):
            return f"only {room.inodes} files can still be made on this file system"
        return ""
