"""Watched folders: files are taken in like C-STORE, and leave the folder when they are safe.

Events start a look at once; a look is repeated anyway, because network folders send no events. A file is
taken when its size and time have stood still between two looks and its data set is whole: a copy may pause for
longer than any time one could set. For C-STORE the sender says when an instance is over; here only the file does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_tb

from node.dicom.sniff import NotAnInstance, sniff
from node.dicom.status import OUT_OF_RESOURCES
from node.dicom.wholeness import cut_off
from node.errors import Refused
from node.model import Origin
from node.receive.irregular import Irregular
from node.receive.keeper import Keeper
from node.watching import Watching

log = logging.getLogger("node.receive")

_Stamp = tuple[int, int]
"""(size, modification time in ns)"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a folder found. Pure result of `compare`."""

    ready: tuple[Path, ...]
    growing: tuple[Path, ...]


def compare(before: dict[Path, _Stamp], now: dict[Path, _Stamp], done: dict[Path, _Stamp]) -> Look:
    """Which files have stood still since the look before, those aside that were dealt with as they are."""
    fresh = {p: s for p, s in now.items() if done.get(p) != s}
    ready = tuple(sorted(p for p, s in fresh.items() if before.get(p) == s))
    return Look(ready=ready, growing=tuple(sorted(fresh.keys() - set(ready))))


@dataclass(slots=True)
class FolderIntake:
    """Takes in the files of one folder and the folders below it."""

    folder: Path
    called_ae: str
    keeper: Keeper
    settle: float = 1.0
    """Seconds between the two looks that must agree."""
    rescan: float = 30.0
    """Seconds between looks when no event came."""
    taken: Callable[[Origin], None] = lambda origin: None
    _seen: dict[Path, _Stamp] = field(default_factory=dict)
    _done: dict[Path, _Stamp] = field(default_factory=dict)
    """Files that stay where they are: not DICOM, refused, or in a folder that cannot be written."""
    _told: dict[Path, _Stamp] = field(default_factory=dict)
    """Files of which the log says already why they stay."""
    _irregular: Irregular = field(default_factory=Irregular)
    _wake: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _watching: Watching | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._watching = Watching(self._wake, [self.folder], ("created", "modified", "moved", "closed"), recursive=True)
        try:
            self._watching.start()
        except OSError as error:
            log.warning(
                "folder %s: no events (%s); it is looked at every %g s", self.folder, error.strerror, self.rescan
            )
        self._thread = threading.Thread(target=self._run, name=f"watch {self.folder.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._watching is not None:
            self._watching.stop()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            growing = False
            try:
                growing = bool(self.look().growing)
            except OSError as error:
                log.warning("folder %s cannot be read: %s", self.folder, error.strerror)
            except Exception:  # worker loop: one bad file must not end intake
                log.exception("intake of folder %s failed; tried again", self.folder)
            if growing:
                self._stop.wait(self.settle)
            else:
                self._wake.wait(self.rescan)
                self._wake.clear()

    def look(self) -> Look:
        """One look: take in what has stood still since the one before. Raises OSError for the folder itself."""
        self.folder.stat()  # else a folder that is gone, or not mounted, would look empty
        now = {p: s for p in sorted(self.folder.rglob("*")) if not _hidden(p, self.folder) and (s := _stamp(p))}
        look = compare(self._seen, now, self._done)
        self._seen = now
        for path in look.ready:
            if self._stop.is_set():
                break
            self._take(path, now[path])
        self._done = {p: s for p, s in self._done.items() if p in now}
        self._told = {p: s for p, s in self._told.items() if p in now}
        return look

    def _take(self, path: Path, stamp: _Stamp) -> None:
        try:
            kept = self._keep(path, stamp)
        except FileNotFoundError:
            return
        except Refused as error:
            if error.said:
                return  # looked at again with the next look
            # A disk that is full today has room tomorrow; what is wrong with the file itself stays wrong.
            self._leave(path, stamp, str(error), again=error.status == OUT_OF_RESOURCES)
            return
        except OSError as error:
            self._leave(path, stamp, f"it cannot be read: {error.strerror}", again=True)
            return
        except Exception as error:  # worker loop: one file that meets a bug must not keep the others from coming in
            # Frames only: the text of the exception may quote the data set.
            frames = "".join(format_tb(error.__traceback__))
            self._leave(path, stamp, f"a fault in the node ({type(error).__name__})\n{frames}", again=True)
            return
        if kept and _stamp(path) == stamp:
            try:
                self.keeper.spool.files.remove(path)
            except OSError as error:
                self._leave(path, stamp, f"it is taken in, and cannot be removed: {error.strerror}", again=False)

    def _keep(self, path: Path, stamp: _Stamp) -> bool:
        """False when it is no instance, or is being written to. Raises Refused, OSError."""
        found = sniff(path)
        if isinstance(found, NotAnInstance):
            self._leave(
                path, stamp, found.reason, again=False, level=logging.INFO if found.dicomdir else logging.WARNING
            )
            return False
        self.keeper.check_room(stamp[0])
        # Read, and not mapped: a mapped file that its writer cuts off ends the process (SIGBUS).
        data = path.read_bytes()
        if len(data) != stamp[0] or _stamp(path) != stamp:
            return False
        cut = cut_off(data, found.transfer_syntax, found.dataset_offset)
        if cut is not None:
            # Done with as it is: it is looked at again when it has changed.
            self._leave(
                path, stamp, f"{cut}. It may still be on its way, and is taken when the rest is here", again=False
            )
            return False
        origin = Origin(calling_ae="", called_ae=self.called_ae, sender=f"folder:{self.folder}")
        _, identity = self.keeper.keep(memoryview(data)[found.dataset_offset :], found.transfer_syntax, origin)
        self._irregular.tell(identity, origin)
        self.taken(origin)
        return True

    def _leave(self, path: Path, stamp: _Stamp, why: str, *, again: bool, level: int = logging.WARNING) -> None:
        """The file stays where it is, which is said once. Not by its name: many are named after the patient."""
        if self._told.get(path) != stamp:
            mark = nameless(path, self.folder)
            log.log(level, "folder %s: file %s (%d bytes) is left where it is: %s", self.folder, mark, stamp[0], why)
            self._told[path] = stamp
        if not again:
            self._done[path] = stamp


def nameless(path: Path, folder: Path) -> str:
    """What the log calls a file: the first 12 hex digits of the SHA-256 of its path below the folder."""
    return hashlib.sha256(os.fsencode(path.relative_to(folder))).hexdigest()[:12]


def _stamp(path: Path) -> _Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return (state.st_size, state.st_mtime_ns) if path.is_file() else None


def _hidden(path: Path, root: Path) -> bool:
    """Names that begin with a dot are being written by someone (rsync, this node's own deliveries)."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)
