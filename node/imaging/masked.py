"""One instance from file to file with the pixels of a mask black, frame by frame; all others stay as they were.

Pixels that are not compressed are edited where they are stored. Compressed frames are decoded and compressed again,
each on its own and without loss (lossless.py); where one of them cannot be, all are written without compression.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from node.dicom.damage import UNREADABLE
from node.errors import CannotSucceed
from node.imaging.codecs import JPEG_2000_COMPONENTS
from node.imaging.compress import remove_offset_tables
from node.imaging.decode import photometric_of
from node.imaging.layout import LIMIT, Layout
from node.imaging.lossless import Recoding, UnfitError, encapsulate, recoding
from node.imaging.mask import Mask, Stencil, without_unused_bits
from node.imaging.pixels import Pixels, read_header, swap_words, value_of_pixels
from node.imaging.transcode import (
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    LONGEST_VALUE,
    holders,
    mark_lossy,
    parse_all,
)

_TAGS = {"PixelData": 0x7FE00010, "FloatPixelData": 0x7FE00008, "DoubleFloatPixelData": 0x7FE00009}


def write_masked(
    source: Path,
    target: Path,
    mask: Mask,
    change: Callable[[Dataset], None],
    *,
    clear_unused_bits: bool = False,
    limit: int = LIMIT,
) -> int:
    """Write `source` to `target` with the masked pixels of every frame black; returns the number of frames.

    mask     (rows, columns) of the image
    change   is given the header that will be written, to say in it what was done
    clear_unused_bits  also clear what stands above Bits Stored in each cell, where the pixels are not compressed
    limit    bytes that the decoded pixels may take; one frame of them is in memory at a time

    Implicit and explicit little endian stay what they are; big endian and deflated become explicit little endian. What
    is compressed without loss stays in its transfer syntax, what lossy coding had left goes into the lossless one that
    `LOSSLESS_OF` names, with RGB where a codec makes it of YBR. What follows the pixels in the data set is not written.
    Raises CannotSucceed, and then leaves no `target`.
    """
    try:
        ds, pixels = _checked(source, mask, limit)
        frames = pixels.layout.frames
        how = recoding(_decoded_layout(pixels.layout), pixels.layout.transfer_syntax)
        if how is not None:
            try:
                _write_coded(ds, pixels, mask, how, target, change)
            except UnfitError:
                ds, pixels = _checked(source, mask, limit)  # the header says something else by now
            else:
                return frames
        if pixels.layout.encapsulated:
            chunks: Iterator[bytes] = _decoded(pixels, mask)
        else:
            chunks = _native(pixels, mask, clear_unused_bits=clear_unused_bits)
        _write(ds, _as_written(ds, pixels), chunks, target, change)
    except UNREADABLE as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise
        raise CannotSucceed(f"cannot be written with masked pixels ({type(error).__name__})") from error
    except CannotSucceed:
        target.unlink(missing_ok=True)
        raise
    return frames


def _checked(source: Path, mask: Mask, limit: int) -> tuple[FileDataset, Pixels]:
    ds, pixels = read_header(source, limit=limit)
    if pixels is None:
        raise CannotSucceed("it has no pixels to mask")
    if any(True for _ in holders(ds)):
        raise CannotSucceed("it has another image within a sequence, to which no mask applies")
    shape = (pixels.layout.rows, pixels.layout.columns)
    if mask.shape != shape:
        raise CannotSucceed(f"a mask of {mask.shape} for {shape[0]} rows x {shape[1]} columns")
    if pixels.layout.encapsulated:
        _check_count(pixels)
    return ds, pixels


def _check_count(pixels: Pixels) -> None:
    """Frames that the header does not announce would be left out without a word."""
    layout = pixels.layout
    if layout.transfer_syntax in JPEG_2000_COMPONENTS:
        return  # a codestream has several frames there; they are counted when they are decoded
    with pixels.path.open("rb") as file:
        fragments = pixels.fragments(file)
        found = len(fragments.walk()) if layout.frames > 1 else len(fragments.streams())
    if found != layout.frames:
        raise CannotSucceed(f"{found} frames found, {layout.frames} in the header")


def _photometric(layout: Layout) -> str:
    """Lossless codecs give YBR samples as they were coded, and so they stay: the way to RGB would round them."""
    return photometric_of(layout) if layout.encapsulated else layout.photometric


def _decoded_layout(layout: Layout) -> Layout:
    return replace(layout, photometric=_photometric(layout), planar=False, encapsulated=False)


def _decoded(pixels: Pixels, mask: Mask) -> Iterator[bytes]:
    layout = pixels.layout
    stencil, little = Stencil(_decoded_layout(layout), mask), layout.dtype.newbyteorder("<")
    for frame in pixels.frames(rgb=False):
        yield stencil.over(frame.astype(little, copy=False).tobytes())


def _native(pixels: Pixels, mask: Mask, *, clear_unused_bits: bool) -> Iterator[bytes]:
    layout = pixels.layout
    if layout.allocated == 1 and not layout.little_endian:
        raise CannotSucceed("pixels of one bit in big endian: where each of them is cannot be told with certainty")
    # As few frames as end on a byte, or on a word where words are turned.
    at_once = next(n for n in (1, 2, 4, 8, 16) if n * layout.frame_bits % (16 if pixels.swapped else 8) == 0)
    stencil = Stencil(layout, mask, at_once)
    clear = clear_unused_bits and layout.keyword == "PixelData" and 1 < layout.stored < layout.allocated
    for chunk in _stored(pixels, at_once):
        masked = stencil.over(chunk)
        yield without_unused_bits(masked, layout) if clear else masked


def _stored(pixels: Pixels, at_once: int) -> Iterator[bytes]:
    """The bytes of `at_once` frames as little endian, fewer at the end."""
    layout = pixels.layout
    with _opened(pixels) as file:
        for first in range(0, layout.frames, at_once):
            bits = min(at_once, layout.frames - first) * layout.frame_bits
            size = -(-bits // 8)
            data = file.read(size + size % 2 if pixels.swapped else size)
            if len(data) < size:
                raise CannotSucceed(f"frame {first + 1}: the file ends before its pixels do")
            if pixels.swapped:
                data = swap_words(data)[:size]
            elif not layout.little_endian and layout.allocated > 8:
                data = swap_words(data, layout.allocated // 8)
            yield data


def _opened(pixels: Pixels) -> BinaryIO:
    if pixels.start is None:  # deflated: there is no place in the file
        return BytesIO(value_of_pixels(pixels.path, pixels.layout.keyword, pixels.limit))
    file = pixels.path.open("rb")
    file.seek(pixels.start)
    return file


def _as_written(ds: FileDataset, pixels: Pixels, how: Recoding | None = None) -> Layout:
    """Make the header say how the pixels will be stored."""
    layout, same = pixels.layout, (IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN)
    syntax = layout.transfer_syntax if layout.transfer_syntax in same else EXPLICIT_LITTLE_ENDIAN
    if syntax != IMPLICIT_LITTLE_ENDIAN and any(
        getattr(ds.get_item(tag), "VR", None) is None for tag in list(ds.keys())
    ):
        parse_all(ds)  # some files are implicit whatever they say
    if layout.encapsulated:
        remove_offset_tables(ds)
        if layout.samples > 1:
            ds.PhotometricInterpretation = _photometric(layout) if how is None else how.photometric
            ds.PlanarConfiguration = 0
        with pixels.path.open("rb") as file:
            mark_lossy(ds, layout, pixels.fragments(file))
    ds.file_meta.TransferSyntaxUID = UID(syntax if how is None else how.syntax)
    return replace(layout, transfer_syntax=syntax, photometric=_photometric(layout), encapsulated=False)


def _write(
    ds: FileDataset, layout: Layout, chunks: Iterator[bytes], target: Path, change: Callable[[Dataset], None]
) -> None:
    length = -(-layout.frames * layout.frame_bits // 8)
    if length > LONGEST_VALUE:
        raise CannotSucceed(f"{length} bytes of pixels do not fit one element of {LONGEST_VALUE}")
    implicit = layout.transfer_syntax == IMPLICIT_LITTLE_ENDIAN
    _write_header(ds, target, change, implicit=implicit)
    written = 0
    with target.open("ab") as file:
        file.write(_head(layout, length + length % 2, implicit=implicit))
        for chunk in chunks:
            written += file.write(chunk)
        file.write(bytes(length % 2))
    if written != length:
        raise CannotSucceed(f"{written} bytes of pixels were made, and the header says {length}")


def _write_header(ds: FileDataset, target: Path, change: Callable[[Dataset], None], *, implicit: bool) -> None:
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # values that are not quite legal pass through as they came
        change(ds)
        dcmwrite(target, ds, implicit_vr=implicit, little_endian=True)


def _write_coded(
    ds: FileDataset, pixels: Pixels, mask: Mask, how: Recoding, target: Path, change: Callable[[Dataset], None]
) -> None:
    """Raises UnfitError where a frame cannot be compressed."""
    layout = pixels.layout
    _as_written(ds, pixels, how)
    _write_header(ds, target, change, implicit=False)
    little = layout.dtype.newbyteorder("<")
    with target.open("r+b") as file:
        file.seek(0, 2)
        frames = (
            np.frombuffer(chunk, little).reshape(layout.shape).astype(layout.dtype, copy=False)
            for chunk in _decoded(pixels, mask)
        )
        encapsulate(file, layout.frames, (how.encode(frame, number) for number, frame in enumerate(frames)))


def _head(layout: Layout, length: int, *, implicit: bool) -> bytes:
    tag = _TAGS[layout.keyword]
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", length)
    vr = {"FloatPixelData": b"OF", "DoubleFloatPixelData": b"OD"}.get(layout.keyword)
    return head + struct.pack("<2sHI", vr or (b"OB" if layout.allocated <= 8 else b"OW"), 0, length)
