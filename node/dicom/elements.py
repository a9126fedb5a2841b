"""Encoded data sets as bytes: which element lies where (PS3.5 7). No value is decoded and none is copied.

`walk` gives one flat stream of places, so that depth costs no recursion and a reader that wants only some
elements touches only those. A sequence is its own place, then for each item ITEM, the item's elements and
ITEM_END, then SEQUENCE_END; these three have VR "" and come for defined and undefined lengths alike.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from node.dicom.attributes import describe, is_creator, is_private, private_vr, vr_of
from node.dicom.encoding import (
    EXPLICIT_LE,
    PARSERS,
    UNDEFINED,
    Buffer,
    Encoding,
    Malformed,
    NoElementError,
    Parse,
    Truncated,
    inside,
)

Place = tuple[int, str, int, int, int]
"""(tag, VR, start, value, end): bytes [start:value] are tag, VR and length, [value:end] is the value.

`end` is UNDEFINED for a sequence or item of undefined length. The value of encapsulated pixel data runs to
the end of its sequence delimiter; see `fragments`. A tuple, not a class: there are millions of them.
"""

Take = Callable[[int, int, int, dict[int, str]], tuple[int, int]]
"""(position, end, left, private creators) -> (position behind what was taken, what is left then).

The caller of `walk` may take elements itself wherever one may begin in explicit VR little endian, also whole sequences,
and they are not given. They lie before `end`, and would be given as fewer places than are `left`; none is in `stop_at`.
The private creators among them, as `creator_of` reads them, it adds to those of the data set or item.
"""

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and integer Pixel Data."""

MAX_DEPTH = 256
MAX_ELEMENTS = 10_000_000
"""Real objects stay below it: Enhanced MR of 10,000 frames has about a million elements."""

_MAY_BE_ENCAPSULATED = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
_LONGEST_PADDING = 1 << 16
_ITEM_LE = b"\xfe\xff\x00\xe0"


def walk(
    data: Buffer,
    encoding: Encoding,
    *,
    start: int = 0,
    stop_at: Collection[int] = (),
    take: Take | None = None,
    max_depth: int = MAX_DEPTH,
    max_elements: int = MAX_ELEMENTS,
) -> Iterator[Place]:
    """Every element of a data set in the order of the bytes, from `start` to the end of `data`.

    An element at the top whose tag is in `stop_at` is the last place given, and its value need not be there.
    The VR in implicit encoding is the dictionary's. UN is given as the VR the attribute is known to have
    (private ones by their creator), and as SQ where its length is undefined (PS3.5 6.2.2 note 2).
    Raises Malformed, or Truncated where bytes are missing.
    """
    level = _Level(PARSERS[encoding], len(data), takes=encoding == EXPLICIT_LE)
    outer: list[_Level] = []
    position, left = start, max_elements
    while left > 0:
        if take is not None and level.takes:
            position, left = take(position, level.end, left, level.creators)
        left -= 1
        if position >= level.end:
            if not outer:
                return
            yield level.closed_at(position)
            level = outer.pop()
            continue
        try:
            tag, vr, value, length = level.parse(data, position)
        except (struct.error, NoElementError) as error:
            if not outer and _only_zeros(data, position):
                return  # padded to a block or to an even length, which loses nothing
            raise _unreadable(error, position, level.end) from None
        if not vr or level.items:
            if tag == level.closing and outer:
                yield (tag, "", position, value, value)
                position, level = value, outer.pop()
                continue
            if tag != ITEM or not level.items:
                raise Malformed(position, f"{describe(tag)} has no place here")
        end, unknown = value + length, vr == "UN"
        if unknown or tag & 0x10000:
            vr = level.recognise(data, tag, vr, value, length)
        if not outer and tag in stop_at:
            yield (tag, vr, position, value, UNDEFINED if length == UNDEFINED else end)
            return
        if length == UNDEFINED or end > level.end:
            end = level.unusual_end(data, tag, vr, value, length)
        yield (tag, vr, position, value, end)
        if vr and vr != "SQ":
            position = end
            continue
        if len(outer) >= 2 * max_depth:
            raise Malformed(position, f"sequences are nested more than {max_depth} deep")
        outer.append(level)
        level, position = level.inner(data, vr, value, end, unknown=unknown), value
    raise Malformed(position, f"there are more than {max_elements} elements")


def fragments(data: Buffer, place: Place) -> Iterator[tuple[int, int]]:
    """(begin, end) of each fragment of encapsulated pixel data, the basic offset table first (PS3.5 A.4)."""
    _, _, _, value, end = place
    for tag, begin, stop in _fragments(data, value, end):
        if tag == ITEM:
            yield begin, stop


