"""Builds a nested header, and its text, from the flat stream of places that elements.walk gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Any, NamedTuple

from node.dicom import packing
from node.dicom.attributes import SIGNED_BY_PIXELS, key_of
from node.dicom.elements import ITEM, ITEM_END, PIXEL_DATA, Place
from node.dicom.encoding import Buffer, Encoding
from node.dicom.recurring import COST_OF_KEY, KEYS, SPECIFIC_CHARACTER_SET, known, learn
from node.dicom.text import CharacterSet, character_set
from node.dicom.values import Values, may_be_kept, value_of

_PIXEL_REPRESENTATION = 0x00280103
_LENGTH_AT = 6
_HEAD = 8
_length = Struct("<H").unpack_from


class _Outside(NamedTuple):
    """What is gone on with behind a sequence or item."""

    header: dict[str, Any]
    texts: list[bytes]
    charset: CharacterSet
    items: list[Any] | None
    key: str


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
    texts: list[bytes] = field(default_factory=list)
    """Of the elements of `header`, or of the items of the sequence being read; see packing."""
    texts_are_whole: bool = False
    """False where texts were not made, or an attribute came twice in one data set: then they are not the header's."""
    guessed: int = 0
    dropped: int = 0
    signed: bool = False
    open: list[_Outside] = field(default_factory=list)
    """For each sequence or item being read: what is outside it."""
    items: list[Any] | None = None
    key: str = ""
    """Of the sequence being read."""
    before: int = 0
    """The room there was when the outermost open sequence began."""
    skipping: int = 0
    """How many levels deep in a sequence that is not kept; 0 outside one."""

    def text(self) -> bytes | None:
        """The header as packing.pack_text takes it; None where it is only to be had from the header."""
        text = self._close_item()
        return text if self.texts_are_whole else None

    def take(self, place: Place) -> None:
        tag, vr, _, begin, end = place
        if self.skipping:
            self.skipping += 1 if vr == "SQ" or tag == ITEM else 0 if vr else -1
        elif not vr:
            self._delimiter(tag)
        elif vr == "SQ":
            self._sequence(tag)
        elif tag & 0xFFFF:
            self._element(tag, vr, begin, end)

    def take_known(self, position: int, end: int, most: int) -> tuple[int, int]:
        """elements.walk's `take`: those that can be known by their bytes alone, up to one for which there is no room.

        Only for a limit of LIMIT, data set and items in explicit VR little endian, and data whose slices are bytes.
        """
        if self.skipping:
            return position, 0
        data, header, texts, at_top, last = self.data, self.header, self.texts, not self.open, end - _HEAD
        encoded: bytes
        for taken in range(most):
            if position > last:
                return position, taken
            stop = position + _HEAD + _length(data, position + _LENGTH_AT)[0]
            if stop > end:
                return position, taken
            encoded = data[position:stop]  # type: ignore[assignment]  # whose slices are bytes
            found = known(encoded) or learn(encoded)
            if found is None:
                return position, taken
            key, vr, values, text, cost, cost_at_top = found
            room = self.room - (cost_at_top if at_top else cost)
            if room < 0:
                return position, taken
            self.room = room
            header[key] = [vr, None if values is None else values[:]]
            texts.append(text)
            position = stop
        return position, most

    def _element(self, tag: int, vr: str, begin: int, end: int) -> None:
        value = None
        length, cost = end - begin, COST_OF_KEY
        if (length <= self.limit or may_be_kept(vr, length, self.limit)) and tag not in PIXEL_DATA:
            raw = bytes(self.data[begin:end])
            if self.signed and vr == "US" and tag in SIGNED_BY_PIXELS and not self.encoding.explicit:
                vr = "SS"
            value, right = value_of(vr, raw, self.charset, self.encoding.big_endian, self.limit)
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
        if self.texts_are_whole:
            self.texts.append(packing.element(key, vr, values))

    def _sequence(self, tag: int) -> None:
        if not self.open:
            self.before = self.room
        self.room -= COST_OF_KEY
        key = key_of(tag)
        items: list[Any] = []
        if self.room >= 0 or not self.open:
            self.header[key] = ["SQ", items]
        self._enter()
        self.items, self.key = items, key
        if self.room < 0:
            self._drop_sequence()

    def _delimiter(self, tag: int) -> None:
        if tag == ITEM:
            self._enter()
            # An item without a character set of its own has that of its data set (PS3.3 C.12.1.1.2).
            self.header = {}
            if self.items is not None:
                self.items.append(self.header)
            self.room -= 2
            return
        text = self._close_item() if tag == ITEM_END else packing.sequence(self.key, self.texts)
        self.header, self.texts, self.charset, self.items, self.key = self.open.pop()
        self.texts.append(text)

    def _close_item(self) -> bytes:
        self.texts_are_whole &= len(self.texts) == len(self.header)
        return packing.data_set(self.texts)

    def _enter(self) -> None:
        self.open.append(_Outside(self.header, self.texts, self.charset, self.items, self.key))
        self.texts = []

    def _drop_sequence(self) -> None:
        """Keep the outermost open sequence as null and read on behind it.

        The outermost, because a sequence with some of its items would look as if it had no others.
        """
        self.header, self.texts, self.charset, self.items, self.key = self.open[0]
        self._keep(next(reversed(self.header)), "SQ", None)
        self.skipping = len(self.open)
        self.open.clear()
        self.room = self.before
        self.dropped += 1
