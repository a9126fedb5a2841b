"""Watched folders: files are taken in like C-STORE, and leave the folder when they are safe.

Events start a look at once; a look is repeated anyway, because network folders send no events. A file is
taken when its size and time have stood still between two looks: a copy that is still running is not cut off.
"""

from __future__ import annotations

import logging
import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from node.dicom.sniff import NotAnInstance, sniff
from node.errors import Refused
from node.model import Origin
from node.receive.keeper import Keeper

log = logging.getLogger("node.receive")

_Stamp = tuple[int, int]
"""(size, modification time in ns)"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a folder found. Pure result of `compare`."""

    ready: tuple[Path, ...]
    growing: tuple[Path, ...]


def compare(
    before: dict[Path, _Stamp], now: dict[Path, _Stamp], done: dict[Path, _Stamp]
) -> Look:
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
    _wake: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _observer: object = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        observer = Observer()
        observer.daemon = True
        observer.schedule(_Waker(self._wake), str(self.folder), recursive=True)
        observer.start()
        self._observer = observer
        self._thread = threading.Thread(target=self._run, name=f"watch {self.folder.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._observer is not None:
            self._observer.stop()  # type: ignore[attr-defined]  # watchdog's Observer is a platform's choice
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        growing = True
        while not self._stop.is_set():
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
        now = {p: s for p in sorted(self.folder.rglob("*")) if (s := _stamp(p)) is not None and not _hidden(p, self.folder)}
        look = compare(self._seen, now, self._done)
        self._seen = now
        for path in look.ready:
            if self._stop.is_set():
                break
            self._take(path, now[path])
        self._done = {p: s for p, s in self._done.items() if p in now}
        return look

    def _take(self, path: Path, stamp: _Stamp) -> None:
        origin = Origin(calling_ae="", called_ae=self.called_ae, sender=f"folder:{self.folder}")
        try:
            found = sniff(path)
            if isinstance(found, NotAnInstance):
                level = logging.INFO if found.dicomdir else logging.WARNING
                log.log(level, "%s is left where it is: %s", path, found.reason)
                self._done[path] = stamp
                return
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                data = memoryview(view)[found.dataset_offset :]
                try:
                    self.keeper.keep(data, found.transfer_syntax, origin)
                finally:
                    data.release()
        except Refused as error:
            log.warning("%s is left where it is: %s", path, error)
            self._done[path] = stamp
            return
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error.strerror)
            self._done[path] = stamp
            return
        self.taken(origin)
        try:
            path.unlink()
        except OSError as error:
            log.warning("%s is taken in and cannot be removed: %s", path, error.strerror)
            self._done[path] = stamp


class _Waker(FileSystemEventHandler):
    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("created", "modified", "moved", "closed"):
            self._wake.set()


def _stamp(path: Path) -> _Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return (state.st_size, state.st_mtime_ns) if path.is_file() else None


def _hidden(path: Path, root: Path) -> bool:
    """Names that begin with a dot are being written by someone (rsync, this node's own deliveries)."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)
