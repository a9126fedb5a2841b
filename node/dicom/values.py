"""Values of elements as plain Python values (PS3.5 6.2)."""

from __future__ import annotations

import math
from functools import lru_cache
from struct import unpack

from node.dicom.text import CharacterSet

Values = list[str | int | float]

LIMIT = 64
"""Longest value kept: as many characters as LO, CS and UI may have (PS3.5 Table 6.2-1)."""

_MOST_VALUES = 64
_PADDING = " \0"
_INTEGERS = {"US": ("H", 2), "SS": ("h", 2), "UL": ("I", 4), "SL": ("i", 4), "UV": ("Q", 8), "SV": ("q", 8)}
_NUMBERS = _INTEGERS | {"FL": ("f", 4), "FD": ("d", 8)}
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
TEXT = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"}) | _ONE_VALUE
# Default repertoire, so no escape sequences (PS3.5 6.1.2.2).
_PLAIN = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI"})
# PS3.5 6.2: in these, leading spaces mean something; in the others they are padding.
_LEADING_SPACES_COUNT = _ONE_VALUE | {"PN", "UC"}


def value_of(vr: str, raw: bytes, charset: CharacterSet, big_endian: bool, limit: int) -> tuple[Values | None, bool]:
    """The values of an element, and whether its text was read as the data set declares.

    Text is split at `\\`, without padding, NFC. DS becomes float and IS int where the text is such a number;
    AT is text of 8 hexadecimal digits. [] for no value. None for bulk (OB, OW, ..., UN), for numbers that are
    damaged or not finite, and where a value has more than `limit` characters (in PN each component group,
    PS3.5 6.2.1) or, as a binary number, the element more than `limit` bytes.
    """
    if not raw:
        return [], True
    if vr in _PLAIN and len(raw) <= limit and raw.isascii() and b"\\" not in raw:
        text = raw.decode("ascii").strip(_PADDING)  # two thirds of all elements end here
        return [text] if text else [], True
    if vr in TEXT:
        if len(raw) > LIMIT:
            return _text(vr, raw, charset, limit)
        values, right = _known_text(vr, raw, charset, limit)
        return None if values is None else list(values), right
    number = _NUMBERS.get(vr)
    if number is not None:
        return _binary(raw, number, big_endian, limit), True
    if vr == "AT" and len(raw) <= limit and len(raw) % 4 == 0:
        pairs = unpack(f"{'>' if big_endian else '<'}{len(raw) // 2}H", raw)
        return [f"{g:04X}{e:04X}" for g, e in zip(pairs[::2], pairs[1::2], strict=True)], True
    return None, True


def may_be_kept(vr: str, length: int, limit: int) -> bool:
    """False where value_of would give None for so many bytes, so that they need not be read."""
    if length <= limit:
        return True
    # A character has at most 4 bytes, and escape sequences add to that (PS3.5 6.1.2.5).
    return vr in TEXT and length <= limit * (6 if vr in _ONE_VALUE else _MOST_VALUES)


def _text(vr: str, raw: bytes, charset: CharacterSet, limit: int) -> tuple[Values | None, bool]:
    text, right = charset.decode(raw)
    strip = str.rstrip if vr in _LEADING_SPACES_COUNT else str.strip
    if vr in _ONE_VALUE or "\\" not in text:
        values = [strip(text, _PADDING)]
        if values == [""]:
            return [], right
    else:
        values = [strip(value, _PADDING) for value in text.split("\\")]
    if len(raw) > limit and any(len(part) > limit for v in values for part in (v.split("=") if vr == "PN" else (v,))):
        return None, True
    if vr == "DS":
        return [_decimal(value) for value in values], right
    if vr == "IS":
        return [_integer(value) for value in values], right
    return [*values], right


@lru_cache(maxsize=8192)
def _known_text(
    vr: str, raw: bytes, charset: CharacterSet, limit: int
) -> tuple[tuple[str | int | float, ...] | None, bool]:
    """`_text` of short values: the instances of a series have most of theirs in common."""
    values, right = _text(vr, raw, charset, limit)
    return None if values is None else tuple(values), right


def _binary(raw: bytes, number: tuple[str, int], big_endian: bool, limit: int) -> Values | None:
    code, size = number
    if len(raw) > limit or len(raw) % size:
        return None
    values = unpack(f"{'>' if big_endian else '<'}{len(raw) // size}{code}", raw)
    # NaN and infinity are not JSON.
    return list(values) if code not in "fd" or all(map(math.isfinite, values)) else None


def _decimal(text: str) -> str | float:
    try:
        value = float(text)
    except ValueError:
        return text
    # Python reads more than PS3.5 6.2 does: 1_000, infinity, nan.
    return value if math.isfinite(value) and "_" not in text else text


def _integer(text: str) -> str | int | float:
    try:
        return int(text) if "_" not in text else text
    except ValueError:
        value = _decimal(text)  # some devices write 3.0 where IS is due
        return int(value) if isinstance(value, float) and value.is_integer() else value
