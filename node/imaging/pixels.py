"""The header of a file, and where in the file its pixels are, so that they are read when they are wanted.

Native little-endian pixels are read from their place frame by frame; nothing else of the file is read twice.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from node.dicom.dataset import read
from node.errors import CannotSucceed
from node.imaging.decode import frames
from node.imaging.layout import LIMIT, PIXEL_KEYWORDS, Array, Layout, layout_of, pixel_keyword

_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNDEFINED = 0xFFFFFFFF
_PIXEL_TAGS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}

# What pydicom raises on bytes that are no data set, besides its own errors.
READ_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    struct.error,
    ValueError,
    TypeError,
    NotImplementedError,
    KeyError,
    AttributeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """The pixels of one file, not yet read."""

    path: Path
    layout: Layout
    start: int | None
    """Offset in the file of the pixel data's value, or None where the file must be read through (deflated)."""
    swapped: bool = False
    """Bytes in big-endian words (OW of 8-bit samples, PS3.5 8.1.2): the first of each pair stands second."""

    def frames(self, wanted: Sequence[int] | None = None) -> Iterator[Array]:
        """Decode frames (numbers from 0, all by default); see `decode.frames`. Raises CannotSucceed."""
        if self.start is None:
            yield from frames(self.layout, value_of_pixels(self.path, self.layout.keyword), wanted)
            return
        with self.path.open("rb") as file:
            if self.layout.encapsulated or self.layout.frame_bits % 8 or self.swapped:
                file.seek(self.start)
                data = file.read()
                yield from frames(self.layout, swap_words(data) if self.swapped else data, wanted)
                return
            size = self.layout.frame_bits // 8
            for n in range(self.layout.frames) if wanted is None else wanted:
                file.seek(self.start + n * size)
                yield from self._one(file.read(size), n)

    def _one(self, data: bytes, number: int) -> Iterator[Array]:
        if len(data) < self.layout.frame_bits // 8:
            raise CannotSucceed(f"frame {number + 1}: the file ends before its pixels do")
        yield from frames(self.layout, data, [0])


def read_header(path: Path, *, limit: int = LIMIT) -> tuple[FileDataset, Pixels | None]:
    """Read all elements up to the pixels, and find those; None when the instance has no pixels.

    Raises CannotSucceed when the file is no DICOM, or its Image Pixel attributes make no sense.
    """
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")  # a value that is not quite legal is no reason to stop; what we use we check
        try:
            ds = read(file, stop_before_pixels=True)
            at, tail = file.tell(), file.read(12)
            syntax = str(ds.file_meta.get("TransferSyntaxUID") or "")
        except READ_ERRORS as error:
            raise CannotSucceed(f"not readable as DICOM ({type(error).__name__})") from error
        if not syntax:
            raise CannotSucceed("no transfer syntax in the file meta information")
        if syntax == _DEFLATED:
            return ds, _deflated(path, limit)
        keyword, start, length = _element(tail, at, syntax)
        if keyword is None:
            return ds, None
        layout = layout_of(ds, syntax, keyword, limit=limit)
        if tail[4:6] == b"UN":
            layout = replace(layout, little_endian=True)  # in every transfer syntax (PS3.5 6.2.2 note 2)
        _check_length(file, layout, start, length)
        swapped = layout.allocated == 8 and not layout.little_endian and tail[4:6] == b"OW"
        return ds, Pixels(path=path, layout=layout, start=start, swapped=swapped)


def _element(tail: bytes, at: int, syntax: str) -> tuple[str | None, int, int]:
    """Which pixel data element starts at `at`, where its value starts and how long it is."""
    if len(tail) < 8:
        return None, at, 0
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    group, element = struct.unpack_from(order + "HH", tail)
    keyword = _PIXEL_TAGS.get(group << 16 | element)
    if keyword is None:
        return None, at, 0
    if tail[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN") and len(tail) == 12:
        return keyword, at + 12, int(struct.unpack_from(order + "I", tail, 8)[0])
    return keyword, at + 8, int(struct.unpack_from(order + "I", tail, 4)[0])


def _check_length(file: BinaryIO, layout: Layout, start: int, length: int) -> None:
    if layout.encapsulated != (length == _UNDEFINED):
        form = "undefined" if length == _UNDEFINED else "fixed"
        raise CannotSucceed(f"pixel data of {form} length contradict transfer syntax {layout.transfer_syntax}")
    if layout.encapsulated:
        return
    expected = -(-layout.frames * layout.frame_bits // 8)
    there = file.seek(0, 2) - start
    if min(length, there) < expected:
        raise CannotSucceed(f"{min(length, there)} bytes of pixels, {expected} expected by the header")


def _deflated(path: Path, limit: int) -> Pixels | None:
    ds = pydicom.dcmread(path)
    keyword = pixel_keyword(ds)
    if keyword is None:
        return None
    return Pixels(path=path, layout=layout_of(ds, _DEFLATED, keyword, limit=limit), start=None)


def swap_words(data: bytes, size: int = 2) -> bytes:
    """Reverse the bytes of each word of `size` bytes; what is left over at the end is dropped."""
    return np.frombuffer(data, f">u{size}", len(data) // size).astype(f"<u{size}").tobytes()


def value_of_pixels(path: Path, keyword: str) -> bytes:
    """The whole pixel data element, for a file that must be read through."""
    assert keyword in PIXEL_KEYWORDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(pydicom.dcmread(path)[keyword].value)


def as_float64(frame: Array, slope: float, intercept: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The rescaled values of a frame (PS3.3 C.11.1.1.2): stored value * slope + intercept."""
    return frame.astype(np.float64) * slope + intercept
