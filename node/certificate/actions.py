"""What can be done to an attribute, and who is told of it while it is done."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

Path = tuple[int, ...]
"""Tags from the top of the data set to the attribute; a sequence before what is in any of its items."""

PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data (PS3.3 C.7.6.24, C.7.6.25, C.7.6.3)."""


class Done(StrEnum):
    """What became of an attribute. The words of the certificate."""

    KEPT = "kept"
    """Its value is what it was; of a sequence: it stayed, and its items are told of by themselves."""
    REMOVED = "removed"
    EMPTIED = "emptied"
    REPLACED = "replaced"
    UID = "uid"
    """Its UIDs were replaced by keyed ones."""
    SHIFTED = "shifted"
    """A date or time was moved by the patient's amount."""
    CLEANED = "cleaned"
    """What identifies was taken out of its text; the rest of it is what it was."""
    HASHED = "hashed"
    """Each value was replaced by its keyed hash."""
    MASKED = "masked"
    """Pixels were covered; the rest of them is what it was."""
    ADDED = "added"
    """It was not there, or what was there had been removed before."""

    __hash__ = str.__hash__  # of Enum it is written in Python, and these are counted for every attribute


Told = tuple[Path, Done, bytes | None, bytes | None]
"""What `Recorder.did` is told."""


class Again(tuple[Told, ...]):
    """All that is told of one attribute and of what is in it; comes again, as the same object, for other instances."""


class Recorder(Protocol):
    """Is told of each attribute of the data set, in any order. Whoever tells passes what it has at hand, and prepares
    nothing. Not told of: the file meta information, which is made afresh whatever was in it."""

    def did(self, path: Path, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        """`before` and `after`: the encoded values, where there is one; never written down as they are."""
        ...

    def did_all(self, told: Sequence[tuple[Told, ...]]) -> None:
        """The same of many at once, in this order. Those that are Again are of one attribute each."""
        for one in told:
            for each in one:
                self.did(*each)


@lru_cache(maxsize=8192)
def written(path: Path) -> str:
    """`(0040,0275)(0040,0007)`: tags alone. A private creator is text of the data set, and is not told."""
    return "".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in path)
