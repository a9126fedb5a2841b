"""What a file in a watched folder is (PS3.10 7, and the files of scanners that do not keep to it)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from node.dicom.elements import PIXEL_DATA, walk
from node.dicom.encoding import Buffer, Encoding, Malformed, Truncated, encoding_of, inflate
from node.dicom.part10 import meta_elements
from node.dicom.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MEDIA_STORAGE_DIRECTORY,
    NOT_DATA_SETS,
    tolerable_uid,
    transfer_syntax,
)
from node.model import UID

_HEAD = 1 << 18
"""Bytes of a file looked at. SOP Class and Instance UID are among the first elements of every data set."""

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_GUESSES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
_DECLARED = 0x00020010


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    """An instance in a file."""

    transfer_syntax: UID
    """As the bytes have it: not as (0002,0010) says where that names another uncompressed syntax."""
    dataset_offset: int
    sop_class: UID
    sop_instance: UID
    part10: bool
    """False: without file meta information; the transfer syntax was found by trying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnInstance:
    """Why a file is not taken in."""

    reason: str
    dicomdir: bool = False
    """A directory of other files (PS3.3 F): nothing is lost when it is left out."""


def sniff(path: Path) -> Sniffed | NotAnInstance:
    """Look at the beginning of a file. Raises only OSError; reads, and maps nothing: it may still be written to."""
    with path.open("rb") as file:
        return sniff_bytes(file.read(_HEAD))


def sniff_bytes(head: bytes) -> Sniffed | NotAnInstance:
    """`sniff` for the beginning of a file already read: at least up to (0008,0018), 256 KiB will do."""
    if not head:
        return NotAnInstance(reason="the file is empty")
    start = 132 if head[128:132] == b"DICM" else 4 if head[:4] == b"DICM" else 0
    declared: UID | None = None
    offset = start
    if head[start : start + 2] == b"\2\0":
        try:
            values, offset = meta_elements(head, start)
        except Malformed as error:
            return NotAnInstance(reason=str(error))
        text = values.get(_DECLARED, b"").decode("ascii", "replace").strip("\0 ")
        declared = UID(text) if tolerable_uid(text) else None
        if values.get(0x00020002, b"").strip(b"\0 ") == MEDIA_STORAGE_DIRECTORY.encode():
            return NotAnInstance(reason="a DICOMDIR, which only lists other files", dicomdir=True)
        if declared in NOT_DATA_SETS:
            return NotAnInstance(reason=f"its transfer syntax {declared} does not encode a data set as PS3.5 does")
    for syntax in _candidates(declared):
        found = _identified(head, offset, syntax)
        if found is not None:
            return _judge(found, syntax, offset, part10=declared is not None)
    if start or offset:
        return NotAnInstance(reason="a DICOM file without SOP Class UID and SOP Instance UID")
    return NotAnInstance(reason="not DICOM")


def _candidates(declared: UID | None) -> tuple[UID, ...]:
    if declared is None:
        return _GUESSES
    # Some converters rewrite the data set and keep the old file meta: only plain ones can be mistaken so.
    return (declared, *(g for g in _GUESSES if g != declared)) if declared in _GUESSES else (declared,)


def _identified(head: bytes, offset: int, syntax: UID) -> tuple[str, str] | None:
    """(SOP Class UID, SOP Instance UID) when the bytes read so in this transfer syntax."""
    data: Buffer = head
    try:
        if transfer_syntax(syntax).deflated:
            data, offset = inflate(memoryview(head)[offset:], _HEAD, whole=False), 0
        return _uids(data, offset, encoding_of(syntax))
    except Malformed:
        return None


def _uids(data: Buffer, offset: int, encoding: Encoding) -> tuple[str, str] | None:
    found: dict[int, str] = {}
    depth = 0
    try:
        for tag, vr, _, begin, end in walk(data, encoding, start=offset, stop_at=PIXEL_DATA):
            depth += 1 if vr == "SQ" else 0
            depth -= 1 if tag == 0xFFFEE0DD else 0
            if depth or tag >> 16 == 0xFFFE:
                continue
            if tag < 0x00080000 or tag > _SOP_INSTANCE:
                break
            if tag in (_SOP_CLASS, _SOP_INSTANCE):
                found[tag] = bytes(data[begin : min(end, begin + 66)]).decode("ascii", "replace").strip("\0 ")
    except Truncated:
        if len(found) < 2:
            raise
    if len(found) < 2 or not all(map(tolerable_uid, found.values())):
        return None
    return found[_SOP_CLASS], found[_SOP_INSTANCE]


def _judge(uids: tuple[str, str], syntax: UID, offset: int, *, part10: bool) -> Sniffed | NotAnInstance:
    sop_class, sop_instance = uids
    if sop_class == MEDIA_STORAGE_DIRECTORY:
        return NotAnInstance(reason="a DICOMDIR, which only lists other files", dicomdir=True)
    return Sniffed(
        transfer_syntax=syntax,
        dataset_offset=offset,
        sop_class=UID(sop_class),
        sop_instance=UID(sop_instance),
        part10=part10,
    )
