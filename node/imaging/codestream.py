"""What a compressed frame says about itself, read from its first bytes without decoding it.

JPEG and JPEG-LS: ITU-T T.81 B.2.2 and T.87 C.2.2. JPEG 2000 and HTJ2K: ITU-T T.800 A.5.1. A frame that
contradicts the header of its instance is found here, before a codec allocates what the frame asks for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# Start Of Frame: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC); F7 is JPEG-LS.
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN, _APP0, _APP14 = 0xDA, 0xE0, 0xEE


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """The frame header of one compressed frame."""

    rows: int
    columns: int
    samples: int
    precision: int
    """Bits per sample."""
    signed: bool = False
    """Only JPEG 2000 can say so."""
    ycbcr: bool | None = None
    """Whether JPEG markers say that colour is YCbCr (True), RGB (False) or nothing (None)."""


def sniff(data: bytes) -> Codestream | None:
    """The frame header in `data`, or None when it is neither JPEG, JPEG-LS nor JPEG 2000, or is cut short."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        start = data.find(b"\xff\x4f\xff\x51", 0, 65536)  # some vendors wrap it in JP2 boxes
        return _jpeg2000(data, start) if start >= 0 else None
    except (struct.error, IndexError):
        return None


def _jpeg(data: bytes) -> Codestream | None:
    at, adobe, jfif = 2, None, False
    while at < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker that stands alone
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in _START_OF_FRAME:
            precision, rows, columns, samples = struct.unpack_from(">BHHB", body)
            names = bytes(body[6 + 3 * n] for n in range(samples))
            colour = _colour(names, adobe, jfif)
            return Codestream(rows=rows, columns=columns, samples=samples, precision=precision, ycbcr=colour)
        if marker == _START_OF_SCAN:
            return None
        if marker == _APP14 and body[:5] == b"Adobe" and len(body) > 11:
            adobe = body[11]
        jfif = jfif or (marker == _APP0 and body[:4] == b"JFIF")
        at += 2 + length
    return None


def _colour(names: bytes, adobe: int | None, jfif: bool) -> bool | None:
    if len(names) != 3:
        return None
    if names in (b"RGB", b"rgb"):
        return False
    if adobe is not None:
        return adobe != 0
    return True if jfif else None  # JFIF allows no other colour than YCbCr


def _jpeg2000(data: bytes, start: int) -> Codestream:
    width, height, left, top = struct.unpack_from(">4I", data, start + 8)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    depth = data[start + 42]
    return Codestream(
        rows=height - top,
        columns=width - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )
