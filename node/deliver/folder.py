"""Brings parcels to a folder: each file appears under its name at once and whole, or not at all.

A file is linked or copied into `.incoming-…` inside the folder, synced, renamed into place, and the folders
on its way are synced. What a path belongs to is known durably (Ownership), claimed before the rename, so
that a rerun replaces its own files and never another unit's, nor one that this node did not put there.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from node.deliver.base import Outcome, Parcel, Record, Result
from node.deliver.layout import Layout, marked, safe_part, short_hash
from node.errors import TryAgain
from node.model import Kind
from node.outbox import FILE_GONE
from node.spool.files import Files

_REMEDIES = {
    errno.ENOENT: "does not exist; create it, or mount what belongs there",
    errno.EACCES: "may not be written to; give this user write permission",
    errno.EPERM: "may not be written to; give this user write permission",
    errno.EROFS: "is on a read-only file system; mount it writable",
    errno.ENOSPC: "is full; free some space",
    errno.EDQUOT: "is over its quota; free some space",
}


_STEP = 4 << 20
"""Bytes that are copied before the disk is told to begin with them."""


class Ownership(Protocol):
    """Which unit and route each published path belongs to. Kept durably; every call is committed.

    Paths are relative to the destination's folder, with slashes. They may be patient data: never logged.
    """

    def owner(self, path: str) -> str | None: ...

    def claim(self, path: str, owner: str) -> None: ...

    def published(self, owner: str) -> Sequence[str]: ...

    def forget(self, path: str) -> None: ...


class FolderTarget:
    """A folder that must exist: one that is missing may be a share that is not mounted.

    `owner` names the unit and route whose files these are. `taken` are the places this same delivery
    already recorded before it was interrupted. `stays` are those of earlier generations that stay: only an instance,
    which is the same one whatever it says, takes its place again. `link` False copies even within one file system;
    with a hard link, who changes the published file in place changes the outbox's copy too.
    """

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        ownership: Ownership,
        owner: str,
        *,
        taken: Collection[str] = (),
        stays: Collection[str] = (),
        link: bool = True,
    ) -> None:
        self._folder, self._layout, self._ownership, self._owner = folder, layout, ownership, owner
        self._taken, self._stays, self._link = set(taken), frozenset(stays), link
        self._incoming = folder / f".incoming-{short_hash(owner)}"

    def deliver(self, parcels: Sequence[Parcel], record: Record, stop: Callable[[], bool]) -> None:
        """See Target. `Result.place` says where each file is; hand all of a delivery's to `finish`."""
        try:
            with self._failing():
                self._begin()
            for parcel in parcels:
                if stop():
                    return
                with self._failing():
                    result = self._bring(parcel)
                record(parcel, result)
        finally:
            shutil.rmtree(self._incoming, ignore_errors=True)

    def check(self) -> str:
        """Write, sync and remove a small file. Raises TryAgain when that does not work."""
        probe = self._incoming / "probe"
        try:
            with self._failing():
                self._begin()
                probe.write_bytes(b"dicom-node\n")
                _sync(probe)
                free = shutil.disk_usage(self._folder).free
        finally:
            shutil.rmtree(self._incoming, ignore_errors=True)
        return f"{self._folder} can be written to, {free / 2**30:.1f} GiB free"

    def finish(self, kept: Iterable[str]) -> int:
        """Remove what an earlier generation of the same owner published and this one did not; how many files.

        `kept` are the places of the whole delivery. Folders that this leaves empty go too. Repeating it does
        no harm. Raises TryAgain when the folder cannot be written.
        """
        leftovers = sorted(set(self._ownership.published(self._owner)) - set(kept))
        for place in leftovers:
            path = self._folder / place
            with self._failing():
                path.unlink(missing_ok=True)
                self._remove_empty(path.parent)
            self._ownership.forget(place)
        return len(leftovers)

    def _begin(self) -> None:
        """An empty `.incoming-…`; what a crash left in it was never published."""
        if not self._folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(exist_ok=True)

    def _bring(self, parcel: Parcel) -> Result:
        if not parcel.path.is_file():
            return Result(outcome=Outcome.REFUSED, text=FILE_GONE)
        place = self._place(parcel)
        self._ownership.claim(place, self._owner)
        self._publish(parcel.path, self._folder / place)
        self._taken.add(place)
        return Result(outcome=Outcome.DELIVERED, place=place)

    def _place(self, parcel: Parcel) -> str:
        """The path for `parcel`: as the layout says, or with a short hash where that is another's."""
        name = f"{parcel.sop_instance}.dcm" if parcel.kind is Kind.DICOM else parcel.name or parcel.path.name
        parent = self._layout.folder(parcel.fields)
        wanted = parent / safe_part(name)
        for mark in ("", self._owner, f"{self._owner}\n{parcel.number}"):
            place = str(wanted.with_name(marked(wanted.name, mark)) if mark else wanted)
            if self._is_free(place, parcel):
                return place
        return str(wanted.with_name(marked(wanted.name, uuid.uuid4().hex)))

    def _is_free(self, place: str, parcel: Parcel) -> bool:
        owner, path, source = self._ownership.owner(place), self._folder / place, parcel.path
        if owner == self._owner:
            kept = place in self._taken or (place in self._stays and parcel.kind is not Kind.DICOM)
            return not kept or _same(source, path)
        if owner is not None:
            return False
        # Nobody's by our books: put there by a person, or by a node whose books are gone.
        return not os.path.lexists(path) or _same(source, path)

    def _publish(self, source: Path, path: Path) -> None:
        if _same(source, path):
            _sync(path)
            return
        coming = self._incoming / uuid.uuid4().hex
        if not (self._link and _linked(source, coming)):
            _copy(source, coming)
        _sync(coming)
        new = self._make_parents(path.parent)
        coming.replace(path)
        for folder in (path.parent, *new):
            _sync(folder)

    def _make_parents(self, parent: Path) -> list[Path]:
        """Create what is missing of `parent`; the folders that got a new entry, to be synced."""
        missing = []
        while not parent.is_dir():
            missing.append(parent)
            parent = parent.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
        return [folder.parent for folder in missing]

    def _remove_empty(self, folder: Path) -> None:
        inside = PurePosixPath(folder.relative_to(self._folder))
        for part in (inside, *inside.parents):
            if part == PurePosixPath("."):
                return
            try:
                (self._folder / part).rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return
                raise

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turns the system's errors into TryAgain with what to do.

        Their own text is not used: it names a path, which may be made of header values.
        """
        try:
            yield
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0) or f"cannot be written: {error.strerror or type(error).__name__}"
            raise TryAgain(f"folder {self._folder} {remedy}") from None


def _same(source: Path, path: Path) -> bool:
    """Whether `path` is a file with the content of `source`. Compares bytes when the sizes are equal."""
    if path.is_symlink() or not path.is_file():
        return False
    return path.samefile(source) or filecmp.cmp(source, path, shallow=False)


def _copy(source: Path, target: Path) -> None:
    """The disk begins with each part as it comes: one sync of a whole volume would make all others wait."""
    files = Files()
    with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
        at = 0
        while part := old.read(_STEP):
            files.write(new.fileno(), part)
            files.hurry(new.fileno(), at, len(part))
            at += len(part)


def _linked(source: Path, target: Path) -> bool:
    """Whether `target` could be made a hard link to `source`; not across file systems, nor on all of them."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            return False
        raise
    return True


def _sync(path: Path) -> None:
    """On disk: the content of a file, or the entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if path.is_dir():
            os.fsync(descriptor)
        else:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
