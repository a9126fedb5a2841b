"""Every call to the file system on which a promise rests, in one place.

The spool and the outbox go through here, so that a test can put a recording disk underneath, see the
order of the calls, drop what was not synced, or let any one of them fail (EIO, ENOSPC, read-only).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE: begin to write what is dirty, and do not wait (sync_file_range(2))."""
_range = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)  # Linux alone has it, os does not
if _range is not None:
    _range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


class Room(NamedTuple):
    """What is left on a file system."""

    bytes: int
    inodes: int
    """-1 where the file system does not count them."""


class Files:
    """The real file system. Descriptors are plain integers; every method raises OSError."""

    def __init__(self) -> None:
        self._durable: set[Path] = set()
        """Folders whose names this process has seen onto the disk."""

    def create(self, path: Path) -> int:
        """Open a new file for writing. Raises FileExistsError when it is there."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data`; os.write alone may stop early."""
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(descriptor, view) :]

    def patch(self, descriptor: int, data: bytes, offset: int) -> None:
        """Overwrite bytes inside what was written."""
        if os.pwrite(descriptor, data, offset) != len(data):
            raise OSError(errno.EIO, "short write")

    def hurry(self, descriptor: int, start: int, length: int) -> None:
        """Let the disk begin with a part of what was written. It promises nothing and reports nothing: `sync` does,
        also for what fails here, and has less to wait for."""
        if _range is not None:
            _range(descriptor, start, length, _WRITE)

    def sync(self, descriptor: int) -> None:
        """Return when the content is on stable storage."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def show(self, hidden: Path, visible: Path) -> None:
        """Give a file its final name, atomically, on the same file system."""
        hidden.rename(visible)

    def link(self, existing: Path, new: Path) -> bool:
        """A second name for the same bytes; False for a copy, which is not synced, where the file system has no hard
        links."""
        try:
            os.link(existing, new)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise
            shutil.copyfile(existing, new)
            return False
        return True

    def sync_path(self, path: Path) -> None:
        """Sync the content of a file that something else wrote."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in `folder` are on stable storage."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def mkdir(self, folder: Path) -> None:
        """Make one folder; that it is there already is fine."""
        with contextlib.suppress(FileExistsError):
            folder.mkdir()

    def make_folder(self, folder: Path) -> None:
        """Make `folder` and its parents, and sync every name on the way, also those that were there before.

        A name outlasts a power cut only when all those above it do, and any of them may have been made a
        moment ago by another process, or by another part of this one, that has not synced it yet.
        """
        missing = []
        at = folder
        while not at.is_dir():
            missing.append(at)
            at = at.parent
        for path in reversed(missing):
            self.mkdir(path)
        device = folder.stat().st_dev
        for path in [*reversed(folder.parents[:-1]), folder]:
            if path in missing or path == folder:
                self.sync_folder(path.parent)
            elif path not in self._durable and path.parent.stat().st_dev == device:
                # What we may not open we have not made.
                with contextlib.suppress(PermissionError):
                    self.sync_folder(path.parent)
            self._durable.add(path)

    def remove(self, path: Path) -> None:
        """Remove a file; that it is gone already is fine."""
        path.unlink(missing_ok=True)

    def room(self, folder: Path) -> Room:
        """What an unprivileged process may still use where `folder` lies."""
        state = os.statvfs(folder)
        return Room(state.f_bavail * state.f_frsize, state.f_favail if state.f_files else -1)
