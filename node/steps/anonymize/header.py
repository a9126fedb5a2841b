"""The elements of a data set, or of an item, by their tags and as they are encoded, whoever found them.

What decides asks here. The node itself finds elements in the bytes (`Encoded`); pydicom (plain.py) is the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from mmap import mmap
from typing import Protocol

from node.dicom import levels
from node.dicom.attributes import VR_BY_TAG
from node.dicom.encoding import Parse
from node.dicom.levels import EXPLICIT, Element, Item, Level

CHARACTER_SET = 0x00080005
_UNKNOWN = ("", "UN")
"""As it is written in implicit encoding, and by what does not know better."""


class Header(Protocol):
    """One level of a data set, in little endian."""

    @property
    def tags(self) -> AbstractSet[int]: ...

    def raw(self, tag: int) -> bytes:
        """The encoded value of an element that is no sequence; b"" when it is absent."""
        ...

    def vr(self, tag: int) -> str:
        """The VR to read an element by that is there; a UN of the standard by PS3.6 (PS3.5 6.2.2), "" for unknown."""
        ...

    def sequences(self) -> Sequence[int]:
        """The tags of all that `vr` gives SQ for."""
        ...

    def items(self, tag: int) -> Sequence[Header]:
        """The items of a sequence; none of what is no sequence, or is not there. Raises what finds them does."""
        ...

    def meta(self) -> Header | None:
        """The file meta information that belongs to it; None within a sequence."""
        ...


class Encoded:
    """A level of encoded bytes."""

    __slots__ = ("_data", "_depth", "_level", "_meta", "_parse", "tags")

    def __init__(self, data: bytes | mmap, level: Level, parse: Parse, depth: int = 0, meta: bytes = b"") -> None:
        """
        depth   in how many sequences it lies
        meta    the elements of its file meta information
        """
        self._data, self._level, self._parse, self._depth, self._meta = data, level, parse, depth, meta
        self.tags: AbstractSet[int] = level.keys()

    def raw(self, tag: int) -> bytes:
        found = self._level.get(tag)
        if found is None or found[1] == "SQ" or found[5] is not None:
            return b""
        return self._data[found[3] : found[4]]

    def vr(self, tag: int) -> str:
        return read_as(self._level[tag], VR_BY_TAG.get(tag))

    def sequences(self) -> Sequence[int]:
        return [
            tag
            for tag, each in self._level.items()
            if each[1] == "SQ" or each[5] is not None or (each[1] in _UNKNOWN and VR_BY_TAG.get(tag) == "SQ")
        ]

    def items(self, tag: int) -> Sequence[Header]:
        found = self._level.get(tag)
        if found is None or read_as(found, VR_BY_TAG.get(tag)) != "SQ":
            return ()
        items = levels.items(self._data, found, self._parse, self._depth)
        return [self._item(item) for item in items]

    def meta(self) -> Header | None:
        return Encoded(self._meta, levels.top(self._meta, 0, EXPLICIT), EXPLICIT) if self._meta else None

    def _item(self, item: Item) -> Encoded:
        depth = self._depth + 1
        return Encoded(self._data, levels.level(self._data, item, depth), item.parse, depth)


def read_as(each: Element, known: str | None) -> str:
    """`Header.vr` of an element.

    known    what PS3.6 says; None for what it does not have, and for private elements
    """
    _, vr, _, _, _, items = each
    if items is not None:
        return "SQ"  # also one that is written as UN
    return known or vr if vr in _UNKNOWN else vr
