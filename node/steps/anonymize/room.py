"""Where files are read as a whole, one after the other: memory whose pages are there already and in the processor's
caches, which a mapped file's are not."""

from __future__ import annotations

import os
import threading
from errno import EIO
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap

LARGEST = 4 << 20
"""Bytes of a file that is read so."""


class Room(threading.local):
    """One for each thread, for one file at a time. Holds what was read until the next is."""

    def __init__(self) -> None:
        self._pages = _pages(PAGESIZE)
        self._lead = self._next = 0
        self.taken = False
        """Whether somebody still uses what was read last."""

    def take(self, file: int, size: int) -> tuple[mmap, int]:
        """A file of `size` bytes, to the end of what is given, and where in that it begins; what stands before is
        nothing. Who takes it sets `taken` to False afterwards. Raises OSError, also where the file ends before."""
        lead = self._next
        if len(self._pages) != lead + size:
            self._resize(lead + size)
        with memoryview(self._pages) as view:
            at = lead
            while at < lead + size:
                read = os.preadv(file, [view[at:]], at - lead)
                if not read:
                    raise OSError(EIO, "a file ended while it was read")
                at += read
        self._lead, self.taken = lead, True
        return self._pages, lead

    def _resize(self, length: int) -> None:
        try:
            self._pages.resize(length)
        except (BufferError, OSError, SystemError):  # an error's traceback may hold views of it; not every system can
            self._pages = _pages(length)

    def stood(self, begin: int, position: int) -> None:
        """Told where a long stretch, which begins at `begin` of what was given, came to stand in another file.

        The next file is read to where the same stretch has the place in a page that it gets: the kernel copies it a
        fifth faster then, and the files of a series have the same lengths.
        """
        self._next = (position - begin + self._lead) % PAGESIZE


def _pages(length: int) -> mmap:
    return mmap(-1, length, flags=MAP_PRIVATE | MAP_ANONYMOUS)


ROOM = Room()
