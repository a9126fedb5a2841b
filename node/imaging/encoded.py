"""A header as encoded bytes: values are decoded when asked for, and those of equal bytes once for a whole series.

pydicom says what a value is, of one element at a time; what this saves is to build objects of all the others. It reads
plain explicit VR little endian. Where anything is not as PS3.5 7 has it, or needs more than its own level of the data
set to be understood, it raises Unusual: then pydicom reads the whole, and what that makes of it is the answer.
"""

from __future__ import annotations

from functools import cache
from struct import Struct, error
from typing import Any, BinaryIO

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from node.dicom.attributes import is_creator, tag_of
from node.dicom.elements import ITEM, ITEM_END, PIXEL_DATA, SEQUENCE_END
from node.dicom.encoding import SHORT, UNDEFINED
from node.dicom.recurring import SPECIFIC_CHARACTER_SET, Lately
from node.dicom.text import ESCAPE
from node.dicom.uids import TRANSFER_SYNTAXES

_CHUNKS = (1 << 14, 1 << 18, 1 << 22, 1 << 26)
"""Bytes of a file that are read until its pixels are among them; a longer header pydicom reads."""
_PREAMBLE = 128
_TRANSFER_SYNTAX = 0x00020010
_PIXEL_REPRESENTATION = 0x00280103
_DEEPEST = 16
_LONGEST, _LONGEST_SEQUENCE = 256, 4096
"""Bytes, with their tag, of what is remembered."""

_LONG = {vr.encode(): str(vr) for vr in EXPLICIT_VR_LENGTH_32}
_PLAIN = frozenset(
    ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "OB", "SL", "SS", "TM", "UI", "UL", "US")
)
"""What their values are depends on their bytes and on nothing around them."""
_ASCII = frozenset(("LO", "SH"))
"""These depend on the character set as well, unless they are ASCII without escape, which is the same in all of them."""

_head = Struct("<HH2sH").unpack_from
_long_length = Struct("<I").unpack_from
_item = Struct("<HHI").unpack_from

Place = tuple[str, int, int, int]
"""(VR, where the element begins, where its value begins, where it ends)."""


class Unusual(Exception):
    """For pydicom to read. Says nothing about the file."""


class _Short(Unusual):
    """The bytes end before an element does."""


class Encoded:
    """A data set, or an item of a sequence, between two places of `data`. Asked for like a pydicom Dataset.

    Any question may raise Unusual, and what pydicom raises on bytes that are no value.
    """

    __slots__ = ("_begin", "_charset", "_creators", "_data", "_depth", "_end", "_known")

    def __init__(
        self, data: bytes, begin: int, end: int, charset: bytes = b"", depth: int = 0,
        known: dict[int, Place] | None = None,
    ) -> None:  # fmt: skip
        """charset  the encoded value of Specific Character Set around it; known  its elements, where they are"""
        self._data, self._begin, self._end, self._depth = data, begin, end, depth
        self._known, self._charset = known, charset
        self._creators: dict[tuple[int, str], int] | None = None

    def get(self, keyword: str) -> Any:
        """As Dataset.get: None where the attribute is absent."""
        try:
            return self.value(_tag(keyword))
        except AttributeError:
            return None

    def value(self, tag: int) -> Any:
        """As Dataset[tag].value, a sequence as a list of Encoded; None where it is absent."""
        place = self._places().get(tag)
        if place is None:
            return None
        vr, at, start, stop = place
        if vr == "SQ":
            return self._items(at, start, stop)
        if vr not in _PLAIN and not (vr in _ASCII and _is_ascii(self._data[start:stop])):
            return self._in_context(tag)
        encoded = self._data[at:stop]
        found = _VALUES.find(encoded)
        if found is None:
            found = (Dataset({BaseTag(tag): self._raw(tag)})[tag].value,)
            if len(encoded) <= _LONGEST:
                _VALUES.keep(encoded, found)
        return found[0]

    def private(self, group: int, creator: str, element: int) -> Any:
        """The value of a private element in the first block of its creator (PS3.5 7.8.1), or None."""
        if self._creators is None:
            self._creators = {}
            for tag in self._places():
                if is_creator(tag):
                    self._creators.setdefault((tag >> 16, str(self.value(tag)).strip()), tag & 0xFF)
        block = self._creators.get((group, creator))
        return None if block is None else self.value(group << 16 | block << 8 | element)

    def _places(self) -> dict[int, Place]:
        if self._known is None:
            self._known = {}
            _scan(self._data, self._begin, self._end, self._known, self._depth)
        return self._known

    def _raw(self, tag: int) -> RawDataElement:
        vr, _, start, stop = self._places()[tag]
        value = self._data[start:stop] if start < stop else empty_value_for_VR(vr, raw=True)
        return RawDataElement(BaseTag(tag), vr, stop - start, value, 0, False, True)

    def _in_context(self, tag: int) -> Any:
        """What depends on the character set, on a private creator or on the pixels."""
        beside = [t for t in self._places() if t == _PIXEL_REPRESENTATION or (t >> 16 == tag >> 16 and is_creator(t))]
        ds = Dataset({BaseTag(t): self._raw(t) for t in (*beside, tag)})
        named = Dataset()
        if charset := self._own_charset():
            vr = RawDataElement(BaseTag(SPECIFIC_CHARACTER_SET), "CS", len(charset), charset, 0, False, True)
            named = Dataset({BaseTag(SPECIFIC_CHARACTER_SET): vr})
        ds.set_original_encoding(False, True, convert_encodings(named.get("SpecificCharacterSet")))
        found = ds[tag]
        if found.VR in ("SQ", "UN") or " " in found.VR:
            raise Unusual
        return found.value

    def _own_charset(self) -> bytes:
        place = self._places().get(SPECIFIC_CHARACTER_SET)
        return self._charset if place is None else self._data[place[2] : place[3]]

    def _items(self, at: int, start: int, stop: int) -> list[Encoded]:
        charset, encoded = self._own_charset(), self._data[at:stop]
        if len(encoded) > _LONGEST_SEQUENCE:
            return _items(encoded, start - at, charset, self._depth + 1)
        key = charset + b"\0" + encoded
        found = _SEQUENCES.find(key)
        if found is None:
            found = _items(encoded, start - at, charset, self._depth + 1)
            _SEQUENCES.keep(key, found)
        return found


