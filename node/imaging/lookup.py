"""Lookup tables of a header: Modality LUT, VOI LUT, palette (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5).

A descriptor has three numbers: how many entries (0 for 65536), the input value of the first one, and the bits of an
entry. An input below the first takes the first entry, one beyond the last takes the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.functional import numbers_of, value_of
from node.imaging.layout import Array

Floats = npt.NDArray[np.float64]
Entries = npt.NDArray[np.uint16]


# eq=False: two tables are the same when they are one object; comparing 65536 entries for each frame is not free.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """One table."""

    first: int
    """The input value that the first entry belongs to."""
    bits: int
    """Bits of an entry: the largest possible one is 2^bits - 1."""
    entries: Entries

    def __call__(self, values: Array) -> Floats:
        """The entry for each value; a value between two whole numbers counts as the nearer one, NaN as the lowest."""
        # fmax takes the number where the other is NaN; +-inf go to the ends.
        place = np.fmax(np.rint(values.astype(np.float64) - self.first), 0)
        at = np.minimum(place, len(self.entries) - 1).astype(np.intp)
        return self.entries[at].astype(np.float64)

    def share(self, values: Array) -> Floats:
        """The entry for each value, as a share of the largest possible one: 0 to 1."""
        return np.asarray(self(values) / (2**self.bits - 1))


def read_lookup(item: Dataset, *, signed: bool, name: str) -> Lookup:
    """Read 'LUT Descriptor' and 'LUT Data' of an item of a LUT sequence.

    signed  whether the input may be negative, which says what a first value above 32767 means (PS3.3 C.11.1.1.1)
    name    of the sequence, for the message

    Raises CannotSucceed when the table is not whole.
    """
    count, first, bits = descriptor_of(value_of(item, "LUTDescriptor"), signed=signed, name=name)
    entries = entries_of(value_of(item, "LUTData"), count, name=name)
    # Where entries need more bits than the descriptor has, the descriptor is what is wrong: the entries are there.
    return Lookup(first=first, bits=max(bits, int(entries.max()).bit_length()), entries=entries)


def descriptor_of(value: Any, *, signed: bool, name: str) -> tuple[int, int, int]:
    """(entries, first input value, bits) whatever VR, US or SS, the descriptor was written with."""
    found = numbers_of(value)
    if len(found) != 3:
        raise CannotSucceed(f"'{name}' has no descriptor of three numbers")
    count, first, bits = (int(x) & 0xFFFF for x in found)
    if not 1 <= bits <= 16:
        raise CannotSucceed(f"'{name}' has entries of {bits} bits, which is none of 1 to 16")
    return count or 65536, first - 65536 if signed and first > 32767 else first, bits


def entries_of(value: Any, count: int, *, name: str) -> Entries:
    """The data of a table: numbers (US), or words or packed bytes, both little endian (OW)."""
    if isinstance(value, bytes):
        if len(value) >= 2 * count:
            found = np.frombuffer(value, "<u2", count).astype(np.uint16)
        else:
            # 8 bits an entry, two in a word (PS3.3 C.7.6.3.1.6), padded to an even length.
            found = np.frombuffer(value, np.uint8)[:count].astype(np.uint16)
    else:
        found = np.array([int(x) & 0xFFFF for x in numbers_of(value)], np.uint16)[:count]
    if len(found) < count:
        raise CannotSucceed(f"'{name}' has {len(found)} entries where its descriptor says {count}")
    return found
