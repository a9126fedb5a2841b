"""A header as encoded bytes: values are decoded when asked for, and those of equal bytes once for a whole series.

pydicom says what a value is, of one element at a time; what this saves is to build objects of all the others. It reads
plain explicit VR little endian. Where anything is not as PS3.5 7 has it, or needs more than its own level of the data
set to be understood, it raises Unusual: then pydicom reads the whole, and what that makes of it is the answer.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, BinaryIO, cast

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from node.dicom.attributes import is_creator, tag_of
from node.dicom.recurring import SPECIFIC_CHARACTER_SET, Lately
from node.dicom.text import ESCAPE
from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging.places import Place, Short, Unusual, items, scan

_CHUNKS = (1 << 14, 1 << 18, 1 << 22, 1 << 26)
"""Bytes of a file that are read until its pixels are among them; a longer header pydicom reads."""
_PREAMBLE = 128
_TRANSFER_SYNTAX = 0x00020010
_PIXEL_REPRESENTATION = 0x00280103
_LONGEST, _LONGEST_SEQUENCE = 256, 4096
"""Bytes, with their tag, of what is remembered."""

_NUMBERS = {"AT": 4, "FD": 8, "FL": 4, "OB": 1, "SL": 4, "SS": 2, "UL": 4, "US": 2}
_TEXT = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"))
"""What these are depends on their bytes and on nothing around them, where numbers are whole and text is ASCII without
escape, which is the same in every character set; else pydicom may take them for text of that character set."""


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
        encoded = self._data[at:stop]
        found = _VALUES.find(encoded)
        if found is None:
            if not _is_plain(vr, self._data[start:stop]):
                return self._in_context(tag)
            found = (Dataset({BaseTag(tag): self._raw(tag)})[tag].value,)
            if len(encoded) <= _LONGEST:
                _VALUES.keep(encoded, found)
        return found[0]

    def __contains__(self, tag: int) -> bool:
        return tag in self._places()

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
            found: dict[int, Place] = {}
            scan(self._data, self._begin, self._end, found, self._depth)
            self._known = _readable(self._data, found)
        return self._known

    def _raw(self, tag: int) -> RawDataElement:
        vr, _, start, stop = self._places()[tag]
        value = self._data[start:stop] if start < stop else cast(bytes | None, empty_value_for_VR(vr, raw=True))
        return RawDataElement(BaseTag(tag), vr, stop - start, value, 0, False, True)

    def _in_context(self, tag: int) -> Any:
        """What depends on the character set, on a private creator or on the pixels."""
        beside = [t for t in self._places() if t == _PIXEL_REPRESENTATION or (t >> 16 == tag >> 16 and is_creator(t))]
        ds = Dataset({BaseTag(t): self._raw(t) for t in (*beside, tag)})
        ds.set_original_encoding(False, True, _encodings(self._own_charset()))
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
            at = scan(data, _PREAMBLE + 4, len(data), places, 0, top=True)
        except Short:
            if len(data) < size or not _plain(data, places):
                raise
            continue
        if not _plain(data, places):
            raise Unusual
        if len(data) < at + 12:
            continue
        syntax = _text(data, places[_TRANSFER_SYNTAX])
        of_data_set = {tag: place for tag, place in places.items() if tag >> 16 > 2}
        return Encoded(data, 0, at, known=_readable(data, of_data_set)), syntax, at, data[at : at + 12]
    raise Unusual


def _plain(data: bytes, places: dict[int, Place]) -> bool:
    """Whether the transfer syntax is explicit VR little endian, its pixels compressed or not."""
    place = places.get(_TRANSFER_SYNTAX)
    if place is None or place[0] != "UI" or min(places) >> 16 != 2:
        return False
    syntax = TRANSFER_SYNTAXES.get(_text(data, place))
    return syntax is not None and syntax.explicit and not syntax.big_endian and not syntax.deflated


def _readable(data: bytes, places: dict[int, Place]) -> dict[int, Place]:
    """The same, if pydicom, which looks at once, finds their character set to be one."""
    place = places.get(SPECIFIC_CHARACTER_SET)
    if place is not None:
        if place[0] != "CS":
            raise Unusual
        _encodings(data[place[2] : place[3]])
    return places


@lru_cache(maxsize=256)
def _encodings(charset: bytes) -> list[str]:
    raw = RawDataElement(BaseTag(SPECIFIC_CHARACTER_SET), "CS", len(charset), charset, 0, False, True)
    named = Dataset({BaseTag(SPECIFIC_CHARACTER_SET): raw} if charset else {})
    try:
        return convert_encodings(named.get("SpecificCharacterSet"))
    except (ValueError, LookupError):
        raise Unusual from None


def _text(data: bytes, place: Place) -> str:
    return data[place[2] : place[3]].rstrip(b"\0 ").decode("latin-1")


def _items(data: bytes, at: int, charset: bytes, depth: int) -> list[Encoded]:
    return [Encoded(data, begin, end, charset, depth) for begin, end in items(data, at, depth)]


def _is_plain(vr: str, raw: bytes) -> bool:
    if vr in _TEXT:
        return raw.isascii() and ESCAPE not in raw
    return vr in _NUMBERS and len(raw) % _NUMBERS[vr] == 0


@cache
def _tag(keyword: str) -> int:
    found = tag_of(keyword)
    return -1 if found is None else found
