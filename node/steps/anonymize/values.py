"""Dummy values that are valid for their value representation (PS3.5 6.2) in any character set."""

from __future__ import annotations

import struct
from functools import lru_cache

from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.valuerep import validate_value

from node.dicom.attributes import VR_BY_TAG

TEXT = "ANONYMIZED"

_TEXT_DUMMIES = {
    "AS": "000Y",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UR": "urn:anonymized",
} | dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), TEXT)
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q", "AT": "HH"}
_BULK = {"OB": 2, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "UN": 2}
_PRESCRIBED = {
    0x00080201: "+0000",  # Timezone Offset From UTC, an SH of this form (PS3.3 C.12.1.1.8)
    0x04000565: "COERCE",  # Reason for the Attribute Modification: COERCE or CORRECT (PS3.3 C.12.1.1.9)
}

FREE_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Representations in which anybody may have typed anything."""

CODES = frozenset({"AE", "CS"})
"""Representations of words that a system chooses, and in which a person may have typed some as well."""

NUMERALS = frozenset({"AS", "DA", "DS", "DT", "IS", "TM"})
"""Text representations of numbers, dates and times."""

NUMBERS = frozenset(_NUMBERS)
"""Numbers in binary."""

OPAQUE = frozenset(_BULK)
"""Representations that hide what is in them."""


def dummy(tag: int, vr: str, *, little_endian: bool) -> bytes:
    """The encoded dummy, of even length; KeyError for a representation that has none (SQ, UI)."""
    if tag in _PRESCRIBED:
        return padded(_PRESCRIBED[tag].encode(), vr)
    if vr in _TEXT_DUMMIES:
        return padded(_TEXT_DUMMIES[vr].encode(), vr)
    if vr in _NUMBERS:
        codes = _NUMBERS[vr]
        return struct.pack(("<" if little_endian else ">") + codes, *[0] * len(codes))
    return bytes(_BULK[vr])


def padded(value: bytes, vr: str) -> bytes:
    """`value` at even length: UI with a null, text with a space (PS3.5 6.2)."""
    return value if len(value) % 2 == 0 else value + (b"\0" if vr in ("UI", "OB", "UN") else b" ")


def put(ds: Dataset, tag: int, value: str) -> None:
    """Set an attribute to a text that `fits` its representation; ASCII is the same in every character set."""
    vr = VR_BY_TAG[tag]
    ds[tag] = DataElement(tag, vr, _number(value, vr) if vr in _NUMBERS else value)


@lru_cache(maxsize=1024)
def literal(tag: int, value: str) -> bytes:
    """The encoded value of what `put` sets, little endian and of even length."""
    ds, buffer = Dataset(), DicomBytesIO()
    put(ds, tag, value)
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, ds)
    return bytes(buffer.getvalue()[8:])


def _number(value: str, vr: str) -> float | int:
    return float(value) if vr in ("FD", "FL") else int(value)


def fits(vr: str, value: str) -> str | None:
    """Why a text is no value of this representation in every character set; None when it is one."""
    if not value.isascii():
        return "a literal must be ASCII, because data sets differ in their character set"
    if vr in OPAQUE or vr in ("AT", "SQ"):
        return f"{vr} cannot be given as text"
    try:
        validate_value(vr, _number(value, vr) if vr in _NUMBERS else value, RAISE)
        if vr in ("DS", "IS"):
            float(value)
    except (ValueError, OverflowError):
        return f"the value does not fit {vr}"
    return None
