"""Bytes from the network or a folder -> a durable file, before anyone is told that we have it.

    spool/incoming/<process>/<number>.part     empty, being written, or kept and not shown yet
    spool/<day>/<hour>/<receipt>.dcm           shown: the name that a row of the index gives

An instance is kept when its file is whole and synced; that it is whole its own hash says, written last. Showing
it comes later and in groups. Names are numbers and receipt ids, never anything that came from the network.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from node.dicom.part10 import UNKNOWN_HASH, file_meta, read_meta
from node.errors import CannotSucceed
from node.model import Identity, Origin, ReceiptId
from node.spool.digest import Beside, Hashing
from node.spool.files import Files
from node.spool.ground import set_apart
from node.spool.slots import Slots

Clock = Callable[[], datetime]
Ids = Callable[[], ReceiptId]

_HURRY = 1 << 18
"""Bytes after which the disk is told to begin; less would be more requests than it is worth."""
_REST = 1 << 16
"""Bytes at the end, likewise."""
_PAGE = 4096
_BEGINNING = 1 << 15
"""Bytes; a header takes some 4 KiB."""
_IN_USE = timedelta(hours=2)
"""Folders younger than this are never removed: an instance may be on its way into one."""


class Kept(NamedTuple):
    """One instance on stable storage."""

    receipt: ReceiptId
    slot: Path
    """Where its bytes are until it is shown."""
    root: Path
    """Of the spool."""
    name: str
    """Below the root, where they are from then on; the name that a row of the index gives."""
    size: int
    """Bytes of the data set as received, without preamble and file meta."""
    sha256: str
    """Of the data set as received."""
    received: datetime
    origin: Origin

    @property
    def path(self) -> Path:
        return self.root / self.name


class Incoming:
    """One instance while it is written. Ends with `keep` or `discard`; nothing of it counts before `keep`."""

    def __init__(self, spool: Spool, receipt: ReceiptId, identity: Identity, origin: Origin) -> None:
        self._spool, self._files = spool, spool.files
        self.receipt, self._origin = receipt, origin
        self._received = spool.clock()
        self._size = 0
        self.beginning = b""
        """Of the data set, where the header most likely ends."""
        meta, self._hash_at = file_meta(identity, origin, receipt, self._received)
        self._offset = len(meta)
        self._hurried = _PAGE  # the first page is written again with the hash
        self._pages: mmap.mmap | None = None
        self._slot, self._descriptor = spool.slots.take()
        self._hash = Hashing(spool.beside)
        try:
            self._files.write(self._descriptor, meta)
        except BaseException:  # whatever it was: nobody else can give back what was taken
            self.discard()
            raise

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes of the data set, which may not be changed while `reads` says so. Raises OSError."""
        self._hash.add(data)
        try:
            self._files.write(self._descriptor, data)
        except OSError:
            self.discard()  # its hash is of more than its file has: it can never be kept
            raise
        if self._size < _BEGINNING:
            self.beginning += data[: _BEGINNING - self._size]
        self._size += len(data)
        whole = (self._offset + self._size) // _PAGE * _PAGE  # a page that is not full would be written twice
        if whole - self._hurried >= _HURRY:
            self._hurry(whole)

    def reads(self, buffer: memoryview) -> bool:
        """Whether something that was written from what underlies `buffer` is still being read there."""
        return self._hash.reads(buffer)

    def hurry(self) -> None:
        """All is written: the disk may begin with what is left, unless it is little, which the sync takes along."""
        if self._offset + self._size - self._hurried >= _REST:
            self._hurry(self._offset + self._size)

    def _hurry(self, end: int) -> None:
        """The disk writes while we hash and read the header, so that the sync has less to wait for."""
        if end > self._hurried:
            self._files.hurry(self._descriptor, self._hurried, end - self._hurried)
            self._hurried = end

    def written(self) -> tuple[mmap.mmap, int]:
        """What is written so far, and where in it the data set begins. Raises OSError.

        The mapping ends with the last reference to it.
        """
        if self._pages is None:
            self._pages = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        return self._pages, self._offset

    def keep(self) -> Kept:
        """Make the instance durable. Success may be answered only after this returned.

        PS3.4 B.2.3: success = we are responsible. The name of the slot was synced before it was taken, so one
        fdatasync makes the instance safe: name -> fsync(folder) -> write -> hash -> fdatasync -> answer. After a
        power cut the slot is there, and its hash says whether it is whole: one that was answered always is. What
        is whole and has no other name yet, the sweep shows and indexes. Raises OSError; then nothing was kept.
        """
        try:
            sha256 = self._hash.hexdigest()
            self._files.patch(self._descriptor, sha256.encode("ascii"), self._hash_at)
            self._files.sync(self._descriptor)
        except OSError:
            self.discard()
            raise
        self._close()
        return Kept(
            receipt=self.receipt, slot=self._slot, root=self._spool.root,
            name=self._spool.name(self.receipt, self._received), size=self._size, sha256=sha256,
            received=self._received, origin=self._origin,
        )  # fmt: skip

    def discard(self) -> None:
        """Leave no trace. May be called at any time, also after `keep`, where it does nothing."""
        if self._descriptor >= 0:
            self._close()
            with contextlib.suppress(OSError):
                self._files.remove(self._slot)

    def _close(self) -> None:
        self._hash.end()
        descriptor, self._descriptor, self._pages = self._descriptor, -1, None
        with contextlib.suppress(OSError):
            self._files.close(descriptor)


