"""That a value which stays has the form of its representation (PS3.5 6.2), as devices write it. Pure.

A name in the place of a number would leave with it, and a dummy would be a number that nobody measured. Devices
leave out zeros, fill up with nulls, write a comma for a point, more digits than fit and `nan`: that tells nothing of
anybody, and stays.
"""

from __future__ import annotations

import re
from typing import Final

from pydicom._dicom_dict import DicomDictionary

from node.dicom.attributes import VR_BY_TAG, describe
from node.steps.anonymize import values
from node.steps.anonymize.scope import UndecidableError

FORMED: Final = values.CODES | values.NUMERALS | {"UI"}
"""Representations whose values are looked at by `check_form` and `is_code`."""

_SIZES: Final = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "SV": 8, "UV": 8}
"""Bytes of a number in binary."""

# Possessive, for a Contour Data (3006,0050) has a million numbers, and none is tried twice: what is longer comes first.
_DECIMAL = (
    r"[+-]?(?:nan|NaN|NAN|inf|INF|Inf|\d?[.,]#[A-Z]{3,5})"
    r"|[+-]?\d{0,32}+(?:[.,]\d{0,32}+)?(?:[eE][+-]?\d{1,4})?"
)
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{0,8}"
_TIME = r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d{0,12})?)?|\d{0,6}(?:\.\d{0,12})?"
_MOMENT = rf"\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}(?:[ T](?:{_TIME}))?Z?|\d{{0,14}}(?:\.\d{{0,12}})?(?:[+-]\d{{4}})?"
_ONE = {
    "DA": rf"(?:19|20)\d{{12}}(?:\.\d{{0,12}})?|{_DATE}",  # devices write a DT for a DA
    "DS": _DECIMAL,
    "DT": _MOMENT,
    "IS": _DECIMAL,
    "TM": _TIME,
    "UI": r"[0-9.]{0,128}",
}
_FORMS = {
    vr: re.compile(rf"[ \0]*+(?:{one})[ \0]*+(?:\\[ \0]*+(?:{one})[ \0]*+)*+".encode(), re.ASCII)
    for vr, one in _ONE.items()
}
_CODES = {
    "AE": re.compile(r"[ -~]{0,16}"),
    "CS": re.compile(r"[A-Z0-9 _]{0,16}|[A-Z0-9_]*"),  # one long word is a device's
}

_MOST_VALUES = {
    tag: int(entry[1]) for tag, entry in DicomDictionary.items() if entry[1].isdecimal() and entry[0] in _SIZES
}


def form_of(vr: str) -> re.Pattern[bytes] | None:
    """That of encoded values, of one or several, of DA, DS, DT, IS, TM or UI; None for all else."""
    return _FORMS.get(vr)


def is_one(vr: str, value: bytes) -> bool:
    """Whether an encoded value, of one or several, is of the form of DA, DS, DT, IS, TM or UI; True for all else."""
    form = _FORMS.get(vr)
    return form is None or form.fullmatch(value) is not None


def is_code(vr: str, value: str) -> bool:
    """Whether one value, without its padding, is of the form of AE or CS; True for all else."""
    form = _CODES.get(vr)
    return form is None or form.fullmatch(value) is not None


def check_encoding(tag: int, vr: str, length: int) -> None:
    """That a value of `length` bytes can be what PS3.6 says it is: text in the place of a number, or a sequence
    hidden in bytes, would pass unseen. Raises UndecidableError."""
    known = VR_BY_TAG.get(tag, vr)
    if not are_numbers(tag, vr, length):
        raise UndecidableError(f"{describe(tag)} is no valid {vr}")
    if vr == known or not length:
        return
    for family in (values.FREE_TEXT, values.OPAQUE):
        if vr in family and known not in family:
            raise UndecidableError(f"{describe(tag)} is encoded as {vr}, not {known}")
    if known in ("AS", "UI") or (vr in values.NUMBERS and known not in values.NUMBERS | values.OPAQUE):
        raise UndecidableError(f"{describe(tag)} is encoded as {vr}, not {known}")


def check_form(tag: int, vr: str, value: bytes) -> None:
    """That a value is the number, time or UID that it is encoded as, and the one that PS3.6 says. Raises
    UndecidableError."""
    known = VR_BY_TAG.get(tag, vr)
    asked = "DS" if known in values.NUMBERS and vr in values.CODES else known
    for form in (vr,) if asked == vr else (vr, asked):
        if not is_one(form, value):
            raise UndecidableError(f"{describe(tag)} is no {'UID' if form == 'UI' else f'valid {form}'}")


def are_numbers(tag: int, vr: str, length: int) -> bool:
    """By the size of one, and by the column VM of PS3.6 where that says how many; True for what is no number in
    binary."""
    size = _SIZES.get(vr)
    if size is None:
        return True
    return length % size == 0 and length <= size * _MOST_VALUES.get(tag, length)
