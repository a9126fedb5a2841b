"""One level of an encoded data set: its elements, each sequence among them as a whole (PS3.5 7).

elements.walk gives all there is, one after the other. Who rewrites a data set has to know the whole of a level first,
its character set, its private creators, whose it is, and passes over what it leaves as it came: the value of a
sequence of defined length is not looked into before it is asked for.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from node.dicom.attributes import describe
from node.dicom.elements import ITEM, ITEM_END, SEQUENCE_END, fragments
from node.dicom.encoding import (
    EXPLICIT_LE,
    IMPLICIT_LE,
    PARSERS,
    SHORT,
    UNDEFINED,
    Buffer,
    Malformed,
    NoElementError,
    Parse,
    Truncated,
    inside,
)

EXPLICIT, IMPLICIT = PARSERS[EXPLICIT_LE], PARSERS[IMPLICIT_LE]
"""How the elements of a level are laid out; items may be laid out otherwise than what they lie in."""

MAX_DEPTH = 64
"""Of sequences in each other. The deepest in use are trees of structured reports, of a dozen levels."""

_MAY_BE_ENCAPSULATED = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
_END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
_explicit_head = struct.Struct("<HH2sH").unpack_from
_item_head = struct.Struct("<HHI").unpack_from


class Item(NamedTuple):
    """One item of a sequence: its elements lie in [start:end], laid out as `parse` reads them."""

    start: int
    end: int
    parse: Parse
    defined: bool
    elements: list[Element] | None
    """Those of an item of undefined length, whose end is not known before they are read; else None."""


Element = tuple[int, str, int, int, int, list[Item] | None]
"""(tag, VR, start, value, end, items): bytes [start:value] are tag, VR and length, [value:end] the value.

