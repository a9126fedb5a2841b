"""The header of an instance as plain values, for the index: read once, matched often (node.model.Header)."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from node.dicom.attributes import SIGNED_BY_PIXELS, VR_BY_TAG, key_of
from node.dicom.elements import ITEM, PIXEL_DATA, Place, is_big_endian, walk
from node.dicom.encoding import Buffer, Encoding, Malformed, Truncated, encoding_of, inflate
from node.dicom.text import CharacterSet, character_set
from node.dicom.uids import transfer_syntax
from node.dicom.values import LIMIT, may_be_kept, value_of
from node.model import Header

MAX_HEADER = 1 << 20
"""Bytes of JSON, about, that private elements, sequences and long lists may have before they are left out of a header.
Short public values at the top, and so what identifies an instance, are never left out for what came before them."""

_MAX_INFLATED = 1 << 28
_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_COST_OF_KEY = 24  # bytes of JSON beside the value
_KEYS = {tag: key_of(tag) for tag in VR_BY_TAG}
_VERSION = b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A header, and how well it could be read."""

    header: Header
    guessed: int = 0
    """Text values that are not in the character set their data set declares; see CharacterSet.decode."""
    dropped: int = 0
    """Values kept as null, or private elements not kept, because the header would have been over its limit."""
    pixel_data: int | None = None
    """Where (7FE0,0008), (7FE0,0009) or (7FE0,0010) begins in the buffer; None without, and when deflated."""


