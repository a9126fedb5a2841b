"""Collects a header as collecting.Collector does, and takes what came lately from memory instead of reading it."""

from __future__ import annotations

from mmap import mmap
from struct import Struct, error
from typing import NamedTuple

from node.dicom import packing
from node.dicom.attributes import is_creator, key_of
from node.dicom.collecting import Collector
from node.dicom.elements import ITEM, ITEM_END, PIXEL_DATA, SEQUENCE_END, Place, unknown_vr
from node.dicom.encoding import EXPLICIT_LE, PARSERS, UNDEFINED, NoElementError
from node.dicom.recurring import (
    ELEMENTS,
    LONGEST,
    SEQUENCES,
    Element,
    Sequence,
    depended_on,
    learn,
    recollect,
    without_value,
)
from node.dicom.runs import RUNS, Streak
from node.dicom.text import CharacterSet, character_set
from node.dicom.values import LIMIT, Values, may_be_kept

_HEAD, _LENGTH_AT = 8, 6
_SEQUENCE_HEAD, _SEQUENCE_LENGTH_AT = 12, 8
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"
_LONGEST_SEQUENCE = 1024
_NEVER = ("", "SQ")
_DEEPEST = 128
"""Data sets and items around a sequence that is looked up: in so few bytes it has no room to go too deep itself."""
_parse = PARSERS[EXPLICIT_LE]
_length = Struct("<H").unpack_from
_long_length = Struct("<I").unpack_from


class _Begun(NamedTuple):
    """A sequence that is being read."""

    key: str
    begin: int
    """-1: it is not remembered."""
    end: int
    """Where the data set or item ends that it stands in, at the latest."""
    charset: CharacterSet
    room: int
    places: int
    guessed: int
    texts: list[bytes]
    """Of the elements before it."""


