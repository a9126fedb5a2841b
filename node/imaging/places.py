"""Where the elements of a plain data set in explicit VR little endian are, found as fast as Python can.

`node.dicom.elements.walk` says more, and of every encoding; here anything that is not as PS3.5 7 has it is Unusual, for
another reader to look at, and of sequences whose length is known no byte is looked at.
"""

from __future__ import annotations

from struct import Struct, error

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from node.dicom.elements import ITEM, ITEM_END, PIXEL_DATA, SEQUENCE_END
from node.dicom.encoding import SHORT, UNDEFINED

Place = tuple[str, int, int, int]
"""(VR, where the element begins, where its value begins, where it ends)."""

_LONG = {vr.encode(): str(vr) for vr in EXPLICIT_VR_LENGTH_32}
_DEEPEST = 16
_head = Struct("<HH2sH").unpack_from
_long_length = Struct("<I").unpack_from
_item = Struct("<HHI").unpack_from


class Unusual(Exception):
    """For pydicom to read. Says nothing about the file."""


class Short(Unusual):
    """The bytes end before an element does."""


def scan(
    data: bytes, at: int, end: int, found: dict[int, Place], depth: int, *, top: bool = False, delimited: bool = False
) -> int:
    """Note the elements from `at` into `found`; the position behind them: of the pixel data at the top, behind its
    delimiter of a delimited item, else `end`."""
    if depth > _DEEPEST:
        raise Unusual
    last = -1
    while at < end or top or delimited:
        try:
            group, number, code, length = _head(data, at)
            tag = group << 16 | number
            if tag == ITEM_END and delimited:
                return at + 8
            vr, start = SHORT.get(code), at + 8
            if vr is None:
                vr, start, (length,) = _LONG.get(code), at + 12, _long_length(data, at + 8)
        except error:
            raise Short from None
        # In order and each once, as PS3.5 7.1 has it: of two, and of what stands elsewhere, pydicom may take either.
        if vr is None or tag <= last or group == 0xFFFE:
            raise Unusual
        if top and tag in PIXEL_DATA:
            return at
        last, stop = tag, start + length
        if length == UNDEFINED and start == at + 12:
            if vr != "SQ":
                raise Unusual
            stop = _behind(data, start, end, depth + 1)
        if stop > end:
            raise Short
        found[tag] = (vr, at, start, stop)
        at = stop
    return at


def _behind(data: bytes, at: int, end: int, depth: int) -> int:
    """Where a sequence of undefined length ends, whose items begin at `at`."""
    while True:
        tag, length = _item_at(data, at)
        if tag == SEQUENCE_END:
            return at + 8
        at = scan(data, at + 8, end, {}, depth, delimited=True) if length == UNDEFINED else at + 8 + length
        if tag != ITEM:
            raise Unusual


def items(data: bytes, at: int, depth: int) -> list[tuple[int, int]]:
    """Where the items of a sequence begin and end, whose first begins at `at` and whose last, or delimiter, ends with
    the data."""
    undefined = _long_length(data, at - 4)[0] == UNDEFINED
    found: list[tuple[int, int]] = []
    while at < len(data):
        tag, length = _item_at(data, at)
        if tag == SEQUENCE_END and undefined and at + 8 == len(data):
            return found
        begin = at + 8
        delimited = length == UNDEFINED
        at = scan(data, begin, len(data), {}, depth, delimited=True) if delimited else begin + length
        if tag != ITEM or at > len(data):
            raise Unusual
        found.append((begin, at - 8 if delimited else at))
    return found


def _item_at(data: bytes, at: int) -> tuple[int, int]:
    try:
        group, number, length = _item(data, at)
    except error:
        raise Short from None
    return group << 16 | number, length
