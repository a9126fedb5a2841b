"""What is sent of a file, read in a worker: its hash, its names, and the header values of a layout.

No import here reaches the database: a worker that reads files need not load it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.dicom.attributes import keyword_of
from node.dicom.header import read_header_of
from node.dicom.part10 import read_meta
from node.model import Header

_LAYOUT_VRS = frozenset({"AE", "AS", "CS", "DA", "DT", "DS", "IS", "LO", "PN", "SH", "ST", "TM", "UI", "US", "UL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One file. UIDs and fields are empty where it is not DICOM."""

    sha256: str
    """Of the data set for DICOM, of the file otherwise."""
    whole: str = ""
    """SHA-256 of the file, where it was asked for."""
    sop_class: str = ""
    sop_instance: str = ""
    transfer_syntax: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Header values by keyword. May be patient data: never log them."""


def of_instances(paths: Sequence[Path], *, whole: bool = False) -> list[Content]:
    """Of DICOM files; with `whole` the hash of each file too. Raises CannotSucceed for one that is none."""
    return [_instance(path, whole=whole) for path in paths]


def of_files(paths: Sequence[Path]) -> list[Content]:
    """Of any other files."""
    return [Content(sha256=_hash(path)) for path in paths]


def _instance(path: Path, *, whole: bool) -> Content:
    meta = read_meta(path)
    with path.open("rb") as file:  # read, not mapped: a disk that fails is an error then, and not the worker's death
        file.seek(meta.dataset_offset)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        of_file = hashlib.file_digest(file, "sha256").hexdigest() if whole else ""
    header = read_header_of(path, meta.transfer_syntax, meta.dataset_offset).header
    return Content(
        sha256=sha256, whole=of_file, sop_class=meta.sop_class or "", sop_instance=meta.sop_instance or "",
        transfer_syntax=meta.transfer_syntax, fields=layout_fields(header),
    )  # fmt: skip


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def layout_fields(header: Header) -> dict[str, str]:
    """Keyword -> first value as text, for the top-level elements that a path may be made of."""
    return dict(_fields(header.items()))


def _fields(elements: Iterable[tuple[str, object]]) -> Iterable[tuple[str, str]]:
    for tag, element in elements:
        if not isinstance(element, list | tuple) or len(element) != 2:
            continue
        vr, values = element
        keyword = keyword_of(int(tag, 16))
        if keyword and vr in _LAYOUT_VRS and values:
            yield keyword, str(values[0])
