"""What a certificate says of each file that a unit gave, read in a worker.

No import here reaches the database: a worker that reads files need not load it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.dicom.part10 import read_meta
from node.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file."""

    sha256: str
    """Of all of it."""
    size: int
    """Bytes."""
    instance: str
    """SOP Instance UID as its file meta information has it; empty where it is no DICOM."""


def of_files(files: Sequence[tuple[Path, Kind]]) -> list[File]:
    """Raises CannotSucceed for one that should be DICOM and is not, OSError for one that cannot be read."""
    return [_of(path, kind) for path, kind in files]


def _of(path: Path, kind: Kind) -> File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    instance = read_meta(path).sop_instance or "" if kind is Kind.DICOM else ""
    return File(sha256=sha256, size=size, instance=instance)
