"""PALETTE COLOR: an index for each pixel, and three tables that say its colour (PS3.3 C.7.6.3.1.5, C.7.9).

The tables may be segmented: runs of entries, straight lines between two entries, and repetitions of earlier segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.functional import value_of
from node.imaging.layout import Array, Layout
from node.imaging.lookup import Entries, Lookup, descriptor_of, entries_of

_COLOURS = ("Red", "Green", "Blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MOST = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Three tables of one size."""

    red: Lookup
    green: Lookup
    blue: Lookup

    def rgb(self, indices: Array, bits: int) -> Array:
        """(rows, columns) -> (rows, columns, 3) of 8 or 16 bits. Of entries of 16 bits, 8 are the upper ones."""
        planes = [table(indices).astype(np.uint16) for table in (self.red, self.green, self.blue)]
        return _of_bits(np.stack(planes, axis=-1), self.bits, bits)

    @property
    def bits(self) -> int:
        """Of an entry: 8 or 16."""
        return 8 if max(self.red.bits, self.green.bits, self.blue.bits) <= 8 else 16


def palette_of(ds: Dataset, layout: Layout) -> Palette:
    """Read the palette of a header. Raises CannotSucceed when there is none, or one of its tables is not whole."""
    red, green, blue = (_table(ds, colour, layout) for colour in _COLOURS)
    return Palette(red=red, green=green, blue=blue)


def _table(ds: Dataset, colour: str, layout: Layout) -> Lookup:
    name = f"{colour} Palette Color Lookup Table"
    keyword = f"{colour}PaletteColorLookupTable"
    count, first, bits = descriptor_of(value_of(ds, f"{keyword}Descriptor"), signed=layout.signed, name=name)
    data = value_of(ds, f"{keyword}Data")
    segmented = value_of(ds, f"Segmented{keyword}Data")
    if data is None and isinstance(segmented, bytes):
        entries = expand(segmented, 8 if bits <= 8 else 16, count, name=name)
    else:
        entries = entries_of(data, count, name=name)
    # Some write 16 and mean the 8 bits that are there; taken by its word the image would be black.
    return Lookup(first=first, bits=8 if int(entries.max()) < 256 else 16, entries=entries)


def _of_bits(colours: Entries, given: int, wanted: int) -> Array:
    if wanted == 8:
        return np.asarray((colours if given == 8 else colours >> 8).astype(np.uint8))
    return np.asarray(colours if given == 16 else colours * np.uint16(257))


def expand(data: bytes, bits: int, count: int, *, name: str) -> Entries:
    """Segments -> entries (PS3.3 C.7.9.2); `bits`: of each number in the data, 8 or 16, little endian.

    Raises CannotSucceed when they do not make `count` entries.
    """
    numbers = [int(x) for x in np.frombuffer(data, "<u2" if bits == 16 else "u1", len(data) * 8 // bits)]
    found: list[int] = []
    try:
        for opcode, at in _segments(numbers, 0, len(numbers), bits):
            if opcode == _INDIRECT:
                again, offset = numbers[at + 1], _offset(numbers, at + 2, bits)
                for one, there in _segments(numbers, offset, at, bits, again):
                    _segment(numbers, one, there, found)
            else:
                _segment(numbers, opcode, at, found)
            if len(found) >= count:
                break
    except IndexError:
        raise CannotSucceed(f"'{name}': a segment goes beyond its data") from None
    if len(found) < count:
        raise CannotSucceed(f"'{name}': its segments make {len(found)} entries where its descriptor says {count}")
    return np.array(found[:count], np.uint16)


def _segments(numbers: list[int], at: int, end: int, bits: int, most: int = _MOST) -> Iterator[tuple[int, int]]:
    """(opcode, where it stands) of each segment from `at` on."""
    while most and at + 1 < end:
        opcode = numbers[at]
        yield opcode, at
        at += {_DISCRETE: 2 + numbers[at + 1], _LINEAR: 3, _INDIRECT: 4 if bits == 16 else 6}.get(opcode, 2)
        most -= 1


def _segment(numbers: list[int], opcode: int, at: int, found: list[int]) -> None:
    length = numbers[at + 1]
    if len(found) > _MOST or opcode not in (_DISCRETE, _LINEAR) or (opcode == _LINEAR and not found):
        raise IndexError
    if opcode == _DISCRETE:
        found += numbers[at + 2 : at + 2 + length]
        return
    last, to = found[-1], numbers[at + 2]
    found += [round(last + (to - last) * n / length) for n in range(1, length + 1)]


def _offset(numbers: list[int], at: int, bits: int) -> int:
    """Where the segment to repeat begins: the standard counts bytes, from the beginning, in 32 bits."""
    parts = numbers[at : at + 32 // bits]
    return sum(part << (bits * n) for n, part in enumerate(parts)) // (bits // 8)
