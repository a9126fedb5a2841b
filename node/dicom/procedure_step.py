"""The data sets of a Modality Performed Procedure Step (PS3.4 F.7.2): only what says which instances it made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.dicom.commitment import LARGEST, TRANSFER_SYNTAXES
from node.dicom.encoding import Malformed
from node.dicom.header import read_header
from node.dicom.uids import tolerable_uid
from node.model import UID, Header

PERFORMED_PROCEDURE_STEP: Final = UID("1.2.840.10008.3.1.2.3.3")
"""Modality Performed Procedure Step SOP Class."""
MAY_NO_LONGER_BE_UPDATED: Final = 0xA506
"""Error ID (0000,0903) beside 0x0110, PS3.4 F.7.2.2.3."""

_STATUS, _SCHEDULED, _STUDY = "00400252", "00400270", "0020000D"
_PERFORMED_SERIES, _SERIES = "00400340", "0020000E"
_IMAGES, _OTHERS, _SOP_INSTANCE = "00081140", "00400220", "00081155"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What an Attribute List or Modification List says; None where it says nothing."""

    status: str | None
    """Performed Procedure Step Status (0040,0252)."""
    studies: tuple[UID, ...]
    """Of the Scheduled Step Attributes Sequence (0040,0270)."""
    series: tuple[tuple[UID, tuple[UID, ...]], ...] | None
    """Of the Performed Series Sequence (0040,0340): Series Instance UID and what it references, images first."""


def read_attributes(data: bytes, transfer_syntax: str) -> Attributes:
    """Raises Malformed when it cannot be read, or a UID in it is none."""
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise Malformed(0, "its transfer syntax is none that was accepted")
    header = read_header(data, transfer_syntax, max_header=4 * LARGEST).header
    status = _values(header, _STATUS)
    scheduled = _items(header, _SCHEDULED) or ()
    performed = _items(header, _PERFORMED_SERIES)
    studies = dict.fromkeys(uid for item in scheduled if (uid := _uid(item, _STUDY)))
    return Attributes(
        status=str(status[0]).strip() if status else None,
        studies=tuple(studies),
        series=None if performed is None else tuple(_series(item) for item in performed),
    )


def _series(item: Header) -> tuple[UID, tuple[UID, ...]]:
    series = _uid(item, _SERIES)
    if not series:
        raise Malformed(0, "a series of (0040,0340) has no Series Instance UID")
    references = [*(_items(item, _IMAGES) or ()), *(_items(item, _OTHERS) or ())]
    return series, tuple(dict.fromkeys(uid for one in references if (uid := _uid(one, _SOP_INSTANCE))))


def _items(header: Header, key: str) -> Sequence[Header] | None:
    """The items of a sequence; None when it is not there."""
    found = header.get(key)
    if found is None:
        return None
    vr, items = found
    if vr != "SQ" or items is None:
        raise Malformed(0, f"({key[:4]},{key[4:]}) is no sequence, or too long")
    return list(items)


def _uid(header: Header, key: str) -> UID:
    """'' when it is missing or empty."""
    values = _values(header, key)
    if not values:
        return UID("")
    if len(values) != 1 or not tolerable_uid(str(values[0])):
        raise Malformed(0, f"({key[:4]},{key[4:]}) is no UID")
    return UID(str(values[0]))


def _values(header: Header, key: str) -> Sequence[Any]:
    found = header.get(key)
    return (found[1] or ()) if found else ()
