"""What every live process has acknowledged and what it is receiving, visible to all of them.

One small file per process in `run/`, locked for as long as the process lives: the lock is freed by the
operating system at death, so liveness needs no clock. The file's content is the process's mark:

    acknowledged (8 bytes) | indexed (8) | length (4) | CRC-32 (4) | JSON list of units being received

Completion reads the marks: a unit is never closed while a live process has acknowledged an instance that
is not in the index yet, or receives one for it (`collect`). The counters change with every instance, so
they are writes of a few bytes into the page cache and are never synced: a mark outlives no process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_COUNTS = struct.Struct("<QQ")
_LIST = struct.Struct("<II")
_MARK = ".mark"
_RECEIVER = re.compile(r"-r\d+$")
"""How the names of receiver processes end (receive.receivers); those of nodes end in random digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The mark of one live process at one moment."""

    process: str
    acknowledged: int
    indexed: int
    receiving: frozenset[str]
    """Unit keys `<called AE>/<series or study UID>` into which an instance is arriving now."""


class Presence:
    """This process's own mark, and its view of the others'. Thread-safe. What writes raises OSError."""

    def __init__(self, folder: Path, process: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.process = process
        self._lock = threading.Lock()
        self._acknowledged = 0
        self._indexed = 0
        self._path = folder / f"{process}.mark"
        # Locked and filled under another name: a mark that is visible before it is locked looks like that of
        # a dead process, and another one would bury it.
        hidden = folder / f"{process}.new"
        self._file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._publish()
        self.receive(())
        hidden.rename(self._path)

    def acknowledge(self) -> None:
        """Count one instance, before its success is answered. When it raises, nothing was counted."""
        with self._lock:
            self._acknowledged += 1
            try:
                self._publish()
            except OSError:
                self._acknowledged -= 1
                raise

    def withdraw(self) -> None:
        """Take one back: it was counted and then could not be kept."""
        with self._lock:
            self._acknowledged -= 1
            # The file says one too many until the next count; that only makes completion wait.
            with contextlib.suppress(OSError):
                self._publish()

    def index(self, count: int) -> None:
        """Count instances whose rows are committed."""
        with self._lock:
            self._indexed += count
            with contextlib.suppress(OSError):
                self._publish()

    def receive(self, units: Iterable[str]) -> None:
        """Publish the units into which instances are arriving now."""
        text = json.dumps(sorted(units)).encode()
        with self._lock:
            if self._file >= 0:
                os.pwrite(self._file, _LIST.pack(len(text), zlib.crc32(text)) + text, _COUNTS.size)

    def _publish(self) -> None:
        # After `close` the number may belong to another file of this process already.
        if self._file >= 0:
            os.pwrite(self._file, _COUNTS.pack(self._acknowledged, self._indexed), 0)

    def live(self) -> tuple[Seen, ...]:
        """The marks of every live process, this one among them."""
        return _live(self.folder, self.process)

    def nodes(self) -> tuple[Seen, ...]:
        """Of `live` those that are no receivers of another."""
        return _nodes(self.live())

    def others(self) -> frozenset[str]:
        """The names of `nodes` beside this one."""
        return frozenset(mark.process for mark in self.nodes()) - {self.process}

    def dead(self) -> tuple[str, ...]:
        """Processes that left a mark and live no more. What they acknowledged last may not be indexed."""
        return tuple(p.stem for p in sorted(self.folder.glob("*.mark")) if p.stem != self.process and _free(p))

    def bury(self, process: str) -> None:
        """Forget a dead process, after what it left was taken over."""
        for name in (f"{process}.mark", f"{process}.new"):
            (self.folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """End. No mark is left when everything acknowledged is in the index; else it stays and tells the others
        that there is something to sweep."""
        with self._lock:
            if self._file < 0:
                return
            if self._acknowledged == self._indexed:
                self._path.unlink(missing_ok=True)
            descriptor, self._file = self._file, -1
            os.close(descriptor)


def living(folder: Path) -> tuple[str, ...]:
    """The nodes whose marks are in a folder, seen by a process that has none there."""
    return tuple(mark.process for mark in _nodes(_live(folder, "")))


def _live(folder: Path, own: str) -> tuple[Seen, ...]:
    marks = []
    # Asked many times a second while instances come: without paths, and each mark is opened once.
    for name in sorted(os.listdir(folder)):  # noqa: PTH208
        process = name.removesuffix(_MARK)
        if process != name:
            seen = _look(f"{folder}/{name}", process, own=process == own)
            if seen is not None:
                marks.append(seen)
    return tuple(marks)


def _nodes(marks: Iterable[Seen]) -> tuple[Seen, ...]:
    return tuple(mark for mark in marks if not _RECEIVER.search(mark.process))


def _free(path: Path) -> bool:
    """Whether nobody holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Without a name its process has ended in good order between our two calls.
        return not _locked(descriptor) and os.fstat(descriptor).st_nlink > 0
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether its process lives. A shared lock is tried: two processes that ask at the same moment would otherwise
    take each other for the owner."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _look(path: str, process: str, *, own: bool) -> Seen | None:
    """A mark, where its process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _read(descriptor, process) if own or _locked(descriptor) else None
    finally:
        os.close(descriptor)


def _read(descriptor: int, process: str) -> Seen:
    """One mark. A list that is being rewritten under our eyes is read again."""
    start = _COUNTS.size + _LIST.size
    for _ in range(20):
        content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        if len(content) < start:
            continue
        acknowledged, indexed = _COUNTS.unpack_from(content)
        length, check = _LIST.unpack_from(content, _COUNTS.size)
        text = content[start : start + length]
        if zlib.crc32(text) == check:
            receiving = frozenset(str(unit) for unit in json.loads(text))
            return Seen(process=process, acknowledged=acknowledged, indexed=indexed, receiving=receiving)
    # Never readable: say the safe thing, that it has acknowledged what is not indexed.
    return Seen(process=process, acknowledged=1, indexed=0, receiving=frozenset())
