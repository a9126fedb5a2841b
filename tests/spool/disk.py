"""A disk under the node that remembers, loses and fails.

`Disk` is the real file system that also writes down every call, in order. From that record `surviving` builds
what is left when the power goes out after any call; `faults` lets a call fail as a broken or full disk does.

What a power cut leaves, at the worst (POSIX; ext4, XFS and ZFS keep more):
    content of a file   what it was when it was synced last; nothing when it never was
    names in a folder   what they were when the folder was synced last, and those of folders above likewise
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from node.spool import Files


class Loss(Enum):
    """What the power cut takes of what was not synced."""

    EVERYTHING = auto()
    """Content and names."""
    CONTENT = auto()
    """Content; names made it. File systems without ordered data do this."""
    HALF = auto()
    """The second half of the content; names made it."""
    NOTHING = auto()
    """Only the process died: kill -9."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that came back, or failed with `error`; `note` is what a test added in between."""

    kind: str
    path: Path = Path()
    to: Path = Path()
    data: bytes = b""
    offset: int = -1
    error: int = 0


@dataclass(slots=True)
class _Inode:
    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    def left(self, loss: Loss) -> bytes:
        now = bytes(self.content)
        if loss is Loss.NOTHING:
            return now
        if loss is Loss.HALF and now != self.synced:
            return now[: len(self.synced) + (len(now) - len(self.synced)) // 2]
        return self.synced


_Names = dict[str, "_Inode | None"]
"""None stands for a folder."""


class Disk(Files):
    """The real files below `root`, written down.

    faults   {kind: {number of the call of that kind from 1: errno}}; 0 as number: every one
    """

    def __init__(self, root: Path, faults: Mapping[str, Mapping[int, int]] | None = None) -> None:
        super().__init__()
        self.root = root
        self.calls: list[Call] = []
        self.faults = dict(faults or {})
        self.gates: dict[str, threading.Event] = {}
        """Calls of these kinds wait until the event is set."""
        self.counts: dict[str, int] = {}
        self._open: dict[int, Path] = {}
        self._lock = threading.Lock()

    def note(self, what: str) -> None:
        """Put a mark of the test's own between the calls."""
        self._write_down(Call("note", Path(what)))

    def kinds(self, start: int = 0) -> list[str]:
        return [str(call.path) if call.kind == "note" else call.kind for call in self.calls[start:]]

    def _write_down(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)

    def _before(self, call: Call) -> None:
        if call.kind in self.gates:
            assert self.gates[call.kind].wait(10)
        with self._lock:
            self.counts[call.kind] = self.counts.get(call.kind, 0) + 1
            planned = self.faults.get(call.kind, {})
            error = planned.get(self.counts[call.kind], planned.get(0, 0))
            if error:
                self.calls.append(Call(call.kind, call.path, call.to, error=error))
                raise OSError(error, os.strerror(error))

    # ---- the calls of Files ---------------------------------------------------------------------------

    def mkdir(self, folder: Path) -> None:
        self._before(call := Call("mkdir", folder))
        super().mkdir(folder)
        self._write_down(call)

    def create(self, path: Path) -> int:
        self._before(call := Call("create", path))
        descriptor = super().create(path)
        self._open[descriptor] = path
        self._write_down(call)
        return descriptor

    def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> None:
        self._before(call := Call("write", self._open[descriptor], data=bytes(data)))
        super().write(descriptor, data)
        self._write_down(call)

    def patch(self, descriptor: int, data: bytes, offset: int) -> None:
        self._before(call := Call("patch", self._open[descriptor], data=bytes(data), offset=offset))
        super().patch(descriptor, data, offset)
        self._write_down(call)

    def sync(self, descriptor: int) -> None:
        self._before(call := Call("sync", self._open[descriptor]))
        super().sync(descriptor)
        self._write_down(call)

    def close(self, descriptor: int) -> None:
        self._before(call := Call("close", self._open.pop(descriptor)))
        super().close(descriptor)
        self._write_down(call)

    def show(self, hidden: Path, visible: Path) -> None:
        self._before(call := Call("show", hidden, visible))
        super().show(hidden, visible)
        self._write_down(call)

    def link(self, existing: Path, new: Path) -> bool:
        self._before(call := Call("link", existing, new))
        same = super().link(existing, new)
        self._write_down(call)
        return same

    def sync_path(self, path: Path) -> None:
        self._before(call := Call("sync", path))
        super().sync_path(path)
        self._write_down(call)

    def sync_folder(self, folder: Path) -> None:
        self._before(call := Call("sync_folder", folder))
        super().sync_folder(folder)
        self._write_down(call)

    def remove(self, path: Path) -> None:
        self._before(call := Call("remove", path))
        super().remove(path)
        self._write_down(call)

    # ---- what is left ---------------------------------------------------------------------------------

    def surviving(self, calls: int, loss: Loss) -> dict[Path, bytes]:
        """Files below `root`, relative to it, when the power goes out after the first so many calls."""
        # The parent stands for all that was there before.
        now: dict[Path, _Names] = {self.root.parent: {self.root.name: None}, self.root: {}}
        synced: dict[Path, _Names] = {self.root: {}}
        for call in self.calls[:calls]:
            if not call.error:
                _replay(call, now, synced)
        found: dict[Path, bytes] = {}
        _collect(self.root, now if loss is not Loss.EVERYTHING else synced, loss, found)
        return {path.relative_to(self.root): content for path, content in found.items()}


def _replay(call: Call, now: dict[Path, _Names], synced: dict[Path, _Names]) -> None:
    path, name = call.path, call.path.name
    if call.kind == "mkdir":
        _make(path, now)
    elif call.kind == "create":
        now[path.parent][name] = _Inode()
    elif call.kind in ("show", "link"):
        file = now[path.parent].pop(name) if call.kind == "show" else now[path.parent][name]
        now[call.to.parent][call.to.name] = file
    elif call.kind == "remove":
        now.get(path.parent, {}).pop(name, None)
    elif call.kind == "sync_folder":
        if path in now:
            synced[path] = dict(now[path])
    elif call.kind in ("write", "patch", "sync"):
        inode = now[path.parent][name]
        assert inode is not None
        _write(call, inode)


def _make(folder: Path, now: dict[Path, _Names]) -> None:
    """Those above it that are not here were made by something else a moment ago, and not synced."""
    if folder not in now:
        _make(folder.parent, now)
        now[folder] = {}
    now[folder.parent].setdefault(folder.name, None)


def _write(call: Call, inode: _Inode) -> None:
    if call.kind == "write":
        inode.content += call.data
    elif call.kind == "patch":
        inode.content[call.offset : call.offset + len(call.data)] = call.data
    else:
        inode.synced = bytes(inode.content)


def _collect(folder: Path, names: dict[Path, _Names], loss: Loss, found: dict[Path, bytes]) -> None:
    for name, inode in names.get(folder, {}).items():
        if inode is None:
            _collect(folder / name, names, loss, found)
        else:
            found[folder / name] = inode.left(loss)
