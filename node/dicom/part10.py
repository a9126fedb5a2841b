"""File meta information of a DICOM file (PS3.10 7.1), and our provenance in it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path
from typing import BinaryIO

from node import __version__
from node.dicom.elements import walk
from node.dicom.encoding import EXPLICIT_LE, PARSERS, Buffer, Malformed, NoElementError, element
from node.dicom.uids import IMPLEMENTATION_CLASS_UID, tolerable_uid
from node.errors import CannotSucceed
from node.model import UID, Identity, Origin, ReceiptId

IMPLEMENTATION_VERSION_NAME = f"DICOMNODE_{__version__}"[:16]

PRIVATE_CREATOR_UID = IMPLEMENTATION_CLASS_UID
"""(0002,0100): says that (0002,0102) is ours and can be read as `Provenance`."""

UNKNOWN_HASH = "0" * 64
"""Stands in for SHA-256 of the data set until its last byte is written."""

PREAMBLE = bytes(128) + b"DICM"
_LONGEST_META = 1 << 16
_END_OF_GROUP_2 = 0x00030000
MEDIA_STORAGE_SOP_INSTANCE = 0x00020003
_CREATOR, _NOTE = 0x00020100, 0x00020102
_LOWER_GROUPS = frozenset({b"\0\0", b"\1\0"})
_UNUSUAL = frozenset({"", "SQ", "UN"})
"""Value representations that no element of file meta information has, "" for items."""
_parse = PARSERS[EXPLICIT_LE]
_BEGINNING = PREAMBLE + element(0x00020000, "UL", bytes(4))[:-4]
"""As far as the length of the group, 4 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How an instance came to be in the spool."""

    receipt: ReceiptId
    received: datetime
    """UTC."""
    origin: Origin
    sha256: str
    """Of the data set as received, 64 hexadecimal digits; UNKNOWN_HASH where the writer did not get to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """File meta information, as far as anything here needs it."""

    transfer_syntax: UID
    sop_class: UID | None
    sop_instance: UID | None
    provenance: Provenance | None
    """None in files that this node did not receive."""
    dataset_offset: int
    """Bytes from the start of the file to the first element of the data set."""


def file_meta(
    identity: Identity,
    origin: Origin,
    receipt: ReceiptId,
    received: datetime,
    sha256: str = UNKNOWN_HASH,
    receiving_address: str | None = None,
) -> tuple[bytes, int]:
    """Preamble and file meta information, and the offset of the 64 digits of the hash in them.

    The digits may be overwritten when the hash is known: no length changes. `receiving_address` is `host:port`
    where the association came in. PS3.10 Table 7.1-1 wants presentation addresses as URIs and leaves their
    scheme open: `dicom://host[:port]` here; a watched folder has none.
    """
    moment = received.astimezone(UTC).isoformat(timespec="microseconds")
    private = (
        f'{{"receipt":{_quoted(receipt)},"received":"{moment}","via":{_quoted(origin.sender)},"sha256":{_quoted(sha256)}}}'
    ).encode("ascii")
    group = (
        _before_instance(identity.sop_class)
        + element(0x00020003, "UI", identity.sop_instance.encode("ascii"))
        + _behind_instance(identity.transfer_syntax, origin, receiving_address)
        # Last, and the hash last in it, so that its place is counted from the end.
        + element(0x00020102, "OB", private)
    )
    meta = _BEGINNING + len(group).to_bytes(4, "little") + group
    behind_hash = len('"}') + len(private) % 2
    return meta, len(meta) - behind_hash - 64


@lru_cache(maxsize=256)
def _before_instance(sop_class: str) -> bytes:
    return element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", sop_class.encode("ascii"))


@lru_cache(maxsize=256)
def _behind_instance(transfer_syntax: str, origin: Origin, receiving_address: str | None) -> bytes:
    """The same for all that an association sends in one transfer syntax."""
    elements = [
        element(0x00020010, "UI", transfer_syntax.encode("ascii")),
        element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
        element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
        element(0x00020016, "AE", _ae_title(origin.calling_ae)),
        element(0x00020017, "AE", _ae_title(origin.calling_ae)),
        element(0x00020018, "AE", _ae_title(origin.called_ae)),
    ]
    if (sender := _uri_of_host(origin.sender)) is not None:
        elements.append(element(0x00020027, "UR", sender.encode("ascii")))
    if receiving_address is not None:
        elements.append(element(0x00020028, "UR", f"dicom://{receiving_address}".encode("ascii")))
    elements.append(element(0x00020100, "UI", PRIVATE_CREATOR_UID.encode("ascii")))
    return b"".join(elements)


