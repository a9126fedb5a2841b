"""The data sets of storage commitment (PS3.4 J.3): what a request lists, and what a report says of it.

Read by our own reader, which survives any bytes, and written by hand: two sequences of UIDs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.dicom.encoding import Malformed
from node.dicom.header import read_header
from node.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, tolerable_uid
from node.model import UID, Header

PUSH_MODEL: Final = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model SOP Class."""
WELL_KNOWN: Final = UID("1.2.840.10008.1.20.1.1")
"""Its only SOP instance."""
REQUEST: Final = 1
"""Action Type ID: Request Storage Commitment (PS3.4 Table J.3-1)."""
ALL_COMMITTED, FAILURES_EXIST = 1, 2
"""Event Type IDs (PS3.4 Table J.3-2)."""

TRANSFER_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What data sets of the services beside storage come and go in; everybody knows the second one (PS3.5 10.1)."""

LARGEST: Final = 16 << 20
"""Bytes of one request: 100,000 instances. More is more than a study has, and is held in memory."""
_ROOM = 4 * LARGEST
"""Bytes that the reader may make of it; a UID of 20 characters has an overhead of twice its length."""

PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122
DUPLICATE_TRANSACTION: Final = 0x0131
RESOURCE_LIMITATION: Final = 0x0213
"""Failure Reason (0008,1197), PS3.3 C.14.1.1."""

_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_SOP_CLASS, _SOP_INSTANCE, _FAILURE_REASON = 0x00081150, 0x00081155, 0x00081197


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One item of the Referenced SOP Sequence (0008,1199)."""

    sop_class: UID
    sop_instance: UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Action Information of an N-ACTION request."""

    transaction: UID
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Event Information of an N-EVENT-REPORT request."""

    transaction: UID
    committed: tuple[Reference, ...] = ()
    failed: tuple[tuple[Reference, int], ...] = ()

    @property
    def event(self) -> int:
        return FAILURES_EXIST if self.failed else ALL_COMMITTED


def read_request(data: bytes, transfer_syntax: str) -> Request:
    """Raises Malformed: not readable, no Transaction UID, nothing referenced, or an item without its two UIDs."""
    header = _read(data, transfer_syntax)
    references = tuple(_reference(item) for item in _items(header, _REFERENCED))
    if not references:
        raise Malformed(0, "(0008,1199) Referenced SOP Sequence is missing or empty")
    return Request(transaction=_uid(header, _TRANSACTION), references=references)


def read_report(data: bytes, transfer_syntax: str) -> Report:
    """Raises Malformed as `read_request`; both sequences may be empty, since some archives write them so."""
    header = _read(data, transfer_syntax)
    return Report(
        transaction=_uid(header, _TRANSACTION),
        committed=tuple(_reference(item) for item in _items(header, _REFERENCED)),
        failed=tuple((_reference(item), _reason(item)) for item in _items(header, _FAILED)),
    )


def write_request(request: Request, transfer_syntax: str) -> bytes:
    write = _Writer(transfer_syntax)
    return write.uid(_TRANSACTION, request.transaction) + write.references(
        _REFERENCED, [(one, None) for one in request.references]
    )


def write_report(report: Report, transfer_syntax: str) -> bytes:
    """In ascending order of tags; a sequence without items is left out (PS3.4 Table J.3-2, conditional)."""
    write = _Writer(transfer_syntax)
    data = write.uid(_TRANSACTION, report.transaction)
    if report.failed:
        data += write.references(_FAILED, report.failed)
    if report.committed:
        data += write.references(_REFERENCED, [(one, None) for one in report.committed])
    return data


class _Writer:
    """Elements of defined length in little endian."""

    def __init__(self, transfer_syntax: str) -> None:
        if transfer_syntax not in TRANSFER_SYNTAXES:
            raise ValueError(f"{transfer_syntax} is not written")
        self._explicit = transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN

    def uid(self, tag: int, uid: str) -> bytes:
        value = uid.encode("ascii")
        return self._element(tag, "UI", value + b"\0" * (len(value) % 2))

    def references(self, tag: int, references: Sequence[tuple[Reference, int | None]]) -> bytes:
        items = bytearray()
        for one, reason in references:
            item = self.uid(_SOP_CLASS, one.sop_class) + self.uid(_SOP_INSTANCE, one.sop_instance)
            if reason is not None:
                item += self._element(_FAILURE_REASON, "US", struct.pack("<H", reason))
            items += struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
        return self._element(tag, "SQ", bytes(items))

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not self._explicit:
            return head + struct.pack("<L", len(value)) + value
        if vr == "SQ":
            return head + b"SQ\0\0" + struct.pack("<L", len(value)) + value
        return head + vr.encode() + struct.pack("<H", len(value)) + value


def _read(data: bytes, transfer_syntax: str) -> Header:
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise Malformed(0, "its transfer syntax is none that was accepted")
    return read_header(data, transfer_syntax, max_header=_ROOM).header


def _items(header: Header, tag: int) -> Sequence[Header]:
    """The items of a sequence, empty when it is missing. Raises Malformed when it could not be kept."""
    found = header.get(f"{tag:08X}")
    if found is None:
        return ()
    vr, items = found
    if vr != "SQ" or items is None:
        raise Malformed(0, f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is no sequence, or too long")
    return list(items)


def _reference(item: Header) -> Reference:
    return Reference(_uid(item, _SOP_CLASS), _uid(item, _SOP_INSTANCE))


def _reason(item: Header) -> int:
    values = _values(item, _FAILURE_REASON)
    # An archive that names no reason has failed all the same.
    return int(values[0]) if len(values) == 1 and isinstance(values[0], int) else PROCESSING_FAILURE


def _uid(header: Header, tag: int) -> UID:
    values = _values(header, tag)
    if len(values) != 1 or not isinstance(values[0], str) or not tolerable_uid(values[0]):
        # What is no UID may be any text, so it is not repeated.
        raise Malformed(0, f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is missing or is no UID")
    return UID(values[0])


def _values(header: Header, tag: int) -> Sequence[Any]:
    found = header.get(f"{tag:08X}")
    return (found[1] or ()) if found else ()
