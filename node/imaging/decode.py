"""Frames of an instance as numpy arrays whose values are exactly those the sender stored.

A codec gives samples; the header says what they mean. Between the two stand the sign (JPEG-LS and lossless JPEG
know none, JPEG 2000 has its own, sometimes against the header), unused bits, colour, and the shape, which must be
what the header says or nothing is returned.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import imagecodecs
import numpy as np
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import convert_color_space

from node.errors import CannotSucceed
from node.imaging.codecs import DECODERS, JPEG_LOSSY, can_decode, decoder_of, fallback
from node.imaging.codestream import Codestream, sniff
from node.imaging.layout import LIMIT, Array, Layout, layout_of, pixel_keyword

__all__ = ["LIMIT", "Layout", "can_decode", "compressed_frames", "decode_frame", "frames", "layout_of", "pixel_keyword"]

# What codecs raise on bytes that are not what they claim: imagecodecs' own errors are RuntimeErrors, pydicom's and
# pylibjpeg's plug-ins let the rest through. No OSError: a codec that touches a file is a bug.
CODEC_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    imagecodecs.DelayedImportError,
)


def frames(layout: Layout, data: bytes, wanted: Sequence[int] | None = None) -> Iterator[Array]:
    """Decode frames one by one, in the order of `wanted` (from 0; all frames by default).

    data  the value of the pixel data element; for a compressed one it starts at the Basic Offset Table item

    Yields arrays of shape `layout.shape` and type `layout.dtype`, colour as RGB (YBR is converted, PS3.3
    C.7.6.3.1.2), palette colour as its indices. Raises CannotSucceed, naming frame and transfer syntax.
    """
    numbers = range(layout.frames) if wanted is None else wanted
    if not layout.encapsulated:
        for n in numbers:
            yield _native(layout, data, n)
        return
    compressed = compressed_frames(layout, data)
    for n in numbers:
        yield decode_frame(layout, compressed[n], n)


def compressed_frames(layout: Layout, data: bytes) -> list[bytes]:
    """Cut encapsulated pixel data into frames, each of one or many fragments, with or without offset table.

    Raises CannotSucceed when there are fewer or more frames than the header says (PS3.5 A.4).
    """
    decoder_of(layout.transfer_syntax)
    try:
        found = list(generate_frames(data, number_of_frames=layout.frames))
    except (ValueError, EOFError, struct.error, IndexError) as error:
        raise CannotSucceed(f"{_where(layout)}: fragments are not well formed ({type(error).__name__})") from error
    if len(found) != layout.frames:
        raise CannotSucceed(f"{_where(layout)}: {len(found)} frames found, {layout.frames} in the header")
    return found


def coded_frames(layout: Layout, file: BinaryIO) -> Iterator[bytes]:
    """The same, read from a file that stands at the pixel data's value, one frame in memory at a time.

    Raises CannotSucceed where the count is wrong: after the last frame, or before the one that is too many.
    """
    decoder_of(layout.transfer_syntax)
    count = 0
    try:
        for data in generate_frames(file, number_of_frames=layout.frames):
            count += 1
            if count > layout.frames:
                break
            yield data
    except (ValueError, EOFError, struct.error, IndexError) as error:
        raise CannotSucceed(f"{_where(layout)}: fragments are not well formed ({type(error).__name__})") from error
    if count != layout.frames:
        raise CannotSucceed(f"{_where(layout)}: {count} frames found, {layout.frames} in the header")


def decode_frame(layout: Layout, data: bytes, number: int = 0) -> Array:
    """Decode one compressed frame; `number` (from 0) is for the message. See `frames`."""
    where = f"{_where(layout)}, frame {number + 1}"
    decoder, stream = decoder_of(layout.transfer_syntax), sniff(data)
    _check_stream(layout, stream, data, where)
    try:
        decoded, rgb = decoder(data, layout, stream), layout.transfer_syntax in JPEG_LOSSY
    except CODEC_ERRORS as first:
        try:
            decoded, rgb = fallback(data, layout), True
        except CODEC_ERRORS:
            raise CannotSucceed(f"{where}: cannot be decoded ({type(first).__name__})") from first
    if decoded.shape != layout.shape:
        raise CannotSucceed(f"{where}: decoded to {decoded.shape}, the header says {layout.shape}")
    values = _values(layout, decoded, stream.precision if stream else layout.stored, where)
    return values if rgb else _rgb(layout, values)


def _check_stream(layout: Layout, stream: Codestream | None, data: bytes, where: str) -> None:
    if layout.transfer_syntax == "1.2.840.10008.1.2.5":
        return
    if stream is None:
        raise CannotSucceed(f"{where}: no frame header found in its {len(data)} bytes")
    announced = (stream.rows, stream.columns, stream.samples)
    if announced != (layout.rows, layout.columns, layout.samples):
        expected = (layout.rows, layout.columns, layout.samples)
        raise CannotSucceed(f"{where}: announces rows, columns, samples {announced}, the header says {expected}")
    # libjpeg fills what is missing with grey and says nothing; all these end with FFD9, then padding at most.
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-32:]:
        raise CannotSucceed(f"{where}: is cut short, its end marker is missing")


def _values(layout: Layout, decoded: Array, precision: int, where: str) -> Array:
    """Take the lowest bits of each sample, with the sign that the header declares."""
    if decoded.dtype.kind not in "iu":
        raise CannotSucceed(f"{where}: decoded to {decoded.dtype}, not to whole numbers")
    if precision > layout.stored:
        _check_surplus(layout, decoded, where)
    bits = min(precision, layout.stored)
    if decoded.dtype == layout.dtype and bits == 8 * layout.dtype.itemsize:
        return decoded
    if decoded.dtype.itemsize > layout.dtype.itemsize and precision > 8 * layout.dtype.itemsize:
        raise CannotSucceed(f"{where}: {precision}-bit samples do not fit {layout.allocated} 'Bits Allocated'")
    return lowest_bits(decoded.astype(layout.dtype), bits)


def _check_surplus(layout: Layout, decoded: Array, where: str) -> None:
    """Bits above Bits Stored must be a sign or zero: a codestream, unlike native pixels, has nothing else there."""
    above = decoded.astype(np.int64) >> layout.stored
    sign = (1 << (8 * decoded.dtype.itemsize - layout.stored)) - 1  # all ones, in a type without sign
    if not np.isin(above, (0, -1, sign) if layout.signed else (0,)).all():
        raise CannotSucceed(f"{where}: values need more than the {layout.stored} 'Bits Stored'")


def lowest_bits(values: Array, bits: int) -> Array:
    """Clear (unsigned) or sign-extend (signed) everything above the lowest `bits`; `values` is overwritten."""
    shift = 8 * values.dtype.itemsize - bits
    if shift:
        np.left_shift(values, shift, out=values)
        np.right_shift(values, shift, out=values)
    return values


def _native(layout: Layout, data: bytes, number: int) -> Array:
    bits = layout.frame_bits
    first, last = number * bits // 8, -(-(number + 1) * bits // 8)
    if number >= layout.frames or last > len(data):
        raise CannotSucceed(f"{_where(layout)}, frame {number + 1}: {len(data)} bytes of pixels end before it does")
    if layout.allocated == 1:
        loose = np.unpackbits(np.frombuffer(data, np.uint8, last - first, first), bitorder="little")
        return loose[number * bits - first * 8 :][:bits].reshape(layout.shape)
    stored = layout.dtype.newbyteorder("<" if layout.little_endian else ">")
    flat = np.frombuffer(data, stored, bits // layout.allocated, first).astype(layout.dtype)
    if layout.subsampled:
        return _rgb(layout, _upsampled(layout, flat))
    if layout.samples > 1 and layout.planar:
        planes = flat.reshape(layout.samples, layout.rows, layout.columns)
        frame = np.ascontiguousarray(planes.transpose(1, 2, 0))
    else:
        frame = flat.reshape(layout.shape)
    if layout.keyword == "PixelData":
        frame = lowest_bits(frame, layout.stored)
    return _rgb(layout, frame)


def _upsampled(layout: Layout, flat: Array) -> Array:
    """Y1 Y2 Cb Cr for each pair of pixels of a row (PS3.3 C.7.6.3.1.2 YBR_FULL_422) -> three samples per pixel."""
    if layout.columns % 2:
        raise CannotSucceed(f"{_where(layout)}: YBR_FULL_422 with {layout.columns} columns, which pairs cannot make")
    pairs = flat.reshape(layout.rows, layout.columns // 2, 4)
    full = np.empty((layout.rows, layout.columns, 3), flat.dtype)
    full[:, 0::2, 0], full[:, 1::2, 0] = pairs[:, :, 0], pairs[:, :, 1]
    full[:, :, 1:] = np.repeat(pairs[:, :, 2:], 2, axis=1)
    return full


def _rgb(layout: Layout, frame: Array) -> Array:
    if layout.photometric not in ("YBR_FULL", "YBR_FULL_422"):
        return frame
    if frame.dtype != np.uint8:
        raise CannotSucceed(f"{_where(layout)}: {layout.photometric} of {layout.allocated} bits is not converted")
    return np.asarray(convert_color_space(frame, layout.photometric, "RGB", per_frame=True))


def _where(layout: Layout) -> str:
    known = "" if not layout.encapsulated or layout.transfer_syntax in DECODERS else " (unknown)"
    return f"transfer syntax {layout.transfer_syntax}{known}"