def read_meta(file: Path | BinaryIO) -> Meta:
    """The file meta information of a file, from its first byte. Raises CannotSucceed for what is no Part 10 file."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return parse_meta(opened.read(_LONGEST_META))
    file.seek(0)
    return parse_meta(file.read(_LONGEST_META))


def parse_meta(head: Buffer) -> Meta:
    """`read_meta` of the beginning of a file. Raises CannotSucceed."""
    if bytes(head[128:132]) != b"DICM":
        raise CannotSucceed("not a DICOM file: DICM is missing at byte 128")
    values, offset = meta_elements(head, 132)
    syntax = _uid(values, 0x00020010)
    if syntax is None:
        raise CannotSucceed("not a DICOM file: (0002,0010) Transfer Syntax UID is missing or is not a UID")
    return Meta(
        transfer_syntax=syntax,
        sop_class=_uid(values, 0x00020002),
        sop_instance=_uid(values, 0x00020003),
        provenance=_provenance(values),
        dataset_offset=offset,
    )


def beginning(head: Buffer) -> tuple[UID, int, tuple[int, int]]:
    """Transfer syntax and offset of the data set: those of `parse_meta`, and what it raises, at a part of the cost; and
    where the value of (0002,0003) Media Storage SOP Instance UID stands, (0, 0) where that was not looked for."""
    syntax, position, instance = b"", 132, (0, 0)
    try:
        while head[position : position + 2] == b"\2\0":
            tag, vr, value, length = _parse(head, position)
            if vr in _UNUSUAL:
                return _by_all(head)
            if tag == 0x00020010:
                syntax = bytes(head[value : value + length])
            elif tag == MEDIA_STORAGE_SOP_INSTANCE:
                instance = (value, value + length)
            position = value + length
            if tag == _NOTE and head[position : position + 2] == b"\2\0":
                return _by_all(head)
    except (struct.error, NoElementError):
        return _by_all(head)
    found = _syntax(syntax)
    ends = position <= len(head) and head[128:132] == b"DICM"
    if found is None or not ends or bytes(head[position : position + 2]) in _LOWER_GROUPS:
        return _by_all(head)
    return found, position, instance


def _by_all(head: Buffer) -> tuple[UID, int, tuple[int, int]]:
    meta = parse_meta(head)
    return meta.transfer_syntax, meta.dataset_offset, (0, 0)


@lru_cache(maxsize=256)
def _syntax(value: bytes) -> UID | None:
    return _uid({0: value}, 0)


def meta_elements(head: Buffer, start: int) -> tuple[dict[int, bytes], int]:
    """Values of the group 2 elements from `start`, by tag, and where the data set after them begins.

    Ends at the first element of another group: (0002,0000) is often wrong. In a file of ours it ends with our note,
    which is written last: behind it stands what was received, whatever group that begins with. Raises Malformed.
    """
    values: dict[int, bytes] = {}
    position = start
    try:
        for tag, _, begin, value, end in walk(head, EXPLICIT_LE, start=start):
            if tag >= _END_OF_GROUP_2:
                return values, begin
            values[tag] = bytes(head[value:end])
            position = end
            if tag == _NOTE and _uid(values, _CREATOR) == PRIVATE_CREATOR_UID:
                return values, position
    except Malformed as error:
        # The data set need not be explicit little endian, so its first element may not be readable here.
        if error.offset < position or bytes(head[position : position + 2]) == b"\2\0" or not values:
            raise
    return values, position


def _provenance(values: dict[int, bytes]) -> Provenance | None:
    if _uid(values, _CREATOR) != PRIVATE_CREATOR_UID:
        return None
    try:
        note = json.loads(values.get(_NOTE, b"").rstrip(b"\0"))
        received = datetime.fromisoformat(note["received"])
        receipt, via, sha256 = note["receipt"], note["via"], note["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(text, str) for text in (receipt, via, sha256)) or received.tzinfo is None:
        return None
    origin = Origin(calling_ae=_text(values, 0x00020017), called_ae=_text(values, 0x00020018), sender=via)
    return Provenance(receipt=ReceiptId(receipt), received=received, origin=origin, sha256=sha256)


def _uid(values: dict[int, bytes], tag: int) -> UID | None:
    text = _text(values, tag)
    return UID(text) if tolerable_uid(text) else None


def _text(values: dict[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("utf-8", "replace").strip("\0 ")


def _ae_title(title: str) -> bytes:
    # PS3.5 6.2 allows ASCII only; a peer that sends more is recorded as it called itself all the same.
    return title.encode("utf-8")


def _uri_of_host(sender: str) -> str | None:
    try:
        address = ip_address(sender)
    except ValueError:
        return None
    return f"dicom://[{address}]" if address.version == 6 else f"dicom://{address}"
