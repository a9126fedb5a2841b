"""The files of folders as the units that a node would make of them, for `dicom-node process`.

A unit has every file that belongs to it, wherever it lies. An instance that is there twice counts once, and one that
has the SOP Instance UID of another with other content is held: without a time of receipt nobody can say which is newer.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from node.dicom.header import read_header_of
from node.dicom.identity import identify
from node.dicom.part10 import file_meta
from node.dicom.sniff import NotAnInstance, sniff
from node.errors import NodeError
from node.index.intake import unit_keys
from node.model import Batch, Identity, Item, Kind, Origin, ReceiptId, UnitKind
from node.moment import new_receipt, utc_now

_ORIGIN = Origin(calling_ae="PROCESS", called_ae="PROCESS", sender="folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One instance in a file."""

    path: Path
    dataset_offset: int
    identity: Identity
    receipt: ReceiptId


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUnit:
    """What a route works on at once."""

    kind: UnitKind
    uid: str
    members: list[Found] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    units: tuple[FileUnit, ...]
    """In order of the first file of each."""
    held: tuple[tuple[Path, str], ...]
    """Files that can be in no unit, and why."""
    duplicates: tuple[tuple[Path, Path], ...]
    """A file, and the one before it that has the same content."""


def gather(files: Iterable[Path], kind: UnitKind) -> Gathered:
    """Sort files into units of one kind. Reads headers only; a DICOMDIR (PS3.3 F) is passed over."""
    units: dict[str, FileUnit] = {}
    first: dict[str, Found] = {}
    held: list[tuple[Path, str]] = []
    duplicates: list[tuple[Path, Path]] = []
    for path in files:
        one = _read(path)
        if not isinstance(one, Found):
            held += [(path, one)] if one else []
            continue
        before = first.setdefault(one.identity.sop_instance, one)
        if before is one:
            ((_, uid, _, _),) = unit_keys(one.identity, [kind])
            units.setdefault(uid, FileUnit(kind=kind, uid=uid)).members.append(one)
        elif _content(before) == _content(one):
            duplicates.append((path, before.path))
        else:
            held.append((path, f"it has the SOP Instance UID of {before.path}, and other content"))
    return Gathered(units=tuple(units.values()), held=tuple(held), duplicates=tuple(duplicates))


def batch_of(unit: FileUnit, folder: Path) -> Batch:
    """Copies of the instances as the spool would hold them: named by a receipt, since a file may be named after
    its patient, and with file meta where they have none."""
    items = []
    for one in unit.members:
        copy = folder / f"{one.receipt}.dcm"
        meta, _ = file_meta(one.identity, _ORIGIN, one.receipt, utc_now())
        with copy.open("wb") as target, one.path.open("rb") as source:
            target.write(meta)
            source.seek(one.dataset_offset)
            shutil.copyfileobj(source, target)
        items.append(Item(path=copy, kind=Kind.DICOM, sources=(one.receipt,)))
    return Batch(items=tuple(items))


def _read(path: Path) -> Found | str:
    """The instance in a file, or why there is none; nothing for a DICOMDIR."""
    try:
        found = sniff(path)
        if isinstance(found, NotAnInstance):
            return "" if found.dicomdir else found.reason
        header = read_header_of(path, found.transfer_syntax, found.dataset_offset).header
        identity = identify(header, found.transfer_syntax)
    except NodeError as error:
        return str(error)
    except OSError as error:
        return error.strerror or type(error).__name__
    return Found(path=path, dataset_offset=found.dataset_offset, identity=identity, receipt=new_receipt())


def _content(one: Found) -> tuple[str, str]:
    """What makes two instances the same: SHA-256 of the data set, and the syntax it is written in."""
    with one.path.open("rb") as file:
        file.seek(one.dataset_offset)
        return hashlib.file_digest(file, "sha256").hexdigest(), one.identity.transfer_syntax
