"""A DICOM file -> all that can be read in it, and where it stands.

Preamble, file meta information, every element of the data set in any nesting, what is printable in binary values, the
headers of compressed frames, and what lies behind the last pixel. Pixels themselves are for `pixels`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from node.dicom.attributes import name_of
from node.dicom.text import ESCAPE, CharacterSet, character_set
from node.leaks.parse import (
    BIG_ENDIAN,
    DEFLATED,
    Data,
    Encoding,
    Parsed,
    Pixels,
    Unparsable,
    Value,
    inflated,
    parse,
    written,
)
from node.leaks.sources import DEVICES, IDENTIFIERS
from node.leaks.what import Place

_TRANSFER_SYNTAX, _CHARACTER_SET, _DOCUMENT = 0x00020010, 0x00080005, 0x00420011
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
_PLACES = {
    "PN": Place.PERSON, "DA": Place.DATE, "DT": Place.DATE, "UI": Place.UID,
    "DS": Place.NUMBER, "IS": Place.NUMBER, "TM": Place.NUMBER, "AS": Place.NUMBER,
} | dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"), Place.TEXT)  # fmt: skip
_IDENTIFIERS = IDENTIFIERS | DEVICES
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_PRINTABLE = re.compile(rb"[\x20-\x7e\x80-\xff\t]{4,}")
_WIDE = (
    (re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\x00){4,}"), "utf-16-le"),
    (re.compile(rb"(?:\x00[\x20-\x7e\xa0-\xff]){4,}"), "utf-16-be"),
)
_SHORTEST = 4
_FRAME_HEADER = 1 << 16
_FRAME_END = 1 << 12
_STARTS_OF_DATA = (b"\xff\xda", b"\xff\x93")
"""SOS of JPEG and JPEG-LS, SOD of JPEG 2000: before them are comments and application segments."""


class NotDicom(ValueError):
    """The bytes are no DICOM file."""


@dataclass(slots=True)
class DicomFile:
    """A file that was read. `broken` is the offset from which it cannot be; what came before is there all the same."""

    data: Data
    """Of the data set: inflated where it was deflated."""
    meta: Parsed = field(default_factory=Parsed)
    parsed: Parsed = field(default_factory=Parsed)
    preamble: bytes = b""
    syntax: str = ""
    broken: int | None = None


def read_dicom(data: Data) -> DicomFile:
    """Raises NotDicom."""
    if data[128:132] != b"DICM":
        raise NotDicom
    file = DicomFile(data, preamble=data[:128])
    try:
        start = parse(data, 132, Encoding(), file.meta, until=0x00030000)
    except Unparsable as error:
        # The data set behind it need not be explicit little endian, and then does not read as such.
        group_2 = [value for value in file.meta.values if value.tag < 0x00030000]
        start = max((value.offset + len(value.raw) for value in group_2), default=132)
        if error.offset < start or data[start : start + 2] == b"\2\0":
            file.broken = error.offset
            return file
    raw = next((value.raw for value in file.meta.values if value.tag == _TRANSFER_SYNTAX), b"")
    file.syntax = raw.decode("ascii", "replace").strip(" \0")
    try:
        if file.syntax == DEFLATED:
            file.data, start = inflated(data, start), 0
        parse(file.data, start, Encoding.of(file.syntax), file.parsed)
    except Unparsable as error:
        file.broken = error.offset
    return file


def located(value: Value) -> str:
    """Attribute, item and byte; never what stands there."""
    return f"{written(value.path, value.tag)} {name_of(value.tag)}, byte {value.offset}"


def is_identifier(value: Value) -> bool:
    """Whether an element is one that identifiers are collected from."""
    return value.tag in _IDENTIFIERS and _PLACES.get(value.vr) is Place.TEXT


def texts(value: Value, also: tuple[str, ...] = ()) -> Iterator[tuple[str, Place]]:
    """What may be read in one element, under each character set that it may be in, value by value.

    also    defined terms of the originals' character sets, for text that was taken over under another
    """
    raw, place = value.raw, _PLACES.get(value.vr)
    if place is None:
        yield from in_bytes(raw, value.charset, also)
        return
    if is_identifier(value):
        place = Place.IDENTIFIER
    for text in readings(raw, value.charset, also):
        for one in (text,) if value.vr in _ONE_VALUE else text.split("\\"):
            if one := one.strip(" \0\r\n\t"):
                yield one, place


def in_bytes(raw: bytes, charset: bytes = b"", also: tuple[str, ...] = ()) -> Iterator[tuple[str, Place]]:
    """Text in a binary value: all of it where it is nothing but text, otherwise each run of printable characters."""
    if len(raw) < _SHORTEST:
        return
    bare = raw.strip(b" \0")
    if bare and not _CONTROLS.search(bare):
        for text in readings(bare, charset, also):
            yield text, Place.TEXT
        return
    for found in _PRINTABLE.finditer(raw):
        for text in readings(found.group(), charset, also):
            yield text, Place.BYTES
    if b"\0" in raw:
        for pattern, codec in _WIDE:
            for found in pattern.finditer(raw):
                yield found.group().decode(codec), Place.BYTES


def readings(raw: bytes, charset: bytes, also: tuple[str, ...] = (), peers: str = "") -> tuple[str, ...]:
    """The text of encoded characters by what is declared, as UTF-8, and by what the originals declare.

    peers   the defined term of the set in which a peer writes what it declares wrongly, or not at all
    """
    if raw.isascii() and ESCAPE not in raw:
        return (raw.decode("ascii"),)
    sets = [_declared(charset, peers), _declared(b"ISO_IR 192"), *(_declared(term.encode()) for term in also)]
    return tuple(dict.fromkeys(one.decode(raw)[0] for one in sets))


@lru_cache(maxsize=64)
def _declared(charset: bytes, peers: str = "") -> CharacterSet:
    terms = [term.strip(" \0") for term in charset.decode("latin-1").split("\\")] if charset else ()
    return character_set(terms, peers or None)


def around(file: DicomFile) -> Iterator[tuple[str, Place, str]]:
    """What can be read outside of elements: (text, place, where)."""
    for text, place in in_bytes(file.preamble.strip(b"\0")):
        yield text, place, "preamble"
    pixels = file.parsed.pixels
    if pixels is None:
        return
    if pixels.fragments:
        yield from _in_fragments(file.data, pixels)
        return
    begin = pixels.begin + _length_of_frames(file)
    if begin < pixels.end:
        for text, place in in_bytes(file.data[begin : pixels.end].strip(b"\0")):
            yield text, place, f"behind the last frame of {name_of(pixels.tag)}, byte {begin}"


def document(value: Value) -> bool:
    """Whether an element is an encapsulated document whose text is encoded in a way that is not read here."""
    return value.tag == _DOCUMENT and not value.path and bool(_CONTROLS.search(value.raw.rstrip(b"\0")))


def _in_fragments(data: Data, pixels: Pixels) -> Iterator[tuple[str, Place, str]]:
    """Comments and application segments of codestreams, and what lies behind their end."""
    for number, (begin, end) in enumerate(pixels.fragments):
        head = data[begin : min(end, begin + _FRAME_HEADER)]
        starts = [at for mark in _STARTS_OF_DATA if (at := head.find(mark)) >= 0]
        segments = head[: min(starts)] if starts and head[:1] in (b"\xff", b"\0") else b""
        tail = data[max(begin, end - _FRAME_END) : end]
        last = tail.rfind(b"\xff\xd9")
        behind = tail[last + 2 :].strip(b"\0") if starts and last >= 0 else b""
        for part in (segments, behind):
            for text, place in in_bytes(part):
                yield text, place, f"fragment {number} of {name_of(pixels.tag)}, byte {begin}"


def _length_of_frames(file: DicomFile) -> int:
    """Bytes that frames of this size have (PS3.3 C.7.6.3); more than there are where the header does not say."""
    numbers = {v.tag: v.raw for v in file.parsed.values if not v.path and v.tag >> 16 == 0x0028}
    order = "big" if file.syntax == BIG_ENDIAN else "little"

    def number(tag: int) -> int:
        return int.from_bytes(numbers.get(tag, b"")[:2], "big" if order == "big" else "little")

    frames = numbers.get(0x00280008, b"").strip(b" \0")
    bits = number(0x00280010) * number(0x00280011) * (number(0x00280002) or 1) * number(0x00280100)
    bits *= int(frames) if frames.isdigit() else 1
    if b"422" in numbers.get(0x00280004, b""):
        bits = bits * 2 // 3
    length = -(-bits // 8)
    return length + length % 2 if length else 1 << 62
