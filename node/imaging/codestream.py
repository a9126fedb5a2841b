"""What a compressed frame says about itself, read from its markers without decoding it.

JPEG and JPEG-LS: ITU-T T.81 B.2 and T.87 C.2. JPEG 2000 and HTJ2K: ITU-T T.800 A.5 and A.6. JPEG XL: jpegxl.py. A
frame that contradicts the header of its instance is found here, before a codec allocates what the frame asks for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from node.imaging import jpegxl

# Start Of Frame: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC); F7 is JPEG-LS.
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN, _RESTART_INTERVAL, _APP0, _APP14 = 0xDA, 0xDD, 0xE0, 0xEE
_LOSSLESS_JPEG, JPEG_LS = 0xC3, 0xF7

_COD, _SOT = 0xFF52, 0xFF90
# ITU-T T.801 A.3: markers whose meaning a decoder of Part 1 passes over, and the picture would be another one.
_PART_2 = set(range(0xFF70, 0xFF7A))
_START = b"\xff\x4f\xff\x51"


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
    process: int = 0
    """The second byte of JPEG's Start Of Frame marker: C0 baseline, C3 lossless, F7 JPEG-LS; 0 for the others."""
    exact: bool | None = None
    """False: its coding loses something (DCT, NEAR above 0, the 9/7 wavelet). None: it cannot be said."""
    plain: bool = True
    """Lossless JPEG of one scan, no restart markers and no point transform, as most is."""
    extended: bool = False
    """JPEG 2000 with transformations of Part 2."""

    @property
    def lossless_jpeg(self) -> bool:
        return self.process == _LOSSLESS_JPEG


def sniff(data: bytes) -> Codestream | None:
    """The frame header in `data`, or None when it is of no kind known here, or is cut short."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        found = jpegxl.sniff(data)
        if found is not None:
            rows, columns, samples, precision = found
            return Codestream(rows=rows, columns=columns, samples=samples, precision=precision)
        start = data.find(_START, 0, 65536)  # some vendors wrap it in JP2 boxes
        return _jpeg2000(data, start) if start >= 0 else None
    except (struct.error, IndexError):
        return None


def _jpeg(data: bytes) -> Codestream | None:
    at, adobe, jfif, restarts = 2, None, False, False
    frame: tuple[int, bytes] | None = None
    while at < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:  # a fill byte, or a marker that stands alone
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in _START_OF_FRAME and frame is None:
            frame = marker, body
        if marker == _START_OF_SCAN:
            break
        if marker == _APP14 and body[:5] == b"Adobe" and len(body) > 11:
            adobe = body[11]
        jfif = jfif or (marker == _APP0 and body[:4] == b"JFIF")
        restarts = restarts or (marker == _RESTART_INTERVAL and any(body))
        at += 2 + length
    if frame is None:
        return None
    return _of_jpeg(*frame, data[at + 4 : at + 64], adobe, jfif, restarts)


def _of_jpeg(process: int, frame: bytes, scan: bytes, adobe: int | None, jfif: bool, restarts: bool) -> Codestream:
    """`frame` and `scan` are the parameters of the Start Of Frame and the first Start Of Scan."""
    precision, rows, columns, samples = struct.unpack_from(">BHHB", frame)
    names = bytes(frame[6 + 3 * n] for n in range(samples))
    scanned = scan[0] if scan else samples
    parameters = scan[1 + 2 * scanned : 4 + 2 * scanned]  # Ss Se AhAl; NEAR ILV AhAl in JPEG-LS
    exact: bool | None = process in (_LOSSLESS_JPEG, JPEG_LS)
    if process == JPEG_LS:
        exact = parameters[0] == 0 if len(parameters) == 3 else None
    shifted = len(parameters) == 3 and parameters[2] & 0x0F
    return Codestream(
        rows=rows, columns=columns, samples=samples, precision=precision, ycbcr=_colour(names, adobe, jfif),
        process=process, exact=False if shifted and process == _LOSSLESS_JPEG else exact,
        plain=not restarts and not shifted and scanned == samples,
    )  # fmt: skip


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
    found = Codestream(
        rows=height - top,
        columns=width - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )
    at = start + 4
    marker = 0xFF51
    while marker != _SOT:
        (length,) = struct.unpack_from(">H", data, at)
        if marker == _COD and data[at + 11] == 0:  # the 9/7 wavelet; the reversible one may be cut off all the same
            found = replace(found, exact=False)
        found = replace(found, extended=found.extended or marker in _PART_2)
        at += length + 2
        (marker,) = struct.unpack_from(">H", data, at - 2)
    return found


def with_precision(data: bytes, precision: int, *, signed: bool) -> bytes:
    """A JPEG 2000 codestream whose samples are said to have `precision` bits (SIZ, ITU-T T.800 A.5.1).

    The encoder of HTJ2K knows only the widths of machine words. It is given signed samples, which have no level shift,
    so what it codes does not depend on the precision, and this is all there is to change.
    """
    start = data.index(_START)
    changed = bytearray(data)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    for n in range(samples):
        changed[start + 42 + 3 * n] = precision - 1 | (0x80 if signed else 0)
    return bytes(changed)


def without_colour(data: bytes) -> bytes:
    """A lossless JPEG of three components that says in no way that they are RGB: Photometric Interpretation decides.

    It loses its first marker, Adobe's, and its components are 1, 2 and 3 and no longer R, G and B.
    """
    assert data[2:4] == b"\xff\xee"
    (length,) = struct.unpack_from(">H", data, 4)
    changed = bytearray(data[:2] + data[4 + length :])
    frame = changed.index(bytes((0xFF, _LOSSLESS_JPEG)))
    scan = changed.index(bytes((0xFF, _START_OF_SCAN)))
    for n in range(3):
        changed[frame + 10 + 3 * n] = changed[scan + 5 + 2 * n] = n + 1
    return bytes(changed)
