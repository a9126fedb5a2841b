"""Where each frame lies in encapsulated pixel data (PS3.5 A.4): one or many fragments, with or without a table.

Only the heads of items are read, so that one frame of a large instance costs no more than that frame. A table, basic or
extended, is believed when it leads to items; else all items are walked, and frames are known by how they begin.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import BinaryIO

from node.errors import CannotSucceed

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_HEAD = 8

# How a frame of JPEG, JPEG 2000, JP2 and JPEG XL begins; one of RLE is always one fragment (PS3.5 A.4.2).
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL ")

Place = tuple[int, int]
"""Offset in the file and length of one fragment's value, bytes."""


class Fragments:
    """The frames of one pixel data element in an open file. Raises CannotSucceed for what is not well formed."""

    def __init__(self, file: BinaryIO, start: int, frames: int, extended: bytes = b"") -> None:
        """start: where the element's value begins; frames: how many the header says; extended: the value of Extended
        Offset Table (7FE0,0001), b"" where there is none."""
        self._file, self._frames = file, frames
        self._first, basic = self._basic_table(start)
        self._table = _offsets(extended, "Q", frames) or _offsets(basic, "I", frames)
        self._walked: list[list[Place]] | None = None

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, number: int) -> bytes:
        """The bytes of frame `number` (from 0), the fragments put together."""
        places = self._by_table(number) if self._walked is None else None
        if places is None:
            places = self.walk()[number]
        return self.read(places)

    def walk(self) -> list[list[Place]]:
        """Every frame's fragments, from the heads of all items. Raises CannotSucceed when these are not the frames
        that the header announces."""
        if self._walked is None:
            self._walked = self._grouped(self._items(self._first, None))
        return self._walked

    def first(self) -> bytes:
        """The first fragment; b"" where there is none."""
        places = self._items(self._first, None)
        return self._read(*places[0]) if places else b""

    def size(self) -> int:
        """Bytes of all fragments."""
        return sum(length for _, length in self._items(self._first, None))

    def streams(self) -> list[list[Place]]:
        """Fragments by how they begin, however many frames each codestream has."""
        items = self._items(self._first, None)
        return _from_beginnings(items, self._beginnings(items))

    def read(self, places: Sequence[Place]) -> bytes:
        """The fragments at `places`, put together."""
        return b"".join(self._read(at, length) for at, length in places)

    def _basic_table(self, start: int) -> tuple[int, bytes]:
        """Where the first fragment's item is, and the value of the Basic Offset Table."""
        head = self._read(start, _HEAD)
        length = struct.unpack("<I", head[4:])[0]
        if head[:4] != _ITEM or length == 0xFFFFFFFF:
            raise CannotSucceed("fragments are not well formed: no offset table item")
        return start + _HEAD + length, self._read(start + _HEAD, length)

    def _by_table(self, number: int) -> list[Place] | None:
        """The fragments from one entry of the table to the next; None where there is none or it does not fit."""
        if not self._table or not 0 <= number < self._frames:
            return None
        begin = self._first + self._table[number]
        end = self._first + self._table[number + 1] if number + 1 < self._frames else None
        try:
            return self._items(begin, end) or None
        except CannotSucceed:
            return None

    def _items(self, at: int, end: int | None) -> list[Place]:
        """The items from `at` on: to `end`, where an item or the delimiter must be, or to the delimiter."""
        found: list[Place] = []
        while end is None or at < end:
            head = self._tell(at)
            if head is None or head[:4] == _END:
                if end is not None:
                    raise CannotSucceed("the offset table leads past the end")
                return found
            length = struct.unpack("<I", head[4:])[0]
            if head[:4] != _ITEM or length == 0xFFFFFFFF:
                raise CannotSucceed(f"fragments are not well formed: no item after {len(found)} of them")
            if not self._there(at + _HEAD + length):
                raise CannotSucceed(f"fragments are cut short: number {len(found) + 1} is longer than the file")
            found.append((at + _HEAD, length))
            at += _HEAD + length
        if at != end:
            raise CannotSucceed("the offset table leads into a fragment")
        return found

    def _grouped(self, items: Sequence[Place]) -> list[list[Place]]:
        if self._frames == 1 and items:
            return [list(items)]
        if len(items) == self._frames:
            return [[item] for item in items]
        starts = {self._first + offset for offset in self._table}
        if len(starts) != self._frames or not starts <= {at - _HEAD for at, _ in items}:
            starts = self._beginnings(items)
        if len(starts) != self._frames or (items and items[0][0] - _HEAD not in starts):
            raise CannotSucceed(
                f"{len(items)} fragments with {len(starts)} beginnings of frames, {self._frames} frames in the header"
            )
        return _from_beginnings(items, starts)

    def _beginnings(self, items: Sequence[Place]) -> set[int]:
        return {at - _HEAD for at, length in items if self._read(at, min(length, 12)).startswith(_BEGINNINGS)}

    def _tell(self, at: int) -> bytes | None:
        """The head of an item; None at the end of the file, which some leave without a delimiter."""
        self._file.seek(at)
        head = self._file.read(_HEAD)
        return head if len(head) == _HEAD else None

    def _there(self, end: int) -> bool:
        return self._file.seek(0, 2) >= end

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        data = self._file.read(length)
        if len(data) < length:
            raise CannotSucceed("fragments are cut short: the file ends before they do")
        return data


def _from_beginnings(items: Sequence[Place], starts: set[int]) -> list[list[Place]]:
    groups: list[list[Place]] = []
    for at, length in items:
        if at - _HEAD in starts or not groups:
            groups.append([])
        groups[-1].append((at, length))
    return groups


def _offsets(table: bytes, kind: str, frames: int) -> tuple[int, ...]:
    """The entries of a table that has one for each frame, from 0 upwards; () for any other."""
    if len(table) != frames * struct.calcsize("<" + kind):
        return ()
    found = struct.unpack(f"<{frames}{kind}", table)
    rising = all(a < b for a, b in pairwise(found))
    return found if found[0] == 0 and rising else ()
