"""PNG, animated PNG and JPEG: pixels and nothing else. No text, no time, no EXIF, no software name.

PNG Specification, third edition (W3C 2025); JPEG: ITU-T T.81 with a JFIF header. Same pixels, same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np

from node.errors import CannotSucceed
from node.imaging.layout import Array

JPEG_LONGEST = 65500
"""Pixels of a side that libjpeg takes."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 3  # within 10 % of the size at 6, in half the time
_COLOUR_TYPES = {2: 0, 3: 2}  # greyscale and truecolour, by dimensions


def png(picture: Array) -> bytes:
    """(rows, columns) or (rows, columns, 3), uint8 or uint16, lossless."""
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), level=_LEVEL))


def jpeg(picture: Array, quality: int) -> bytes:
    """(rows, columns) or (rows, columns, 3), uint8; quality 1 to 100. Colour is kept at full resolution.

    Raises CannotSucceed for a picture larger than the format allows.
    """
    if max(picture.shape[:2]) > JPEG_LONGEST:
        raise CannotSucceed(f"{picture.shape[1]} x {picture.shape[0]} pixels: a JPEG has {JPEG_LONGEST} a side at most")
    whole = np.ascontiguousarray(picture)
    if picture.ndim == 2:
        return bytes(imagecodecs.jpeg8_encode(whole, level=quality))
    return bytes(
        imagecodecs.jpeg8_encode(whole, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="444")
    )


def write_animation(path: Path, pictures: Iterable[Array], milliseconds: Iterable[float], count: int) -> None:
    """Write an animated PNG that repeats for ever, picture by picture: memory for one of them.

    count  of pictures; each has a time in `milliseconds` that it stays, and all have the size of the first
    """
    with path.open("wb") as file:
        number, first = 0, None
        for picture, stays in zip(pictures, milliseconds, strict=True):
            if first is None:
                first = picture
                file.write(_SIGNATURE + _header(picture) + _chunk(b"acTL", struct.pack(">2I", count, 0)))
            if (picture.shape, picture.dtype) != (first.shape, first.dtype):
                raise CannotSucceed("frames of different sizes make no animation")
            file.write(_chunk(b"fcTL", _control(number, picture, stays)))
            number += 1
            for data in _data(png(picture)):
                if picture is first:
                    file.write(_chunk(b"IDAT", data))
                else:
                    file.write(_chunk(b"fdAT", struct.pack(">I", number) + data))
                    number += 1
        file.write(_chunk(b"IEND", b""))


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each chunk of a PNG."""
    at = len(_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _data(data: bytes) -> Iterator[bytes]:
    return (content for kind, content in chunks(data) if kind == b"IDAT")


def _header(picture: Array) -> bytes:
    rows, columns = picture.shape[:2]
    bits = 8 * picture.dtype.itemsize
    return _chunk(b"IHDR", struct.pack(">2I5B", columns, rows, bits, _COLOUR_TYPES[picture.ndim], 0, 0, 0))


def _control(number: int, picture: Array, milliseconds: float) -> bytes:
    """fcTL: the whole picture, in place of the one before. The time is a fraction of two 16-bit numbers."""
    rows, columns = picture.shape[:2]
    parts = 10_000 if milliseconds < 6_500 else 1_000
    stays = min(round(milliseconds * parts / 1_000), 65_535)
    return struct.pack(">5I2H2B", number, columns, rows, 0, 0, stays, parts, 0, 0)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