class Recaller(Collector):
    """A header in the making, from a data set in explicit VR little endian, with values of up to LIMIT.

    It also has the text of the header, as packing.pack_text takes it.
    """

    def __init__(self, data: bytes | mmap, fallback: str | None, room: int) -> None:
        super().__init__(data, EXPLICIT_LE, character_set((), fallback), fallback, LIMIT, room)
        self._bytes = data
        self._texts: list[bytes] = []
        """Of the elements of `header`, or of the items of the sequence being read."""
        self._outside: list[list[bytes]] = []
        """For each item being read, the texts of the items before it."""
        self._begun: list[_Begun] = []
        self._once = True
        """No attribute came twice in one data set or item: else the texts are not those of the header."""
        self._places = 0
        self._end = 0

    def text(self) -> bytes | None:
        """Of the header; None where it is only to be had from the header itself."""
        text = self._text_of_elements()
        return text if self._once else None

    # ---- what is read -----------------------------------------------------------------------------

    def take(self, place: Place) -> None:
        self._places += 1
        super().take(place)

    def _keep(self, key: str, vr: str, values: Values | None) -> None:
        super()._keep(key, vr, values)
        self._texts.append(packing.element(key, vr, values))

    def _sequence(self, place: Place) -> None:
        tag, _, begin, value, _ = place
        alone = value - begin == _SEQUENCE_HEAD and tag not in PIXEL_DATA and not is_creator(tag)
        self._begun.append(
            _Begun(
                key=key_of(tag), begin=begin if alone else -1, end=self._end, charset=self.charset, room=self.room,
                places=self._places, guessed=self.guessed, texts=self._texts,
            )
        )  # fmt: skip
        self._texts = []
        super()._sequence(place)

    def _delimiter(self, place: Place) -> None:
        if place[0] == ITEM:
            self._outside.append(self._texts)
            self._texts = []
        elif place[0] == ITEM_END:
            text = self._text_of_elements()
            self._texts = self._outside.pop()
            self._texts.append(text)
        super()._delimiter(place)
        if place[0] == SEQUENCE_END:
            begun = self._begun.pop()
            text = packing.sequence(begun.key, self._texts)
            self._texts = begun.texts
            self._texts.append(text)
            self._remember(begun, place[4], text)

    def _drop_sequence(self) -> None:
        self._texts = self._begun[0].texts
        self._begun.clear()
        self._outside.clear()
        super()._drop_sequence()

    def _text_of_elements(self) -> bytes:
        self._once &= len(self._texts) == len(self.header)
        return packing.data_set(self._texts)

    # ---- what is known ----------------------------------------------------------------------------

    def recall(self, position: int, end: int, left: int, creators: dict[int, str]) -> tuple[int, int]:
        """elements.walk's `take`: elements up to one that must be read, or for which there may be no room."""
        self._end = end
        if self.skipping or len(self.open) > _DEEPEST:
            return position, left
        streak = Streak(self.charset)
        try:
            position, taken = self._until(position, end, left - 1, creators, streak)
        finally:
            streak.over()
        self._places += taken
        return position, left - taken

    def _until(self, position: int, end: int, most: int, creators: dict[int, str], streak: Streak) -> tuple[int, int]:
        data, header, texts, charset = self._bytes, self.header, self._texts, self.charset
        known, run_from, at_top, last = ELEMENTS.latest.get, RUNS.latest.get, not self.open, end - _HEAD
        taken = 0
        while taken < most and position <= last:
            stop = position + _HEAD + _length(data, position + _LENGTH_AT)[0]
            if stop > end:
                break
            encoded = data[position:stop]
            run = run_from(encoded)
            if run is not None and (run.charset is None or run.charset == charset):
                streak.over()
                if data[position : position + len(run.encoded)] != run.encoded:
                    run = run.as_far_as(data, position)
                    RUNS.keep(encoded, run)
                left = self.room - (run.cost_at_top if at_top else run.cost)
                if left >= 0 and position + len(run.encoded) <= end and taken + run.places <= most:
                    self.room = left
                    self.guessed += run.guessed
                    header.update(run.header)
                    texts += run.texts
                    creators.update(run.creators)
                    position += len(run.encoded)
                    taken += run.places
                    continue
            found = known(encoded)
            if found is not None:
                streak.add(encoded, found)
            elif data[position + 4 : position + 6] == b"SQ":
                sequence = self._known_sequence(position, end)
                if sequence is None or sequence.places > most - taken or sequence.cost > self.room:
                    break
                streak.add(sequence.encoded, sequence)
                self._take_sequence(sequence)
                position += len(sequence.encoded)
                taken += sequence.places
                continue
            else:
                streak.over()
                found = learn(encoded, charset)
                if found is None:
                    found, stop = self._other_element(position, end, creators)
                if found is None and not stop:
                    break
            if found is not None and not self._take_element(found, at_top, creators):
                break
            position = stop
            taken += 1
        return position, taken

    def _take_element(self, element: Element, at_top: bool, creators: dict[int, str]) -> bool:
        """False: there is no room for it."""
        key, vr, values, text, cost, cost_at_top, creator = element
        left = self.room - (cost_at_top if at_top else cost)
        if left < 0:
            return False
        self.room = left
        self.header[key] = [vr, None if values is None else [*values]]
        self._texts.append(text)
        if creator is not None:
            creators[creator[0]] = creator[1]
        return True

    def _take_sequence(self, sequence: Sequence) -> None:
        self.header |= packing.read(packing.data_set([sequence.text]))
        self._texts.append(sequence.text)
        self.room -= sequence.cost
        self.guessed += sequence.guessed

    def _other_element(self, position: int, end: int, creators: dict[int, str]) -> tuple[Element | None, int]:
        """(element, where it ends) of one that is long, or UN; no element for a group length. 0: it must be read."""
        data = self._bytes
        try:
            tag, vr, value, length = _parse(data, position)
        except (error, NoElementError):
            return None, 0
        stop = value + length
        if vr in _NEVER or stop > end or length == UNDEFINED:
            return None, 0
        if vr == "UN":
            vr = unknown_vr(data, tag, value, length, creators)
            if vr == "SQ":
                return None, 0
        if depended_on(tag):
            return None, 0 if tag & 0xFFFF else stop
        if length <= LONGEST:
            found = recollect(tag, vr, data[position:stop], data[value:stop], self.charset)
            return found, stop if found else 0
        if is_creator(tag) or may_be_kept(vr, length, LIMIT):
            return None, 0
        return without_value(tag, vr), stop

    def _known_sequence(self, position: int, end: int) -> Sequence | None:
        key = self._key_of_sequence(position, end)
        if key is None:
            return None
        found = SEQUENCES.find((self.charset, key))
        # Of one of undefined length, `key` may be only the beginning.
        if found is None or self._bytes[position : position + len(found.encoded)] != found.encoded:
            return None
        return found if position + len(found.encoded) <= end else None

    def _key_of_sequence(self, begin: int, end: int) -> bytes | None:
        """What a sequence is looked up by: its bytes, those of undefined length up to the first delimiter in it."""
        data, end = self._bytes, min(end, begin + _LONGEST_SEQUENCE)
        if data[begin + 4 : begin + 6] != b"SQ" or begin + _SEQUENCE_HEAD > end:
            return None
        (length,) = _long_length(data, begin + _SEQUENCE_LENGTH_AT)
        stop = begin + _SEQUENCE_HEAD + length
        if length == UNDEFINED:
            stop = data.find(_SEQUENCE_END, begin, end) + len(_SEQUENCE_END)
        return data[begin:stop] if begin < stop <= end else None

    def _remember(self, begun: _Begun, stop: int, text: bytes) -> None:
        """Keep the sequence that ends at `stop`, unless something outside its bytes had a part in it."""
        begin, end = begun.begin, min(begun.end, begun.begin + _LONGEST_SEQUENCE)
        if begin < 0 or stop > end or not self._once:
            return
        key, encoded = self._key_of_sequence(begin, end), self._bytes[begin:stop]
        if key is None or not encoded.startswith(key):
            return
        SEQUENCES.keep(
            (begun.charset, key),
            Sequence(
                encoded=encoded, text=text, cost=begun.room - self.room,
                places=self._places - begun.places + 1, guessed=self.guessed - begun.guessed,
            ),
        )  # fmt: skip
