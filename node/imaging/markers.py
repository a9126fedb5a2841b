"""What a compressed frame carries that is no picture, found by its markers; nothing is decoded.

JPEG and JPEG-LS: ITU-T T.81 B.1 and T.87 C.1, with JFIF (T.871) and Adobe's segment; JPEG 2000 and HTJ2K: ITU-T T.800
A.2, its files T.800 I.4; JPEG XL: its files, ISO/IEC 18181-2. A decoder passes over comments, application data and all
that stands behind the end, so zeros in their place change no pixel. What has no place in such a stream is an error.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from node.dicom.encoding import Buffer
from node.errors import CannotSucceed

Stretch = tuple[int, int]
"""Bytes [begin:end] of a buffer."""

JPEG_START, JPEG_2000_START = b"\xff\xd8", b"\xff\x4f\xff\x51"

_COMMENT, _START, _END, _SCAN, _RESTART_INTERVAL = 0xFE, 0xD8, 0xD9, 0xDA, 0xDD
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_CODING = {*range(0xC0, 0xD0), *range(0xDA, 0xE0), 0xF7, 0xF8} - {0xC8}
"""Frames, tables, scans, hierarchy, and what JPEG-LS adds: segments that a decoder reads."""
_ALONE = {0x01, *range(0xD0, 0xD8)}
_READ = {
    0xE0: re.compile(rb"JFIF\0.{9}", re.DOTALL),
    0xE8: re.compile(
        rb"mrfx.|\x00\x00\x00\x01\xff\xd8"
        rb"|SPIFF\x00[\x00-\x02]{2}[\x00-\x05].(?:\x00\x00..){2}[\x00-\x10][\x00-\x20][\x00-\x08][\x00-\x02](?:\x00\x00..){2}",
        re.DOTALL,
    ),
    0xEE: re.compile(rb"Adobe.{7}", re.DOTALL),
}
"""What decoders read of application segments, how colour is coded: JFIF, Adobe's, and SPIFF's, which JPEG-LS has, with
its end (T.84 F.2)."""

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_AFTER_LS_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)
"""In coded data FF is followed by 00 (T.81 B.1.1.5), in JPEG-LS by a bit of 0 (T.87 A.1)."""

_J2K_END, _J2K_TILE, _J2K_DATA, _J2K_COMMENT = 0xFFD9, 0xFF90, 0xFF93, 0xFF64
_J2K_CODING = frozenset(
    {0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF58, 0xFF59, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61,
     0xFF63, *range(0xFF72, 0xFF7A)}
)  # fmt: skip
"""T.800 Table A.2 and T.801 Table A.1."""

_ENCODER = re.compile(rb"(?:Kakadu-v?|Created by (?:GDCM/)?OpenJPEG version |Creator: JasPer Version |OpenJPH Ver )"
                      rb"\d{1,2}(?:\.\d{1,3}){1,3}\.?\0?")  # fmt: skip
"""Comments by which encoders name themselves. They stay, so that most frames go on as they came."""

_BOXES = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"JXL ", b"jxll", b"jxlc", b"jxlp"})
_HEADER_BOXES = frozenset({b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "})
_LONGEST_TYPE, _NAMED_COLOUR = 40, 15
"""Bytes of a file type box with six brands, and of a colour box without an ICC profile."""


def unread(data: Buffer, begin: int, end: int) -> list[Stretch]:
    """What of a frame in [begin:end] no decoder reads and is not zero already, ascending.

    Raises CannotSucceed where the frame is none of the codings, or has something in it that has no place there.
    """
    try:
        found = _unread(data, begin, end)
    except (struct.error, IndexError):
        raise CannotSucceed("a frame is cut short") from None
    if any(stop > end for _, stop in found):
        raise CannotSucceed("a frame is cut short")
    return [one for one in found if _tells(bytes(data[one[0] : one[1]]))]


def _tells(said: bytes) -> bool:
    """One byte more is padding whatever it is: PS3.5 A.4 wants an even number, and some write FF."""
    return len(said.strip(b"\0")) > (said[:1] == b"\xff") and not _ENCODER.fullmatch(said)


def _unread(data: Buffer, begin: int, end: int) -> list[Stretch]:
    head = bytes(data[begin : begin + 12])
    if head.startswith(JPEG_START):
        return _jpeg(data, begin, end)
    if head.startswith(JPEG_2000_START):
        return _jpeg_2000(data, begin, end)
    if head[4:8] in (b"jP  ", b"JXL "):
        return _boxes(data, begin, end)
    if head.startswith(b"\xff\x0a"):
        return []  # JPEG XL: a stream of bits from there on
    raise CannotSucceed("a frame begins with none of the codings that are known")


def _jpeg(data: Buffer, begin: int, end: int) -> list[Stretch]:
    found: list[Stretch] = []
    at, lossless_ls = begin + 2, False
    while at < end:
        if data[at] != 0xFF:
            raise CannotSucceed("a JPEG frame has bytes between two of its segments")
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # a fill byte; what stands alone
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _END:
            return [*found, (at + 2, end)]
        start = at + 4
        at += 2 + _length(data, at + 2)
        if marker == _COMMENT or 0xE0 <= marker <= 0xEF:
            read = _READ[marker].match(data, start, at) if marker in _READ else None
            found.append((read.end() if read else start, at))
        elif marker not in _CODING or not _is_as_long(data, marker, start, at):
            raise CannotSucceed("a JPEG frame has a segment that is none of JPEG")
        lossless_ls |= marker == 0xF7
        if marker == _SCAN:
            match = (_AFTER_LS_SCAN if lossless_ls else _AFTER_SCAN).search(data, at, end)
            at = match.start() if match else end
    raise CannotSucceed("a JPEG frame has no end")


def _length(data: Buffer, at: int) -> int:
    (length,) = struct.unpack_from(">H", data, at)
    if length < 2:
        raise CannotSucceed("a segment of a frame has no length")
    return int(length)


def _is_as_long(data: Buffer, marker: int, start: int, end: int) -> bool:
    """Whether a segment has no room behind what it says."""
    if marker in _FRAMES:
        return end - start == 6 + 3 * data[start + 5]
    if marker == _SCAN:
        return end - start == 4 + 2 * data[start]
    return marker != _RESTART_INTERVAL or end - start <= 4


def _jpeg_2000(data: Buffer, begin: int, end: int) -> list[Stretch]:
    found: list[Stretch] = []
    at, tile = begin + 2, (begin, end)
    while at < end:
        (marker,) = struct.unpack_from(">H", data, at)
        if marker == _J2K_END:
            return [*found, (at + 2, end)]
        if marker == _J2K_DATA:
            if not tile[0] < at < tile[1] <= end:
                raise CannotSucceed("a JPEG 2000 frame has a tile that is longer than it")
            at = tile[1]
            continue
        length = _length(data, at + 2)
        if marker == _J2K_TILE:
            (size,) = struct.unpack_from(">I", data, at + 6)
            tile = at, at + size if size else _end_of_last(data, at, end)
        elif marker == _J2K_COMMENT:
            found.append((at + 6, at + 2 + length))  # behind whether it is text
        elif marker not in _J2K_CODING:
            raise CannotSucceed("a JPEG 2000 frame has a segment that is none of JPEG 2000")
        at += 2 + length
    return found  # without the marker of its end, which some encoders leave out


def _end_of_last(data: Buffer, at: int, end: int) -> int:
    """Where the tile ends that says that it goes on until the end of the codestream (T.800 A.4.2)."""
    marker = bytes(data[at:end]).rfind(b"\xff\xd9")
    return end if marker < 0 else at + marker


def _boxes(data: Buffer, begin: int, end: int) -> list[Stretch]:
    found: list[Stretch] = []
    for name, start, stop in _boxes_in(data, begin, end):
        if name not in _BOXES or (name == b"ftyp" and stop - start > _LONGEST_TYPE):
            raise CannotSucceed("a frame is a file that has more in it than an image")
        if name == b"jp2c":
            found += _jpeg_2000(data, start, stop)
        elif name == b"jp2h":
            for inner, first, last in _boxes_in(data, start, stop):
                if inner not in _HEADER_BOXES or (inner == b"colr" and last - first + 8 > _NAMED_COLOUR):
                    raise CannotSucceed("a frame is a file that has more in its header than an image needs")
    return found


def _boxes_in(data: Buffer, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, end) of each box (T.800 I.4); padding of one byte may follow the last."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,), start = struct.unpack_from(">Q", data, start), start + 8
        stop = end if size == 0 else at + size
        if not start <= stop <= end:
            raise CannotSucceed("a frame is cut short")
        yield name, start, stop
        at = stop
    if _tells(bytes(data[at:end])):
        raise CannotSucceed("a frame is a file with bytes behind its end")
