"""Encoded data sets -> values, and where they stand (PS3.5 7). A parser of its own, on purpose.

What de-identifies has a parser too; an element that it steps over, or reads as another, must not be passed over here
for the same reason. Nothing is skipped: bytes that make no element raise Unparsable, and the output is held.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from struct import Struct

from node.dicom.attributes import is_creator, is_private, private_vr, vr_of

Data = bytes | mmap

Path = tuple[object, int, int]
"""(path of the data set, tag of the sequence, number of the item from 1); nested tuples, () for the data set itself."""

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US"}
)  # fmt: skip
_NAMES = {vr: vr.decode() for vr in _LONG | _SHORT}
_BULK = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_DEEPEST = 64
_MOST_FAILED = 200
_LARGEST = 1 << 31
"""Bytes that a deflated data set may inflate to."""

DEFLATED, BIG_ENDIAN, IMPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"


class Unparsable(ValueError):
    """Bytes that make no element. `offset` is where."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"no element at byte {offset}")


class Hopeless(ValueError):
    """As Unparsable, where to try other encodings would take too long."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(f"no element at byte {offset}")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written: `IMPLICIT`, explicit little or big endian."""

    explicit: bool = True
    big: bool = False

    @classmethod
    def of(cls, transfer_syntax: str) -> Encoding:
        """Of the data set; file meta information is always explicit little endian."""
        # GE's private syntax has its pixels alone in big endian (PS3.5 does not know it).
        implicit = transfer_syntax in (IMPLICIT, "1.2.840.113619.5.2")
        return cls(explicit=not implicit, big=transfer_syntax == BIG_ENDIAN)


@dataclass(slots=True)
class Value:
    """One element that is no sequence."""

    path: Path | tuple[()]
    tag: int
    vr: str
    offset: int
    """Of the value, from the beginning of the data that were parsed."""
    raw: bytes
    """The encoded value. Pixel data of the data set itself are no value: see `Parsed.pixels`."""
    charset: bytes
    """The value of (0008,0005) that holds here."""


@dataclass(slots=True)
class Pixels:
    """Where the pixel data of the data set itself are."""

    tag: int
    begin: int
    end: int
    fragments: tuple[tuple[int, int], ...] = ()
    """(begin, end) of each where encapsulated, the basic offset table first."""


