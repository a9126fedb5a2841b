"""What every live process has acknowledged and what it is receiving, visible to all of them.

One small file per process in `run/`, locked for as long as the process lives: the lock is freed by the
operating system at death, so liveness needs no clock. The file's content is the process's mark:

    acknowledged (8 bytes) | indexed (8 bytes) | length (4 bytes) | JSON list of units being received

Completion reads the marks: a unit is never closed while a live process has acknowledged an instance that
is not in the index yet, or receives one for it (`collect`). The counters change with every instance, so
they are eight-byte writes into the page cache and are never synced: a mark outlives no process.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_COUNTS = struct.Struct("<QQ")
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The mark of one live process at one moment."""

    process: str
    acknowledged: int
    indexed: int
    receiving: frozenset[str]
    """Unit keys `<called AE>/<series or study UID>` into which an instance is arriving now."""


class Presence:
    """This process's own mark, and its view of the others'."""

    def __init__(self, folder: Path, process: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.process = process
        self._lock = threading.Lock()
        self._acknowledged = 0
        self._indexed = 0
        self._path = folder / f"{process}.mark"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(self._file, _COUNTS.pack(0, 0) + _LENGTH.pack(2) + b"[]", 0)

    def acknowledge(self) -> None:
        """Count one instance before its success is answered."""
        with self._lock:
            self._acknowledged += 1
            self._publish()

    def withdraw(self) -> None:
        """Take one back: it was counted and then could not be kept."""
        with self._lock:
            self._acknowledged -= 1
            self._publish()

    def index(self, count: int) -> None:
        """Count instances whose rows are committed."""
        with self._lock:
            self._indexed += count
            self._publish()

    def receive(self, units: Iterable[str]) -> None:
        """Publish the units into which instances are arriving now."""
        text = json.dumps(sorted(units)).encode()
        with self._lock:
            os.pwrite(self._file, _LENGTH.pack(len(text)) + text, _COUNTS.size)

    def _publish(self) -> None:
        os.pwrite(self._file, _COUNTS.pack(self._acknowledged, self._indexed), 0)

    def live(self) -> tuple[Seen, ...]:
        """The marks of every live process, this one among them."""
        marks = []
        for path in sorted(self.folder.glob("*.mark")):
            own = path.stem == self.process
            if own or not _free(path):
                seen = _read(path)
                if seen is not None:
                    marks.append(seen)
        return tuple(marks)

    def dead(self) -> tuple[str, ...]:
        """Processes that left a mark and live no more. What they acknowledged last may not be indexed."""
        return tuple(p.stem for p in sorted(self.folder.glob("*.mark")) if p.stem != self.process and _free(p))

    def bury(self, process: str) -> None:
        """Forget a dead process, after what it left was taken over."""
        (self.folder / f"{process}.mark").unlink(missing_ok=True)

    def close(self) -> None:
        """Leave no mark: everything this process acknowledged is in the index, or its file stays for the sweep."""
        with self._lock:
            if self._acknowledged == self._indexed:
                self._path.unlink(missing_ok=True)
            os.close(self._file)


def _free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _read(path: Path) -> Seen | None:
    """One mark. A list that is being rewritten under our eyes is read again."""
    for _ in range(20):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(content) < _COUNTS.size + _LENGTH.size:
            continue
        acknowledged, indexed = _COUNTS.unpack_from(content)
        (length,) = _LENGTH.unpack_from(content, _COUNTS.size)
        start = _COUNTS.size + _LENGTH.size
        try:
            receiving = frozenset(str(x) for x in json.loads(content[start : start + length]))
        except ValueError:
            continue
        return Seen(process=path.stem, acknowledged=acknowledged, indexed=indexed, receiving=receiving)
    # Never readable: say the safe thing, that it has acknowledged what is not indexed.
    return Seen(process=path.stem, acknowledged=1, indexed=0, receiving=frozenset())
