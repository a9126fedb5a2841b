"""The header of an instance as plain values, for the index: read once, matched often (node.model.Header)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from node.dicom.collecting import Collector
from node.dicom.elements import PIXEL_DATA, Place, walk
from node.dicom.encoding import EXPLICIT_LE, Buffer, Encoding, Malformed, Truncated, encoding_of, inflate
from node.dicom.packing import pack, pack_text, unpack
from node.dicom.recalling import Recaller
from node.dicom.text import character_set
from node.dicom.uids import transfer_syntax
from node.dicom.values import LIMIT
from node.model import Header

__all__ = ["MAX_HEADER", "Reading", "pack", "read_header", "read_header_of", "unpack"]

MAX_HEADER = 1 << 20
"""Bytes of JSON, about, that private elements, sequences and long lists may have before they are left out of a header.
Short public values at the top, and so what identifies an instance, are never left out for what came before them."""

_MAX_INFLATED = 1 << 28


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
    text: bytes | None = field(default=None, compare=False, repr=False)
    """The header as JSON, where reading gave it by the way."""

    def packed(self) -> bytes:
        """What `pack` gives for the header, at less cost."""
        return pack(self.header) if self.text is None else pack_text(self.text)


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
        return replace(reading, pixel_data=None)
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
    place = None
    if isinstance(data, bytes | mmap) and encoding == EXPLICIT_LE and limit == LIMIT:
        recaller = Recaller(data, fallback, max_header)
        for place in walk(data, encoding, start=start, stop_at=PIXEL_DATA, take=recaller.recall):
            recaller.take(place)
        return _reading(recaller, place, recaller.text())
    collector = Collector(data, encoding, character_set((), fallback), fallback, limit, max_header)
    for place in walk(data, encoding, start=start, stop_at=PIXEL_DATA):
        collector.take(place)
    return _reading(collector, place)


def _reading(collected: Collector, last: Place | None, text: bytes | None = None) -> Reading:
    # The last place is pixel data only where the walk stopped at it: in a sequence, delimiters follow.
    return Reading(
        header=collected.header,
        guessed=collected.guessed,
        dropped=collected.dropped,
        pixel_data=last[2] if last is not None and last[0] in PIXEL_DATA else None,
        text=text,
    )
