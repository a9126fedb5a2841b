"""A DICOM file opened to be de-identified: its data set in little endian, and the level at its top."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from node.dicom import levels
from node.dicom.alike import Alike, Shared
from node.dicom.byte_order import swapped
from node.dicom.encoding import EXPLICIT_BE, PARSERS, Encoding, Malformed, Parse, Truncated, inflate
from node.dicom.levels import Level
from node.dicom.part10 import PREAMBLE, beginning
from node.dicom.uids import TransferSyntax, transfer_syntax
from node.errors import CannotSucceed
from node.steps.anonymize.header import Encoded
from node.steps.anonymize.room import LARGEST, ROOM

_MOST_INFLATED = 1 << 30
_HEAD, _LONGEST_START = 4096, 12
"""Bytes in which the file meta information mostly is, and those of an element before its value."""


class UnreadableFileError(ValueError):
    """A file is not in the form of PS3.10. Says nothing of a patient."""


class Source(NamedTuple):
    """One file; usable while it is open."""

    data: bytes | mmap
    """Holds the data set, in little endian."""
    file: int | None
    """The descriptor of the file, where `data` are its bytes and not in memory; else None."""
    syntax: TransferSyntax
    parse: Parse
    top: Level
    meta: bytes
    """The elements of the file meta information."""
    shared: Shared | None
    """What its data set has in common with others that were opened with the same `alike`."""
    around: tuple[bytes, bytes | None]
    """Of the file meta information what comes before the value of Media Storage SOP Instance UID, and behind it: files
    in which it is the same have all else there in common. (all, None) where that was not looked for."""

    @property
    def header(self) -> Encoded:
        return Encoded(self.data, self.top, self.parse, meta=self.meta)

    def raw(self, tag: int) -> bytes:
        """The encoded value of an element at the top that is no sequence; b"" when it is absent."""
        found = self.top.get(tag)
        if found is None or found[1] == "SQ" or found[5] is not None:
            return b""
        return self.data[found[3] : found[4]]

    def text(self, tag: int) -> str:
        """A value of the default repertoire, without padding."""
        return self.raw(tag).decode("ascii", "replace").strip(" \0")

    def encapsulated(self, tag: int) -> bool:
        """Whether an element of pixel data at the top is a sequence of fragments (PS3.5 A.4)."""
        found = self.top.get(tag)
        return found is not None and self.data[found[3] - 4 : found[3]] == b"\xff\xff\xff\xff"


@contextmanager
def opened(path: Path, alike: Alike | None = None) -> Iterator[Source]:
    """Open a file that nobody changes: a large one that is cut off while it is read ends the process (SIGBUS).

    alike    what those before it had in common, where there are some

    Of a large file only the pages of its header are read, but for big endian and deflated data sets, which are
    converted in memory. Raises UnreadableFileError, OSError, and Malformed or Truncated where it cannot be read to its
    last byte.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        if size <= len(PREAMBLE):
            raise Truncated(0, "the file holds no data set")
        if size > LARGEST or ROOM.taken:
            with mmap(file, 0, access=ACCESS_READ) as mapped:
                yield _source(mapped, 0, file, alike)
            return
        held, lead = ROOM.take(file, size)
        try:
            yield _source(held, lead, None, alike)
        except Malformed as error:
            raise error.moved(-lead) from None
        finally:
            ROOM.taken = False
    finally:
        os.close(file)


def _source(data: mmap, lead: int, file: int | None, alike: Alike | None) -> Source:
    """`lead`: where in `data` the file begins."""
    uid, offset, (before, behind) = _beginning(data, lead)
    syntax = transfer_syntax(uid)
    parse = PARSERS[Encoding(syntax.explicit)]
    meta = data[lead + len(PREAMBLE) : lead + offset]
    turned, start = _little_endian(data, syntax, lead + offset)
    if start >= len(turned):
        raise Truncated(start, "the file holds no data set")
    if alike is None:
        top, shared = levels.top(turned, start, parse), None
    else:
        top, shared = alike.read(turned, start, parse)
    around = (meta[: before - len(PREAMBLE)], meta[behind - len(PREAMBLE) :]) if before else (meta, None)
    return Source(turned, file if turned is data else None, syntax, parse, top, meta, shared, around)


def _beginning(data: mmap, lead: int) -> tuple[str, int, tuple[int, int]]:
    head = data[lead : lead + _HEAD]
    if len(head) == _HEAD:
        with suppress(CannotSucceed):
            found = beginning(head)
            if found[1] <= _HEAD - _LONGEST_START:
                return found
        head = data[lead:]
    try:
        return beginning(head)
    except Malformed as error:
        raise error.moved(lead) from None
    except CannotSucceed as error:
        raise UnreadableFileError(str(error)) from None


def _little_endian(data: mmap, syntax: TransferSyntax, start: int) -> tuple[bytes | mmap, int]:
    """What holds the data set in little endian, and where it begins there."""
    if syntax.deflated:
        return inflate(data[start:], _MOST_INFLATED), 0
    if syntax.big_endian:
        return bytes(swapped(data, EXPLICIT_BE, start=start)), start
    return data, start
