"""Bytes that each process of a node has promised to instances in flight, visible to all of them.

Two that ask at the same moment may both take the last room: what goes over `keep_free` by that is a few instances.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass

_NUMBER = struct.Struct("<Q")
PLACES = 256
"""One for the node, and one for each of its receivers."""


@dataclass(frozen=True, slots=True)
class Promised:
    """One process's view of the shared numbers."""

    descriptor: int
    place: int
    _memory: mmap.mmap

    @classmethod
    def made(cls) -> Promised:
        """For the node itself, in place 0. The memory is gone with its last process."""
        descriptor = os.memfd_create("promised", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, PLACES * _NUMBER.size)
        return cls.of(descriptor, 0)

    @classmethod
    def of(cls, descriptor: int, place: int) -> Promised:
        return cls(descriptor, place, mmap.mmap(descriptor, PLACES * _NUMBER.size))

    def __del__(self) -> None:
        if self.place == 0:  # who made it; the others have it from their parent, and end with it
            os.close(self.descriptor)

    def tell(self, size: int) -> None:
        """So many bytes are promised here."""
        _NUMBER.pack_into(self._memory, self.place * _NUMBER.size, max(0, size))

    def forget(self, place: int) -> None:
        """Of a process that is gone."""
        _NUMBER.pack_into(self._memory, place * _NUMBER.size, 0)

    def others(self) -> int:
        numbers: tuple[int, ...] = struct.unpack(f"<{PLACES}Q", self._memory[:])
        return sum(numbers) - numbers[self.place]