_VALUES: Lately[tuple[Any]] = Lately(4096)
"""By the bytes of the element."""
_SEQUENCES: Lately[list[Encoded]] = Lately(1024)
"""By the character set and the bytes of the element."""


def read(file: BinaryIO) -> tuple[Encoded, str, int, bytes]:
    """The header of a DICOM file, its transfer syntax, where its pixel data element begins, and the first 12 bytes of
    that. Raises Unusual, also where there are no pixels."""
    for size in _CHUNKS:
        file.seek(0)
        data = file.read(size)
        places: dict[int, Place] = {}
        if data[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
            raise Unusual
        try:
            at = _scan(data, _PREAMBLE + 4, len(data), places, 0, top=True)
        except _Short:
            if len(data) < size or not _plain(data, places):
                raise
            continue
        if not _plain(data, places):
            raise Unusual
        if len(data) < at + 12:
            continue
        syntax = _text(data, places[_TRANSFER_SYNTAX])
        of_data_set = {tag: place for tag, place in places.items() if tag >> 16 > 2}
        return Encoded(data, 0, at, known=of_data_set), syntax, at, data[at : at + 12]
    raise Unusual


def _plain(data: bytes, places: dict[int, Place]) -> bool:
    """Whether the transfer syntax is explicit VR little endian, its pixels compressed or not."""
    place = places.get(_TRANSFER_SYNTAX)
    syntax = None if place is None else TRANSFER_SYNTAXES.get(_text(data, place))
    return syntax is not None and syntax.explicit and not syntax.big_endian and not syntax.deflated


def _text(data: bytes, place: Place) -> str:
    return data[place[2] : place[3]].rstrip(b"\0 ").decode("latin-1")


def _scan(
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
            raise _Short from None
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
            raise _Short
        found[tag] = (vr, at, start, stop)
        at = stop
    return at


def _behind(data: bytes, at: int, end: int, depth: int) -> int:
    """Where a sequence of undefined length ends, whose items begin at `at`."""
    while True:
        tag, length = _item_at(data, at)
        if tag == SEQUENCE_END:
            return at + 8
        at = _scan(data, at + 8, end, {}, depth, delimited=True) if length == UNDEFINED else at + 8 + length
        if tag != ITEM:
            raise Unusual


def _items(data: bytes, at: int, charset: bytes, depth: int) -> list[Encoded]:
    """The items of a sequence that begin at `at` and end with the data, or before its delimiter."""
    undefined, found = _long_length(data, at - 4)[0] == UNDEFINED, []
    while at < len(data):
        tag, length = _item_at(data, at)
        if tag == SEQUENCE_END and undefined and at + 8 == len(data):
            return found
        begin = at + 8
        delimited = length == UNDEFINED
        at = _scan(data, begin, len(data), {}, depth, delimited=True) if delimited else begin + length
        if tag != ITEM or at > len(data):
            raise Unusual
        found.append(Encoded(data, begin, at - 8 if delimited else at, charset, depth))
    return found


def _item_at(data: bytes, at: int) -> tuple[int, int]:
    try:
        group, number, length = _item(data, at)
    except error:
        raise _Short from None
    return group << 16 | number, length


def _is_ascii(raw: bytes) -> bool:
    return raw.isascii() and ESCAPE not in raw


@cache
def _tag(keyword: str) -> int:
    found = tag_of(keyword)
    return -1 if found is None else found
