"""Frames of an instance as numpy arrays whose values are exactly those the sender stored.

A codec gives samples; the header says what they mean. Between the two stand the sign (JPEG-LS and lossless JPEG
know none, JPEG 2000 has its own, sometimes against the header), unused bits, colour, and the shape, which must be
what the header says or nothing is returned.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO

import imagecodecs
import numpy as np

from node.errors import CannotSucceed
from node.imaging import colour
from node.imaging.codecs import (
    DECODERS,
    JPEG_2000_COMPONENTS,
    JPEG_LOSSY,
    NATIVE_FRAMES,
    RLE,
    decoder_of,
    fallback,
    native_frame,
)
from node.imaging.codestream import Codestream, sniff
from node.imaging.fragments import Fragments
from node.imaging.layout import LIMIT, Array, Layout, layout_of, pixel_keyword
from node.pool import at_most

__all__ = ["LIMIT", "Layout", "decode_frame", "frames", "layout_of", "pixel_keyword"]

SECONDS = 300.0
"""A frame that takes longer has caught its decoder in a loop; the slowest codec does 4 GB in that time."""

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


def frames(
    layout: Layout, data: bytes | Array | Fragments, wanted: Sequence[int] | None = None, *, rgb: bool = True
) -> Iterator[Array]:
    """Decode frames one by one, in the order of `wanted` (from 0; all frames by default).

    data  the value of the pixel data element; for a compressed one it starts at the Basic Offset Table item, or is
          the fragments of an open file. An array of bytes, of a native one, is given away: a frame may lie in it
    rgb   convert YBR (PS3.3 C.7.6.3.1.2); False leaves samples as they were coded: see `photometric_of`

    Yields arrays of shape `layout.shape` and type `layout.dtype`, palette colour as its indices. Raises
    CannotSucceed, naming frame and transfer syntax.
    """
    numbers = range(layout.frames) if wanted is None else wanted
    if not layout.encapsulated:
        assert not isinstance(data, Fragments)
        for n in numbers:
            yield _native(layout, data, n, rgb=rgb)
        return
    if layout.transfer_syntax not in NATIVE_FRAMES:
        decoder_of(layout.transfer_syntax)
    fragments = _fragments(layout, data)
    if layout.transfer_syntax in JPEG_2000_COMPONENTS and layout.samples == 1:
        yield from _components(layout, fragments, numbers)
        return
    for n in numbers:
        yield decode_frame(layout, _one(layout, fragments, n), n, rgb=rgb)


def photometric_of(layout: Layout) -> str:
    """The photometric interpretation of frames that were decoded with `rgb=False`."""
    if layout.samples == 3 and layout.transfer_syntax in JPEG_LOSSY:
        return "RGB"
    return colour.stands_for(layout.photometric)


def _fragments(layout: Layout, data: bytes | Array | Fragments) -> Fragments:
    if isinstance(data, Fragments):
        return data
    try:
        found = Fragments(BytesIO(bytes(data)), 0, layout.frames)
        if layout.transfer_syntax not in JPEG_2000_COMPONENTS:
            found.walk()
    except CannotSucceed as error:
        raise CannotSucceed(f"{_where(layout)}: {error}") from None
    return found


def _one(layout: Layout, fragments: Fragments, number: int) -> bytes:
    try:
        return fragments[number]
    except CannotSucceed as error:
        raise CannotSucceed(f"{_where(layout)}, frame {number + 1}: {error}") from None


def decode_frame(layout: Layout, data: bytes, number: int = 0, *, rgb: bool = True) -> Array:
    """Decode one compressed frame; `number` (from 0) is for the message. See `frames`."""
    where = f"{_where(layout)}, frame {number + 1}"
    if layout.native:
        try:
            return _native(replace(layout, frames=1), native_frame(data, layout), 0, rgb=rgb)
        except CannotSucceed as error:
            raise CannotSucceed(f"{where}: {error}") from None
    stream = sniff(data)
    _check_stream(layout, stream, data, where)
    decoded = _decoded(layout, data, stream, where)
    if decoded.shape != layout.shape:
        raise CannotSucceed(f"{where}: decoded to {decoded.shape}, the header says {layout.shape}")
    values = _values(layout, decoded, stream.precision if stream else layout.stored, where)
    converted = layout.transfer_syntax in JPEG_LOSSY or layout.samples == 1 or not rgb
    return values if converted else _rgb(layout, values)


def _decoded(layout: Layout, data: bytes, stream: Codestream | None, where: str) -> Array:
    decoder = decoder_of(layout.transfer_syntax)
    with at_most(SECONDS):
        try:
            return decoder(data, layout, stream)
        except CannotSucceed as error:
            raise CannotSucceed(f"{where}: {error}") from None
        except CODEC_ERRORS as first:
            try:
                if layout.transfer_syntax in RLE and not isinstance(first, imagecodecs.DelayedImportError):
                    raise first  # the other decoder passes over runs that are too many
                return fallback(data, layout)
            except CODEC_ERRORS:
                raise CannotSucceed(f"{where}: cannot be decoded ({type(first).__name__})") from first


def _components(layout: Layout, fragments: Fragments, numbers: Sequence[int]) -> Iterator[Array]:
    """PS3.5 8.2.5: each codestream has some frames as its components, one after the other."""
    streams = fragments.streams()
    found: list[tuple[int, int]] = []  # by frame: its codestream and its component there
    for number, places in enumerate(streams):
        stream = sniff(fragments.read(places))
        found += [(number, n) for n in range(stream.samples if stream else 0)]
    if len(found) != layout.frames:
        raise CannotSucceed(f"{_where(layout)}: {len(found)} components in all, {layout.frames} frames in the header")
    kept: tuple[int, Array] | None = None
    for n in numbers:
        number, component = found[n]
        if kept is None or kept[0] != number:
            kept = number, _collection(layout, fragments.read(streams[number]), n)
        yield kept[1][..., component]


def _collection(layout: Layout, data: bytes, number: int) -> Array:
    where = f"{_where(layout)}, frame {number + 1}"
    stream = sniff(data)
    assert stream is not None  # it was counted by it
    together = replace(layout, samples=stream.samples)
    _check_stream(together, stream, data, where)
    decoded = _decoded(together, data, stream, where)
    if decoded.shape != together.shape:
        raise CannotSucceed(f"{where}: decoded to {decoded.shape}, the header says {together.shape}")
    values = _values(together, decoded, stream.precision, where)
    return values if values.ndim == 3 else values[..., np.newaxis]


def _check_stream(layout: Layout, stream: Codestream | None, data: bytes, where: str) -> None:
    if layout.transfer_syntax in RLE:
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


def _native(layout: Layout, data: bytes | Array, number: int, *, rgb: bool) -> Array:
    bits = layout.frame_bits
    first, last = number * bits // 8, -(-(number + 1) * bits // 8)
    if number >= layout.frames or last > len(data):
        raise CannotSucceed(f"{_where(layout)}, frame {number + 1}: {len(data)} bytes of pixels end before it does")
    if layout.allocated == 1:
        loose = np.unpackbits(np.frombuffer(data, np.uint8, last - first, first), bitorder="little")
        return loose[number * bits - first * 8 :][:bits].reshape(layout.shape)
    stored = layout.dtype.newbyteorder("<" if layout.little_endian else ">")
    flat = np.frombuffer(data, stored, bits // layout.allocated, first)
    flat = flat.astype(layout.dtype, copy=isinstance(data, bytes))
    if layout.subsampled:
        frame = colour.upsampled(flat, layout.rows, layout.columns)
    elif layout.samples > 1 and layout.planar:
        planes = flat.reshape(layout.samples, layout.rows, layout.columns)
        frame = planes.transpose(1, 2, 0).copy()  # of one pixel a view would keep its odd strides
    else:
        frame = flat.reshape(layout.shape)
    if layout.keyword == "PixelData":
        frame = lowest_bits(frame, layout.stored)
    return _rgb(layout, frame) if rgb and layout.samples > 1 else frame


def _rgb(layout: Layout, frame: Array) -> Array:
    try:
        return colour.rgb(layout.photometric, frame, layout.stored)
    except CannotSucceed as error:
        raise CannotSucceed(f"{_where(layout)}: {error}") from None


def _where(layout: Layout) -> str:
    known = "" if layout.native or layout.transfer_syntax in DECODERS else " (unknown)"
    return f"transfer syntax {layout.transfer_syntax}{known}"