def is_big_endian(data: Buffer, place: Place, encoding: Encoding) -> bool:
    """Whether the numbers in a value are big endian, in a data set of this encoding.

    What is written as UN is little endian whatever the data set is, its own value and all that lies in it (PS3.5
    6.2.2 note 2): the former is seen from its VR as written, the latter from the order of the bytes of its tag.
    """
    if not encoding.big_endian:
        return False
    tag, _, start, _, _ = place
    return bytes(data[start : start + 4]) == tag.to_bytes(4, "big") and bytes(data[start + 4 : start + 6]) != b"UN"


def is_encapsulated(data: Buffer, place: Place) -> bool:
    """Whether the value of a binary element is a sequence of fragments."""
    _, vr, _, value, _ = place
    return vr in _MAY_BE_ENCAPSULATED and bytes(data[value - 4 : value]) == b"\xff\xff\xff\xff"


def creator_of(raw: bytes) -> str:
    """The name in the value of a private creator; no longer than LO may be (PS3.5 Table 6.2-1)."""
    return raw[:64].decode("latin-1").strip("\0 ")


def unknown_vr(data: Buffer, tag: int, value: int, length: int, creators: Mapping[int, str]) -> str:
    """The VR of an element of defined length that is written as UN: the one that the attribute is known to have."""
    if is_creator(tag):
        return "LO"
    if is_private(tag):
        # PS3.5 7.8.1: block xx of (gggg,xxee) belongs to the creator in (gggg,00xx).
        vr = private_vr(tag, creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, ""))
    else:
        vr = vr_of(tag)
    return "UN" if vr == "SQ" and length and data[value : value + 4] != _ITEM_LE else vr


@dataclass(slots=True)
class _Level:
    """What is being read: the elements of a data set or item, or the items of a sequence."""

    parse: Parse
    end: int
    """Where it must end; for one of undefined length, where what encloses it ends."""
    defined: bool = True
    items: bool = False
    takes: bool = False
    """Whether elements in explicit VR little endian stand here."""
    creators: dict[int, str] = field(default_factory=dict)

    @property
    def closing(self) -> int:
        return SEQUENCE_END if self.items else ITEM_END

    def closed_at(self, position: int) -> Place:
        if not self.defined:
            raise Truncated(position, f"{describe(self.closing)} is missing")
        return (self.closing, "", position, position, position)

    def recognise(self, data: Buffer, tag: int, vr: str, value: int, length: int) -> str:
        """The VR to give for a private element, or for one that is written as UN."""
        if is_creator(tag):
            self.creators[tag] = creator_of(bytes(data[value : value + min(length, 64)]))
            return "LO" if vr == "UN" else vr
        if vr != "UN":
            return vr
        if length == UNDEFINED:
            return "SQ"
        return unknown_vr(data, tag, value, length, self.creators)

    def unusual_end(self, data: Buffer, tag: int, vr: str, value: int, length: int) -> int:
        """Where a value ends whose length is undefined; raises where the length is more than there is."""
        if length != UNDEFINED:
            raise Truncated(value, f"{describe(tag)} says {length} bytes, {max(0, self.end - value)} are left")
        if vr in _MAY_BE_ENCAPSULATED:
            for fragment_tag, _, stop in _fragments(data, value, self.end):
                if fragment_tag == SEQUENCE_END:
                    return stop
            raise Truncated(self.end, f"{describe(tag)} has no end")
        if vr == "SQ" or not vr:
            return UNDEFINED
        raise Malformed(value, f"{describe(tag)} of {vr} has no length")

    def inner(self, data: Buffer, vr: str, value: int, end: int, *, unknown: bool) -> _Level:
        """The items of a sequence, or the elements of an item, that begins at `value`."""
        items = vr == "SQ"
        parse = inside(data, value, self.parse, unknown=unknown) if items else self.parse
        defined = end != UNDEFINED
        takes = not items and parse is PARSERS[EXPLICIT_LE]
        return _Level(parse, end if defined else self.end, defined, items, takes)


def _fragments(data: Buffer, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, begin, end) of every fragment and of the delimiter. Encapsulation is little endian (PS3.5 A.4)."""
    while position < end:
        head = bytes(data[position : position + 8])
        tag = int.from_bytes(head[0:2], "little") << 16 | int.from_bytes(head[2:4], "little")
        stop = position + 8 + int.from_bytes(head[4:8], "little")
        if len(head) < 8 or stop > end:
            raise Truncated(position, f"a fragment ends {stop - end} bytes beyond the data")
        if tag not in (ITEM, SEQUENCE_END):
            raise Malformed(position, "there is no fragment of pixel data")
        yield tag, position + 8, stop
        if tag == SEQUENCE_END:
            return
        position = stop


def _only_zeros(data: Buffer, position: int) -> bool:
    return len(data) - position <= _LONGEST_PADDING and not any(bytes(data[position:]))


def _unreadable(error: Exception, position: int, end: int) -> Malformed:
    if isinstance(error, NoElementError):
        return Malformed(position, str(error))
    return Truncated(position, f"{end - position} bytes are left, an element needs more")
