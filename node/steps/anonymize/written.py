"""Elements as they are to be written: new bytes, and stretches of the source that are given on as they are."""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from mmap import mmap

from node.dicom.attributes import describe
from node.dicom.encoding import Parse, element
from node.dicom.levels import EXPLICIT
from node.steps.anonymize.scope import UndecidableError

Stretch = tuple[int, int]
"""[begin:end] of the source, given on as it is."""
Written = bytes | list[bytes | Stretch]
"""An element as it is to be written; b"" for one that is removed."""


def length(written: Written) -> int:
    """Bytes that it will have."""
    if isinstance(written, bytes):
        return len(written)
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in written)


def joined(written: Written, data: bytes | mmap) -> bytes:
    """The bytes that it is, whose stretches are of `data`."""
    if isinstance(written, bytes):
        return written
    return b"".join(piece if isinstance(piece, bytes) else data[piece[0] : piece[1]] for piece in written)


def overwritten(written: Written, value: Stretch, zeros: Sequence[Stretch]) -> Written:
    """An element whose value is given on as it is, with zeros in some stretches of the source.

    value  where it stands there
    zeros  stretches within `value`, ascending
    """
    at, end = value
    head = written[: len(written) - (end - at)] if isinstance(written, bytes) else written[0]
    found: list[bytes | Stretch] = [head]
    for begin, stop in zeros:
        found += [(at, begin), bytes(stop - begin)]
        at = stop
    return [*found, (at, end)]


def head_of(head: bytes) -> bytes:
    """Tag, VR and length, the two reserved bytes 0 (PS3.5 7.1.2): a device may have left anything in them."""
    return head if len(head) != 12 or head[6:8] == b"\0\0" else head[:6] + b"\0\0" + head[8:]


def encoded_as(tag: int, vr: str, value: bytes, parse: Parse) -> bytes:
    """A new element. Raises UndecidableError for a value that its representation cannot hold."""
    if parse is not EXPLICIT:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
    try:
        return element(tag, vr, value)
    except ValueError:
        raise UndecidableError(f"{describe(tag)} would be too long for {vr}") from None


def together(pieces: list[bytes | Stretch]) -> Written:
    """One piece where all are bytes."""
    own = [piece for piece in pieces if isinstance(piece, bytes)]
    return b"".join(own) if len(own) == len(pieces) else pieces


def in_blocks(elements: Mapping[int, Written], apart: Sequence[int]) -> dict[int, Written]:
    """The same elements, ascending by their tags: of those that are bytes neighbours as one, by the tag of the first,
    and without what is removed.

    apart    tags, ascending, of elements that stay by themselves; where one is not there, it may still be put between
    """
    found: dict[int, Written] = {}
    block: list[bytes] = []
    first = last = -1
    for tag, written in elements.items():
        if not written:
            continue
        place = bisect_left(apart, tag) + bisect_right(apart, tag)  # odd of one that is in it
        if not isinstance(written, bytes):
            found[tag], last = written, -1
        elif place == last:
            block.append(written)
            found[first] = b"".join(block)
        else:
            found[tag], block, first, last = written, [written], tag, place
    return found
