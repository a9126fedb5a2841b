"""Bytes from the network or a folder -> a durable file, before anyone is told that we have it.

    spool/incoming/<process>/<receipt>.part     being written; swept away when its process is dead
    spool/<day>/<hour>/<receipt>.dcm            kept: whole, synced, with its provenance in the file meta

The name is the receipt's id, never anything that came from the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from node.dicom.part10 import file_meta
from node.model import Identity, Origin, ReceiptId
from node.spool.files import Files

Clock = Callable[[], datetime]
Ids = Callable[[], ReceiptId]

_IN_USE = timedelta(hours=2)
"""Folders younger than this are never removed: an instance may be on its way into one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One instance on stable storage."""

    receipt: ReceiptId
    path: Path
    size: int
    """Bytes of the data set as received, without preamble and file meta."""
    sha256: str
    """Of the data set as received."""
    received: datetime
    origin: Origin


class Incoming:
    """One instance while it is written. Ends with `keep` or `discard`; nothing of it counts before `keep`."""

    def __init__(self, spool: Spool, receipt: ReceiptId, identity: Identity, origin: Origin) -> None:
        self._spool, self._files = spool, spool.files
        self.receipt, self._origin = receipt, origin
        self._received = spool.clock()
        self._hidden = spool.incoming / f"{receipt}.part"
        self._hash = hashlib.sha256()
        self._size = 0
        meta, self._hash_at = file_meta(identity, origin, receipt, self._received)
        self._descriptor = self._files.create(self._hidden)
        try:
            self._files.write(self._descriptor, meta)
        except OSError:
            self.discard()
            raise

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes of the data set. Raises OSError."""
        self._files.write(self._descriptor, data)
        self._hash.update(data)
        self._size += len(data)

    def keep(self) -> Kept:
        """Make the instance durable and visible. Success may be answered only after this returned.

        write -> fdatasync(file) -> rename -> fsync(folder), PS3.4 B.2.3: success = we are responsible.
        After a power cut the name either is absent or names the whole instance: the rename is journaled
        after the content is on the disk, and the folder is synced before the answer. The row in the index
        comes later; the sweep finds a file that has none. Raises OSError; then nothing was kept.
        """
        sha256 = self._hash.hexdigest()
        try:
            visible = self._spool.folder_for(self._received) / f"{self.receipt}.dcm"
            self._files.patch(self._descriptor, sha256.encode("ascii"), self._hash_at)
            self._files.sync(self._descriptor)
            self._files.show(self._hidden, visible)
        except OSError:
            self.discard()
            raise
        try:
            self._files.sync_folder(visible.parent)
        except OSError:
            # Visible but perhaps not durable: the sender is told that it failed, so it must not stay.
            with contextlib.suppress(OSError):
                self._files.remove(visible)
            self.discard()
            raise
        self._close()
        return Kept(
            receipt=self.receipt, path=visible, size=self._size, sha256=sha256,
            received=self._received, origin=self._origin,
        )  # fmt: skip

    def discard(self) -> None:
        """Leave no trace. May be called at any time, also after `keep`, where it does nothing."""
        if self._descriptor >= 0:
            self._close()
            with contextlib.suppress(OSError):
                self._files.remove(self._hidden)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(OSError):
            self._files.close(descriptor)


class Spool:
    """The folder of received instances. Safe for several processes and many threads."""

    def __init__(self, root: Path, process: str, *, files: Files, clock: Clock, ids: Ids) -> None:
        self.root, self.files, self.clock, self._ids = root, files, clock, ids
        self.incoming = root / "incoming" / process
        self._made: set[Path] = set()
        self._lock = threading.Lock()
        files.make_folder(self.incoming)

    def begin(self, identity: Identity, origin: Origin) -> Incoming:
        """Start to keep one instance. Raises OSError when the disk does not take it."""
        return Incoming(self, self._ids(), identity, origin)

    def folder_for(self, received: datetime) -> Path:
        """The folder of an hour (UTC), made and synced at its first use by this process."""
        folder = self._named(received)
        with self._lock:
            if folder not in self._made or not folder.is_dir():
                self.files.make_folder(folder)
                self._made.add(folder)
        return folder

    def _named(self, moment: datetime) -> Path:
        utc = moment.astimezone(UTC)
        return self.root / f"{utc:%Y-%m-%d}" / f"{utc:%H}"

    def where(self, relative: str) -> Path:
        """The file that a row of the index names."""
        return self.root / relative

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def kept(self) -> Iterator[Path]:
        """Every instance on the disk, oldest first. What appears during the walk may be missed."""
        for hour in sorted(self.root.glob("[0-9]*-[0-9]*-[0-9]*/[0-9]*/")):
            yield from sorted(hour.glob("*.dcm"))

    def abandon(self, process: str) -> int:
        """Remove what a dead process was writing: it was never acknowledged. Returns how many."""
        folder = self.root / "incoming" / process
        count = sum(1 for _ in folder.glob("*.part")) if folder.is_dir() else 0
        shutil.rmtree(folder, ignore_errors=True)
        return count

    def abandoned(self) -> tuple[str, ...]:
        """Processes that have an incoming folder; which of them are dead is `Presence`'s to say."""
        return tuple(sorted(p.name for p in (self.root / "incoming").iterdir() if p.is_dir()))

    def forget_empty_folders(self) -> None:
        """Remove the folders of hours and days that hold nothing any more, the latest aside.

        Also those of other processes: which is why a folder is left alone while an instance that one of them
        is keeping may still go there. A day that is not empty stays, and so does whatever is no folder.
        """
        now = self.clock()
        latest = {self._named(now - back) for back in (timedelta(), _IN_USE / 2, _IN_USE)}
        latest |= {hour.parent for hour in latest}
        hours = self.root.glob("[0-9]*-[0-9]*-[0-9]*/[0-9]*/")
        days = self.root.glob("[0-9]*-[0-9]*-[0-9]*/")
        for folder in itertools.chain(sorted(hours), sorted(days)):
            if folder not in latest:
                with contextlib.suppress(OSError), self._lock:
                    folder.rmdir()
                    self._made.discard(folder)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.incoming.rmdir()