class Spool:
    """The folder of received instances. Safe for several processes and many threads."""

    def __init__(self, root: Path, process: str, *, files: Files, clock: Clock, ids: Ids) -> None:
        self.root, self.files, self.clock, self._ids = root, files, clock, ids
        self.incoming = root / "incoming" / process
        self._made: set[Path] = set()
        self._hour = (-1, "")
        """The hour since 1970 that `name` was asked for last, and its folder below the root."""
        self._lock = threading.Lock()
        files.make_folder(self.incoming.parent)
        set_apart(self.incoming.parent)
        files.make_folder(self.incoming)
        self.slots = Slots(self.incoming, files)
        self.beside = Beside()

    def begin(self, identity: Identity, origin: Origin) -> Incoming:
        """Start to keep one instance. Raises OSError when the disk does not take it."""
        return Incoming(self, self._ids(), identity, origin)

    def place(self, receipt: ReceiptId, received: datetime) -> Path:
        """Where an instance is shown: in the folder of its hour (UTC)."""
        return self.root / self.name(receipt, received)

    def name(self, receipt: ReceiptId, received: datetime) -> str:
        """Of the place, below the root."""
        hour = int(received.timestamp()) // 3600
        latest = self._hour
        if latest[0] != hour:
            latest = self._hour = hour, self.relative(self._named(received))
        return f"{latest[1]}/{receipt}.dcm"

    def show(self, kept: Collection[tuple[Path, Path]]) -> None:
        """Give instances that are kept their places: (slot, place) of each.

        link -> fsync(folder) -> unlink: at every moment at least one name of each is on the disk, in whatever
        order the disk writes folders. With both, after a power cut, the sweep removes the slot. May be repeated.
        A slot that cannot be removed does no harm. Raises OSError; what was not shown is where it was.
        """
        folders = sorted({place.parent for _, place in kept})
        for folder in folders:
            self._prepare(folder)
        for slot, place in kept:
            self._link(slot, place)
        for folder in folders:
            self.files.sync_folder(folder)
        for slot, _ in kept:
            with contextlib.suppress(OSError):
                self.files.remove(slot)

    def _link(self, slot: Path, place: Path) -> None:
        try:
            try:
                same = self.files.link(slot, place)
            except FileExistsError:
                if not slot.exists() or slot.samefile(place):
                    return
                # A copy that was interrupted, on a file system without hard links.
                self.files.remove(place)
                same = self.files.link(slot, place)
        except FileNotFoundError:
            if place.exists():
                return  # shown before; only the row is missing
            raise
        if not same:
            self.files.sync_path(place)

    def _prepare(self, folder: Path) -> None:
        """Make and sync the folder of an hour at its first use by this process."""
        with self._lock:
            if folder not in self._made or not folder.is_dir():
                self.files.make_folder(folder)
                self._made.add(folder)

    def _named(self, moment: datetime) -> Path:
        utc = moment.astimezone(UTC)
        return self.root / f"{utc:%Y-%m-%d}" / f"{utc:%H}"

    def where(self, relative: str) -> Path:
        """The file that a row of the index names."""
        return self.root / relative

    def relative(self, path: Path) -> str:
        below = self.root.as_posix() + "/"
        text = path.as_posix()
        return text[len(below) :] if text.startswith(below) else path.relative_to(self.root).as_posix()

    def kept(self) -> Iterator[Path]:
        """Every instance on the disk, oldest first. What appears during the walk may be missed."""
        for hour in sorted(self.root.glob("[0-9]*-[0-9]*-[0-9]*/[0-9]*/")):
            with contextlib.suppress(FileNotFoundError):  # an empty one may go at any moment
                # In one text: who walks slowly holds the names of an hour, and a path for each is ten times as large.
                names = "/".join(sorted(name for name in os.listdir(hour) if name.endswith(".dcm")))  # noqa: PTH208
                for name in re.finditer("[^/]+", names):
                    yield hour / name[0]

    def slots_of(self, process: str) -> list[Path]:
        """What a process was writing, or has kept and not shown; empty slots aside."""
        folder = self.root / "incoming" / process
        return sorted(p for p in folder.glob("*.part") if _size(p)) if folder.is_dir() else []

    def unshown(self) -> list[ReceiptId]:
        """Receipts of what is whole and not shown yet, of every process: it may have been acknowledged."""
        found = []
        for process in self.abandoned():
            for slot in self.slots_of(process):
                with contextlib.suppress(CannotSucceed, FileNotFoundError):
                    provenance = read_meta(slot).provenance
                    if provenance is not None and provenance.sha256 != UNKNOWN_HASH:
                        found.append(provenance.receipt)
        return found

    def abandon(self, process: str) -> int:
        """Remove what a dead process was writing: it was never acknowledged. Returns how many.

        Only after what it had kept was shown.
        """
        count = len(self.slots_of(process))
        shutil.rmtree(self.root / "incoming" / process, ignore_errors=True)
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
        self.slots.close()
        self.beside.close()
        with contextlib.suppress(OSError):
            self.incoming.rmdir()


def _size(path: Path) -> int:
    """0 too where it is gone: a live process takes and shows its slots at any moment."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