class Parsed:
    """The values of one data set in the order of its bytes."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.pixels: Pixels | None = None


_HEADS = {False: Struct("<HH2sH"), True: Struct(">HH2sH")}
_TAGS = {False: Struct("<HHI"), True: Struct(">HHI")}
_LENGTHS = {False: Struct("<I"), True: Struct(">I")}


def inflated(data: Data, start: int) -> bytes:
    """The data set of a deflated file (PS3.5 A.5). Raises Unparsable."""
    machine = zlib.decompressobj(-15)
    try:
        found = machine.decompress(data[start:], _LARGEST)
    except zlib.error:
        raise Unparsable(start) from None
    if not machine.eof:
        raise Unparsable(start)
    return found


def parse(data: Data, start: int, encoding: Encoding, into: Parsed, *, until: int = 0x100000000) -> int:
    """Add the values of the data set from `start` to `into`; returns where it ends: at the end of `data`, or at a tag
    of `until` or more.

    Raises Unparsable; what came before is then in `into`.
    """
    try:
        return _Reading(data, into).elements(start, len(data), encoding, (), b"", until=until)
    except Hopeless as error:
        raise Unparsable(error.offset) from None


@dataclass(slots=True)
class _Reading:
    data: Data
    parsed: Parsed
    failed: int = 0
    """Sequences that were none in some encoding: each level of nesting doubles them."""

    def elements(
        self, position: int, end: int, encoding: Encoding, path: Path | tuple[()], charset: bytes,
        *, until: int = 0x100000000, depth: int = 0, delimited: bool = False,
    ) -> int:  # fmt: skip
        """Read elements up to `end`, or an item's delimiter; returns the position behind them."""
        data, big, explicit, keep = self.data, encoding.big, encoding.explicit, self.parsed.values.append
        head, tags = _HEADS[big], _TAGS[big]
        creators: dict[int, str] = {}
        while position < end:
            if end - position < 8:
                return self._padding(position, end, delimited)
            if explicit:
                group, element, code, length = head.unpack_from(data, position)
                tag = group << 16 | element
                if code in _SHORT:
                    vr, value = _NAMES[code], position + 8
                elif tag >= _ITEM and group == 0xFFFE:
                    vr, value, length = "", position + 8, tags.unpack_from(data, position)[2]
                elif code in _LONG and end - position >= 12:
                    vr, value = _NAMES[code], position + 12
                    (length,) = _LENGTHS[big].unpack_from(data, position + 8)
                else:
                    return self._padding(position, end, delimited)
            else:
                group, element, length = tags.unpack_from(data, position)
                tag, value = group << 16 | element, position + 8
                vr = "" if group == 0xFFFE else _implicit_vr(tag, creators)
            if tag >= until:
                return position
            if not vr:
                if tag == _ITEM_END and delimited:
                    return value
                raise Unparsable(position)
            if vr == "SQ" or vr in _BULK:
                position = self._bulk(tag, vr, value, length, end, encoding, path, charset, depth)
                continue
            stop = value + length
            if stop > end:
                raise Unparsable(position)
            raw = data[value:stop]
            if tag == 0x00080005:
                charset = raw
            elif not explicit and is_creator(tag):
                creators[tag] = raw.decode("latin-1").strip(" \0")
            keep(Value(path, tag, vr, value, raw, charset))
            position = stop
        if delimited:
            raise Unparsable(position)
        return position

    def _padding(self, position: int, end: int, delimited: bool) -> int:
        """Zeros at the end of a file or an item, which lose nothing."""
        if delimited or any(self.data[position:end]) or end - position > 1 << 16:
            raise Unparsable(position)
        return end

    def _bulk(
        self, tag: int, vr: str, value: int, length: int, end: int, encoding: Encoding,
        path: Path | tuple[()], charset: bytes, depth: int,
    ) -> int:  # fmt: skip
        """A sequence, pixel data, or bytes that may be a sequence; returns the position behind it."""
        data = self.data
        if vr != "SQ" and length == _UNDEFINED and vr != "UN":
            pixels = Pixels(tag, value, *self._fragments(value, end))
            if path == () and tag in _PIXELS:
                self.parsed.pixels = pixels
                return pixels.end
            for begin, stop in pixels.fragments:
                self.parsed.values.append(Value(path, tag, vr, begin, data[begin:stop], charset))
            return pixels.end
        stop = end if length == _UNDEFINED else value + length
        if stop > end:
            raise Unparsable(value)
        if path == () and tag in _PIXELS:
            self.parsed.pixels = Pixels(tag, value, stop)
            return stop
        must = vr == "SQ" or length == _UNDEFINED
        if must or (vr == "UN" and data[value : value + 4] == b"\xfe\xff\x00\xe0"):
            # What is written as UN is implicit little endian inside (PS3.5 6.2.2 note 2), and some write otherwise.
            first, second = (Encoding(explicit=False), encoding) if vr == "UN" else (encoding, Encoding(explicit=False))
            found = self._sequence(tag, value, stop, (first, second), path, charset, depth, length == _UNDEFINED)
            if found is not None:
                return found
            if must:
                raise Unparsable(value)
        self.parsed.values.append(Value(path, tag, vr, value, data[value:stop], charset))
        return stop

    def _sequence(
        self, tag: int, value: int, stop: int, encodings: tuple[Encoding, ...], path: Path | tuple[()],
        charset: bytes, depth: int, delimited: bool,
    ) -> int | None:  # fmt: skip
        """Where a sequence ends, read in the first encoding in which it is one; None where it is none."""
        kept = len(self.parsed.values)
        for encoding in dict.fromkeys(encodings):
            try:
                return self._items(tag, value, stop, encoding, path, charset, depth, delimited)
            except Unparsable as error:
                del self.parsed.values[kept:]  # they were misread
                self.failed += 1
                if self.failed > _MOST_FAILED:
                    raise Hopeless(error.offset) from None
        return None

    def _items(
        self, tag: int, position: int, end: int, encoding: Encoding, path: Path | tuple[()], charset: bytes,
        depth: int, delimited: bool,
    ) -> int:  # fmt: skip
        if depth >= _DEEPEST:
            raise Unparsable(position)
        tags, number = _TAGS[encoding.big], 0
        while position < end:
            if end - position < 8:
                raise Unparsable(position)
            group, element, length = tags.unpack_from(self.data, position)
            found, position = group << 16 | element, position + 8
            if found == _SEQUENCE_END and delimited:
                return position
            if found != _ITEM:
                raise Unparsable(position - 8)
            number += 1
            open_end = length == _UNDEFINED
            stop = end if open_end else position + length
            if stop > end:
                raise Unparsable(position)
            inside = (path, tag, number)
            position = self.elements(
                position, stop, encoding, inside, charset, depth=depth + 1, delimited=open_end
            )  # fmt: skip
        if delimited:
            raise Unparsable(position)
        return position

    def _fragments(self, position: int, end: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Where encapsulated pixel data end, and their fragments; always little endian (PS3.5 A.4)."""
        found: list[tuple[int, int]] = []
        while end - position >= 8:
            group, element, length = _TAGS[False].unpack_from(self.data, position)
            tag, begin = group << 16 | element, position + 8
            if tag == _SEQUENCE_END:
                return begin, tuple(found)
            position = begin + length
            if tag != _ITEM or position > end:
                break
            found.append((begin, position))
        raise Unparsable(position)


def _implicit_vr(tag: int, creators: dict[int, str]) -> str:
    if is_private(tag):
        if is_creator(tag):
            return "LO"
        vr = private_vr(tag, creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, ""))
        # Known or not, a private value is looked at as bytes, text and sequence: the dictionary may be wrong.
        return vr if vr in ("PN", "UI", "DA", "DT") else "UN"
    return vr_of(tag)


def steps(path: object) -> Iterator[tuple[int, int]]:
    """The sequences and item numbers of a path, from the outside."""
    if isinstance(path, tuple) and path:
        outer, tag, number = path
        yield from steps(outer)
        yield tag, number


def written(path: object, tag: int) -> str:
    """`(0040,A730)[2].(0040,A160)`: items count from 1."""
    parts = [f"({t >> 16:04X},{t & 0xFFFF:04X})[{n}]" for t, n in steps(path)]
    return ".".join([*parts, f"({tag >> 16:04X},{tag & 0xFFFF:04X})"])
