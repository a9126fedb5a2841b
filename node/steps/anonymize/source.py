"""A DICOM file opened to be de-identified: its data set in little endian, and the level at its top."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from node.dicom import levels
from node.dicom.alike import Alike, Shared
from node.dicom.byte_order import swapped
from node.dicom.encoding import EXPLICIT_BE, PARSERS, Encoding, Malformed, Parse, Truncated, inflate
from node.dicom.levels import Level
from node.dicom.part10 import PREAMBLE, beginning
from node.dicom.uids import TransferSyntax, transfer_syntax
from node.errors import CannotSucceed
from node.steps.anonymize.header import Encoded

_MOST_INFLATED = 1 << 30


class UnreadableFileError(ValueError):
    """A file is not in the form of PS3.10. Says nothing of a patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file; usable while it is open."""

    data: bytes | mmap
    """Holds the data set, in little endian."""
    file: int | None
    """The descriptor of the file, where `data` are its bytes; None where they were converted first."""
    syntax: TransferSyntax
    parse: Parse
    top: Level
    meta: bytes
    """The elements of the file meta information."""
    shared: Shared | None = None
    """What its data set has in common with others that were opened with the same `alike`."""
    around: tuple[bytes, bytes | None] = (b"", None)
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
    """Open a file that nobody changes: one that is cut off while it is read ends the process (SIGBUS).

    alike    what those before it had in common, where there are some

    Only the pages of its header are read, but for big endian and deflated data sets, which are converted in memory.
    Raises UnreadableFileError, and Malformed or Truncated where it cannot be read to its last byte.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(file).st_size <= len(PREAMBLE):
            raise Truncated(0, "the file holds no data set")
        with mmap(file, 0, access=ACCESS_READ) as mapped:
            uid, offset, (before, behind) = _beginning(mapped)
            syntax = transfer_syntax(uid)
            parse = PARSERS[Encoding(syntax.explicit)]
            data, start = _little_endian(mapped, syntax, offset)
            if start >= len(data):
                raise Truncated(start, "the file holds no data set")
            if alike is None:
                top, shared = levels.top(data, start, parse), None
            else:
                top, shared = alike.read(data, start, parse)
            yield Source(
                data=data, file=file if data is mapped else None, syntax=syntax, parse=parse,
                top=top, meta=mapped[len(PREAMBLE) : offset], shared=shared,
                around=(mapped[len(PREAMBLE) : before or offset], mapped[behind:offset] if before else None),
            )  # fmt: skip
    finally:
        os.close(file)


def _beginning(mapped: mmap) -> tuple[str, int, tuple[int, int]]:
    try:
        return beginning(mapped)
    except Malformed:
        raise
    except CannotSucceed as error:
        raise UnreadableFileError(str(error)) from None


def _little_endian(mapped: mmap, syntax: TransferSyntax, offset: int) -> tuple[bytes | mmap, int]:
    """What holds the data set in little endian, and where it begins there."""
    if syntax.deflated:
        return inflate(mapped[offset:], _MOST_INFLATED), 0
    if syntax.big_endian:
        return bytes(swapped(mapped, EXPLICIT_BE, start=offset)), offset
    return mapped, offset
