"""Builds a nested header from the flat stream of places that elements.walk gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node.dicom.attributes import SIGNED_BY_PIXELS, key_of
from node.dicom.elements import ITEM, PIXEL_DATA, Place, is_big_endian
from node.dicom.encoding import Buffer, Encoding
from node.dicom.recurring import COST_OF_KEY, KEYS, SPECIFIC_CHARACTER_SET
from node.dicom.text import CharacterSet, character_set
from node.dicom.values import Values, may_be_kept, value_of

_PIXEL_REPRESENTATION = 0x00280103


@dataclass(slots=True)
class Collector:
    """A header in the making."""

    data: Buffer
    encoding: Encoding
    charset: CharacterSet
    fallback: str | None
    limit: int
    room: int
    """Bytes of JSON still allowed."""
    header: dict[str, Any] = field(default_factory=dict)
    guessed: int = 0
    dropped: int = 0
    signed: bool = False
    open: list[tuple[dict[str, Any], CharacterSet, list[Any] | None]] = field(default_factory=list)
    """For each sequence or item being read: the data set, character set and items outside it."""
    items: list[Any] | None = None
    before: int = 0
    """The room there was when the outermost open sequence began."""
    outermost: str = ""
    """The key of that sequence."""
    skipping: int = 0
    """How many levels deep in a sequence that is not kept; 0 outside one."""

    def take(self, place: Place) -> None:
        tag, vr = place[0], place[1]
        if self.skipping:
            self.skipping += 1 if vr == "SQ" or tag == ITEM else 0 if vr else -1
        elif not vr:
            self._delimiter(place)
        elif vr == "SQ":
            self._sequence(place)
        elif tag & 0xFFFF:
            self._element(place)

    def _element(self, place: Place) -> None:
        tag, vr, _, begin, end = place
        value = None
        length, cost = end - begin, COST_OF_KEY
        if (length <= self.limit or may_be_kept(vr, length, self.limit)) and tag not in PIXEL_DATA:
            raw = bytes(self.data[begin:end])
            if self.signed and vr == "US" and tag in SIGNED_BY_PIXELS and not self.encoding.explicit:
                vr = "SS"
            big_endian = is_big_endian(self.data, place, self.encoding)
            value, right = value_of(vr, raw, self.charset, big_endian, self.limit)
            self.guessed += not right
            cost += length
            if tag == SPECIFIC_CHARACTER_SET:
                self.charset = character_set([str(term) for term in value or ()], self.fallback)
            elif tag == _PIXEL_REPRESENTATION:
                self.signed = value == [1]
        key = KEYS.get(tag)
        if key is not None and not self.open and (value is None or length <= self.limit):
            # Whatever it comes after: Study and Series UID stand behind private groups, which may hold anything.
            self._keep(key, vr, value)  # a few thousand at most, so that this ends
            return
        self.room -= cost
        if self.room >= 0:
            self._keep(key or key_of(tag), vr, value)
        elif self.open:
            self._drop_sequence()
        else:
            self.dropped += 1
            if key is not None:
                self._keep(key, vr, None)

    def _keep(self, key: str, vr: str, values: Values | None) -> None:
        self.header[key] = [vr, values]

    def _sequence(self, place: Place) -> None:
        key = key_of(place[0])
        if not self.open:
            self.before, self.outermost = self.room, key
        self.room -= COST_OF_KEY
        items: list[Any] = []
        if self.room >= 0 or not self.open:
            self.header[key] = ["SQ", items]
        self.open.append((self.header, self.charset, self.items))
        self.items = items
        if self.room < 0:
            self._drop_sequence()

    def _delimiter(self, place: Place) -> None:
        if place[0] != ITEM:
            self.header, self.charset, self.items = self.open.pop()
            return
        self.open.append((self.header, self.charset, self.items))
        # An item without a character set of its own has that of its data set (PS3.3 C.12.1.1.2).
        self.header = {}
        if self.items is not None:
            self.items.append(self.header)
        self.room -= 2

    def _drop_sequence(self) -> None:
        """Keep the outermost open sequence as null and read on behind it.

        The outermost, because a sequence with some of its items would look as if it had no others.
        """
        self.header, self.charset, self.items = self.open[0]
        self.skipping = len(self.open)
        self.open.clear()
        self._keep(self.outermost, "SQ", None)
        self.room = self.before
        self.dropped += 1
