"""How one element is laid out in each encoding of PS3.5 7.1, and deflation (PS3.5 A.5)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from struct import Struct, pack

from node.dicom.attributes import VR_BY_TAG, vr_of
from node.dicom.uids import transfer_syntax
from node.errors import CannotSucceed

Buffer = bytes | bytearray | memoryview | mmap

UNDEFINED = 0xFFFFFFFF
"""The length of what ends at a delimiter (PS3.5 7.5.2)."""

# PS3.5 7.1.2: these have two reserved bytes and a 32-bit length, all others a 16-bit length.
_LONG = {vr.encode(): vr for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")}
_TEXT_VRS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI")
_NUMBER_VRS = ("AT", "FD", "FL", "SL", "SS", "UL", "US")
SHORT = {vr.encode(): vr for vr in (*_TEXT_VRS, *_NUMBER_VRS)}
"""Value representations with a 16-bit length, by their two bytes."""

Parse = Callable[[Buffer, int], tuple[int, str, int, int]]
"""(data, position) -> (tag, VR, position of the value, its length). VR is "" for items and delimiters.

Raises NoElementError, or struct.error where the data end.
"""


class Malformed(CannotSucceed):
    """The bytes are no data set in this encoding. `offset` is where, counted from the start of the buffer."""

    def __init__(self, offset: int, why: str) -> None:
        self.offset, self.why = offset, why
        super().__init__(f"not a readable data set: at byte {offset}: {why}")

    def moved(self, by: int) -> Malformed:
        """The same of a buffer that has `by` bytes more before it."""
        return type(self)(max(0, self.offset + by), self.why)


class Truncated(Malformed):
    """The bytes end, or what encloses the element ends, before the element does."""


class NoElementError(Exception):
    """What stands here cannot begin an element; elements.py adds where and raises Malformed."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 7.1, 7.3)."""

    explicit: bool
    big_endian: bool = False


IMPLICIT_LE = Encoding(explicit=False)
EXPLICIT_LE = Encoding(explicit=True)
EXPLICIT_BE = Encoding(explicit=True, big_endian=True)


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The encoding of a data set in a transfer syntax, after inflating it where the syntax deflates."""
    syntax = transfer_syntax(transfer_syntax_uid)
    return Encoding(syntax.explicit, syntax.big_endian)


def inflate(data: Buffer, limit: int, *, whole: bool = True) -> bytes:
    """The data set of a deflated transfer syntax as explicit little endian, at most `limit` bytes of it.

    With `whole`, a longer one is Malformed (1 KB may inflate to 1 MB); without, only its beginning is given.
    """
    decompressor = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated = decompressor.decompress(data, limit + 1 if whole else limit)
    except zlib.error:
        raise Malformed(0, "the data set does not inflate") from None
    if whole and len(inflated) > limit:
        raise Malformed(0, f"the data set inflates to more than {limit} bytes")
    if whole and not decompressor.eof:
        raise Truncated(len(data), "the deflated data set has no end")
    return inflated


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element in explicit VR little endian, its value padded to an even length (PS3.5 6.2, 7.1.2).

    Raises ValueError for a value that a 16-bit length cannot hold.
    """
    if len(value) & 1:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    raw, length = vr.encode(), len(value)
    if raw in _LONG:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, raw, 0, length) + value
    if length > 0xFFFF:
        raise ValueError(f"{length} bytes do not fit an element of {vr}")
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, raw, length) + value


def _explicit(order: str) -> Parse:
    head, long_length = Struct(f"{order}HH2sH").unpack_from, Struct(f"{order}I").unpack_from

    def parse(data: Buffer, position: int) -> tuple[int, str, int, int]:
        group, number, raw, length = head(data, position)
        vr = SHORT.get(raw)
        if vr is not None and group != 0xFFFE:
            return group << 16 | number, vr, position + 8, length
        if group == 0xFFFE:  # PS3.5 7.5: items and delimiters have no VR in any encoding
            return group << 16 | number, "", position + 8, long_length(data, position + 4)[0]
        vr = _LONG.get(raw)
        if vr is None:
            # PS3.5 6.2: a VR of a later edition has the 32-bit length; its reserved bytes tell it from damage.
            if not (raw.isalpha() and raw.isupper() and length == 0):
                raise NoElementError("there is no value representation; a length before it is wrong")
            vr = "UN"
        return group << 16 | number, vr, position + 12, long_length(data, position + 8)[0]

    return parse


def _implicit(order: str) -> Parse:
    head = Struct(f"{order}HHI").unpack_from

    def parse(data: Buffer, position: int) -> tuple[int, str, int, int]:
        group, number, length = head(data, position)
        tag = group << 16 | number
        if group == 0xFFFE:
            return tag, "", position + 8, length
        if tag == 0:
            raise NoElementError("there is no tag; a length before it is wrong")
        return tag, VR_BY_TAG.get(tag) or vr_of(tag), position + 8, length

    return parse


PARSERS: dict[Encoding, Parse] = {
    IMPLICIT_LE: _implicit("<"),
    EXPLICIT_LE: _explicit("<"),
    EXPLICIT_BE: _explicit(">"),
    Encoding(explicit=False, big_endian=True): _implicit(">"),
}


def looks_explicit(data: Buffer, position: int) -> bool:
    """Whether what begins here has a known VR after its tag."""
    raw = bytes(data[position + 4 : position + 6])
    return raw in SHORT or raw in _LONG


def inside(data: Buffer, sequence: int, parse: Parse, *, unknown: bool) -> Parse:
    """How the items of a sequence are laid out, whose value begins at `sequence` and which is read by `parse`.

    In UN they are implicit little endian (PS3.5 6.2.2 note 2), though some devices go on in explicit. Others
    copy implicit private sequences unchanged into explicit data sets: seen from the missing VR.
    """
    first = sequence + 8
    if unknown:
        return PARSERS[EXPLICIT_LE if looks_explicit(data, first) else IMPLICIT_LE]
    if parse is not PARSERS[EXPLICIT_LE] or looks_explicit(data, first):
        return parse
    empty = bytes(data[first + 0 : first + 2]) in (b"\xfe\xff", b"")
    letters = bytes(data[first + 4 : first + 6])
    return parse if empty or (letters.isalpha() and letters.isupper()) else PARSERS[IMPLICIT_LE]