The VR is the one that is written, "" in implicit encoding. The value of what has an undefined length runs to the end
of its delimiter; a sequence of undefined length has its `items`, all else None. A tuple, because there are millions.
"""

Level = Mapping[int, Element]
"""The elements of a data set or an item by their tags, ascending (PS3.5 7.1)."""


def top(data: Buffer, start: int, parse: Parse) -> Level:
    """The level from `start` to the end of `data`. Raises Malformed, or Truncated where bytes are missing.

    Also where bytes follow the last element: unlike elements.walk, for which zeros are padding.
    """
    return in_order(rest(data, start, parse))


def one(data: Buffer, position: int, parse: Parse) -> Element:
    """The element at the top of a data set that begins at `position`. Raises Malformed, Truncated as `top` does."""
    end = len(data)
    if parse is EXPLICIT and position + 8 <= end:  # what has a short length, as in `_elements`
        group, number, code, length = _explicit_head(data, position)
        vr, stop = SHORT.get(code), position + 8 + length
        if vr is not None and group != 0xFFFE and stop <= end:
            return group << 16 | number, vr, position, position + 8, stop, None
    element = _element(data, position, end, parse, 0)
    if element is None:
        raise Malformed(position, "an item delimiter has no place here")
    return element


def rest(data: Buffer, position: int, parse: Parse) -> list[Element]:
    """Those from `position` to the end, in the order of their bytes. Raises Malformed, Truncated."""
    return _elements(data, position, len(data), parse, 0, delimited=False)[0]


def level(data: Buffer, item: Item, depth: int) -> Level:
    """The elements of an item, `depth` sequences deep. Raises Malformed."""
    found = item.elements
    if found is None:
        found = _elements(data, item.start, item.end, item.parse, depth, delimited=False)[0]
    return in_order(found)


def items(data: Buffer, element: Element, parse: Parse, depth: int) -> list[Item]:
    """The items of an element that is a sequence, in a level `depth` sequences deep. Raises Malformed."""
    _, vr, _, value, end, found = element
    if found is None:
        found = _items(data, value, end, parse, depth + 1, unknown=vr == "UN", delimited=False)[0]
    return found


def in_order(elements: Iterable[Element]) -> dict[int, Element]:
    """By ascending tags, as they are to be written; of those that came twice, the last, as most readers have it."""
    found = {element[0]: element for element in elements}
    tags = list(found)
    if all(map(operator.lt, tags, tags[1:])):
        return found
    return {tag: found[tag] for tag in sorted(tags)}


def _elements(
    data: Buffer, position: int, end: int, parse: Parse, depth: int, *, delimited: bool
) -> tuple[list[Element], int]:
    """The elements, and where they end; with `delimited` before an item delimiter, else at `end`."""
    found: list[Element] = []
    explicit, last, short, head, add = parse is EXPLICIT, end - 8, SHORT.get, _explicit_head, found.append
    while position < end:
        while explicit and position <= last:  # four of five end here
            group, number, code, length = head(data, position)
            vr = short(code)
            if vr is None or group == 0xFFFE:
                break
            value = position + 8
            stop = value + length
            if stop > end:
                raise Truncated(position, f"{describe(group << 16 | number)} is cut short")
            add((group << 16 | number, vr, position, value, stop, None))
            position = stop
        if position == end:
            break
        element = _element(data, position, end, parse, depth)
        if element is None:
            if delimited:
                return found, position
            raise Malformed(position, "an item delimiter has no place here")
        found.append(element)
        position = element[4]
    if delimited:
        raise Truncated(position, "an item has no end")
    return found, position


def _element(data: Buffer, position: int, end: int, parse: Parse, depth: int) -> Element | None:
    """One element of any kind; None for an item delimiter."""
    try:
        tag, vr, value, length = parse(data, position)
    except struct.error:
        raise Truncated(position, "the data set ends in the middle of an element") from None
    except NoElementError as error:
        raise Malformed(position, str(error)) from None
    if not vr:
        if tag == ITEM_END and not length:
            return None
        raise Malformed(position, f"{describe(tag)} has no place here")
    if parse is EXPLICIT and vr == "UN" and data[position + 4 : position + 6] != b"UN":
        raise Malformed(position, f"{describe(tag)} has no value representation of PS3.5")
    nested = None
    if length != UNDEFINED:
        stop = value + length
    elif vr in _MAY_BE_ENCAPSULATED:
        stop = _end_of_fragments(data, value, end)
    elif vr in ("SQ", "UN"):
        unknown = vr == "UN" and parse is EXPLICIT
        nested, stop = _items(data, value, end, parse, depth + 1, unknown=unknown, delimited=True)
    else:
        raise Malformed(position, f"{describe(tag)} of {vr} has no length")
    if stop > end:
        raise Truncated(position, f"{describe(tag)} is cut short")
    return tag, vr if parse is EXPLICIT else "", position, value, stop, nested


def _items(
    data: Buffer, position: int, end: int, parse: Parse, depth: int, *, unknown: bool, delimited: bool
) -> tuple[list[Item], int]:
    """The items of a sequence, and where it ends, its delimiter included.

    unknown    the sequence is written as UN, so that its items are implicit (PS3.5 6.2.2 note 2)
    """
    if depth > MAX_DEPTH:
        raise Malformed(position, f"sequences are nested more than {MAX_DEPTH} deep")
    found: list[Item] = []
    while position < end:
        try:
            group, number, length = _item_head(data, position)
        except struct.error:
            raise Truncated(position, "a sequence ends in the middle of an item") from None
        tag, start = group << 16 | number, position + 8
        if tag == SEQUENCE_END and not length and (delimited or start == end):
            return found, start
        if tag != ITEM:
            raise Malformed(position, "there is no item")
        own = inside(data, position, parse, unknown=unknown)
        if length == UNDEFINED:
            elements, stop = _elements(data, start, end, own, depth, delimited=True)
            found.append(Item(start, stop, own, False, elements))
            position = stop + 8
        else:
            position = start + length
            if position > end:
                raise Truncated(start, "an item is cut short")
            found.append(Item(start, position, own, True, None))
    if delimited:
        raise Truncated(position, "a sequence has no end")
    return found, position


def _end_of_fragments(data: Buffer, position: int, end: int) -> int:
    """Where encapsulated pixel data end, whose fragments begin at `position` (PS3.5 A.4)."""
    for _, stop in _fragments(data, position, end):
        position = stop
    if data[position : position + 8] != _END_OF_SEQUENCE:
        raise Truncated(position, "encapsulated pixel data have no end")
    return position + 8


def _fragments(data: Buffer, position: int, end: int) -> Iterator[tuple[int, int]]:
    return fragments(data, (0, "OB", position, position, end))