def read_header(
    data: Buffer,
    transfer_syntax_uid: str,
    fallback_charset: str | None = None,
    limit: int = LIMIT,
    *,
    start: int = 0,
    max_header: int = MAX_HEADER,
) -> Reading:
    """The elements from `start` up to pixel data, as node.model.Header says; group lengths are left out.

    The pixel data need not be there, so the beginning of an instance will do; what lies behind them is not
    read. `fallback_charset` is a defined term of PS3.3 C.12.1.1.2, for a peer that names none or a wrong one.
    A sequence that brings the header over `max_header` is kept as null, from the top; private elements that do are not
    kept. Public values of up to `limit` bytes at the top always are.
    Raises Malformed or Truncated, never anything else, whatever the bytes.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if transfer_syntax(transfer_syntax_uid).deflated:
        reading = _read_deflated(memoryview(data)[start:], encoding, fallback_charset, limit, max_header)
        return Reading(header=reading.header, guessed=reading.guessed, dropped=reading.dropped)
    return _read(data, start, encoding, fallback_charset, limit, max_header)


def read_header_of(
    path: Path, transfer_syntax_uid: str, offset: int, fallback_charset: str | None = None, limit: int = LIMIT
) -> Reading:
    """read_header of a file whose data set begins at byte `offset`; only the pages of the header are read.

    For files that nobody changes, such as those in the spool: a mapped file that is cut off while it is read
    ends the process (SIGBUS).
    """
    with path.open("rb") as file:
        if path.stat().st_size <= offset:
            raise Truncated(offset, "the file holds no data set")
        # Not closed by hand: the error of a data set that does not inflate still holds a view of it.
        mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
        return read_header(mapped, transfer_syntax_uid, fallback_charset, limit, start=offset)


def pack(header: Header) -> bytes:
    """The header as few bytes for the index."""
    plain = json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _VERSION + zlib.compress(plain.encode("utf-8", "surrogatepass"), 1)


def unpack(packed: bytes) -> Header:
    """What `pack` was given. Raises ValueError for anything else."""
    if packed[:1] != _VERSION:
        raise ValueError("not a packed header of a version known here")
    try:
        header: Header = json.loads(zlib.decompress(packed[1:]).decode("utf-8", "surrogatepass"))
    except zlib.error as error:
        raise ValueError(f"a packed header is damaged: {error}") from None
    return header


def _read_deflated(data: memoryview, encoding: Encoding, fallback: str | None, limit: int, max_header: int) -> Reading:
    """Inflate no more than the header needs: pixel data may be any size."""
    size = 1 << 18
    while True:
        inflated = inflate(data, size, whole=False)
        try:
            reading = _read(inflated, 0, encoding, fallback, limit, max_header)
        except Truncated:
            if len(inflated) < size:
                raise
        else:
            if reading.pixel_data is not None or len(inflated) < size:
                break
        if size >= _MAX_INFLATED:
            raise Malformed(size, f"the header inflates to more than {_MAX_INFLATED} bytes")
        size *= 16
    if reading.pixel_data is None:
        inflate(data, size)  # raises where the deflated bytes break off between two elements
    return reading


def _read(data: Buffer, start: int, encoding: Encoding, fallback: str | None, limit: int, max_header: int) -> Reading:
    collected = _Collector(data, encoding, character_set((), fallback), fallback, limit, max_header)
    place = None
    for place in walk(data, encoding, start=start, stop_at=PIXEL_DATA):
        collected.take(place)
    # The last place is pixel data only where the walk stopped at it: in a sequence, delimiters follow.
    return Reading(
        header=collected.header,
        guessed=collected.guessed,
        dropped=collected.dropped,
        pixel_data=place[2] if place is not None and place[0] in PIXEL_DATA else None,
    )


@dataclass(slots=True)
class _Collector:
    """Builds the nested header from the flat stream of places."""

    data: Buffer
    encoding: Encoding
    charset: CharacterSet
    fallback: str | None
    limit: int
    room: int
    """Bytes of JSON still allowed."""
    header: dict[str, Any] = field(default_factory=dict)
    guessed: int = 0
    dropped: int = 0
    signed: bool = False
    open: list[tuple[dict[str, Any], CharacterSet, list[Any] | None]] = field(default_factory=list)
    """For each sequence or item being read: the data set, character set and items outside it."""
    items: list[Any] | None = None
    before: int = 0
    """The room there was when the outermost open sequence began."""
    skipping: int = 0
    """How many levels deep in a sequence that is not kept; 0 outside one."""

    def take(self, place: Place) -> None:
        tag, vr = place[0], place[1]
        if self.skipping:
            self.skipping += 1 if vr == "SQ" or tag == ITEM else 0 if vr else -1
        elif not vr:
            self._delimiter(tag)
        elif vr == "SQ":
            self._sequence(tag)
        elif tag & 0xFFFF:
            self._element(place)

    def _element(self, place: Place) -> None:
        tag, vr, _, begin, end = place
        value = None
        length, cost = end - begin, _COST_OF_KEY
        if (length <= self.limit or may_be_kept(vr, length, self.limit)) and tag not in PIXEL_DATA:
            raw = bytes(self.data[begin:end])
            if self.signed and vr == "US" and tag in SIGNED_BY_PIXELS and not self.encoding.explicit:
                vr = "SS"
            big_endian = is_big_endian(self.data, place, self.encoding)
            value, right = value_of(vr, raw, self.charset, big_endian, self.limit)
            self.guessed += not right
            cost += length
            if tag == _SPECIFIC_CHARACTER_SET:
                self.charset = character_set([str(term) for term in value or ()], self.fallback)
            elif tag == _PIXEL_REPRESENTATION:
                self.signed = value == [1]
        key = _KEYS.get(tag)
        if key is not None and not self.open and (value is None or length <= self.limit):
            # Whatever it comes after: Study and Series UID stand behind private groups, which may hold anything.
            self.header[key] = [vr, value]  # a few thousand at most, so that this ends
            return
        self.room -= cost
        if self.room >= 0:
            self.header[key or key_of(tag)] = [vr, value]
        elif self.open:
            self._drop_sequence()
        else:
            self.dropped += 1
            if key is not None:
                self.header[key] = [vr, None]

    def _sequence(self, tag: int) -> None:
        if not self.open:
            self.before = self.room
        self.room -= _COST_OF_KEY
        items: list[Any] = []
        if self.room >= 0 or not self.open:
            self.header[key_of(tag)] = ["SQ", items]
        self.open.append((self.header, self.charset, self.items))
        self.items = items
        if self.room < 0:
            self._drop_sequence()

    def _delimiter(self, tag: int) -> None:
        if tag != ITEM:
            self.header, self.charset, self.items = self.open.pop()
            return
        self.open.append((self.header, self.charset, self.items))
        # An item without a character set of its own has that of its data set (PS3.3 C.12.1.1.2).
        self.header = {}
        if self.items is not None:
            self.items.append(self.header)
        self.room -= 2

    def _drop_sequence(self) -> None:
        """Keep the outermost open sequence as null and read on behind it.

        The outermost, because a sequence with some of its items would look as if it had no others.
        """
        self.header, self.charset, self.items = self.open[0]
        key = next(reversed(self.header))
        self.header[key] = ["SQ", None]
        self.skipping = len(self.open)
        self.open.clear()
        self.room = self.before
        self.dropped += 1
