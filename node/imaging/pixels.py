"""The header of a file, and where in the file its pixels are, so that they are read when they are wanted.

Pixels are read from their place frame by frame, native ones and fragments; nothing else of the file is read twice.
"""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset

from node.dicom.damage import UNREADABLE
from node.dicom.dataset import read
from node.dicom.encoding import inflate
from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.imaging import encoded
from node.imaging.decode import frames
from node.imaging.fragments import Fragments
from node.imaging.layout import LIMIT, Array, Layout, layout_of, pixel_keyword
from node.imaging.places import Unusual
from node.imaging.reading import Attributes

DEFLATED = "1.2.840.10008.1.2.1.99"
_UNDEFINED = 0xFFFFFFFF
T = TypeVar("T")
HEADER_LIMIT = 64 * 1024**2
"""Bytes that a deflated data set may have beside its pixels."""
_PIXEL_TAGS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """The pixels of one file, not yet read."""

    path: Path
    layout: Layout
    start: int | None
    """Offset in the file of the pixel data's value, or None where the file must be read through (deflated)."""
    swapped: bool = False
    """Bytes in big-endian words (OW of 8-bit samples, PS3.5 8.1.2): the first of each pair stands second."""
    limit: int = LIMIT
    """Bytes that the pixels of a deflated data set may have."""
    offsets: bytes = b""
    """The value of Extended Offset Table (7FE0,0001), where there is one."""

    def frames(self, wanted: Sequence[int] | None = None, *, rgb: bool = True) -> Iterator[Array]:
        """Decode frames (numbers from 0, all by default); see `decode.frames`. Of the file no more is read than they
        need, but where the whole data set is deflated. Raises CannotSucceed."""
        if self.start is None:
            whole = value_of_pixels(self.path, self.layout.keyword, self.limit)
            yield from frames(self.layout, whole, wanted, rgb=rgb)
            return
        with self.path.open("rb") as file:
            if self.layout.encapsulated:
                yield from frames(self.layout, self.fragments(file), wanted, rgb=rgb)
                return
            for n in range(self.layout.frames) if wanted is None else wanted:
                yield from self._native(file, self.start, n, rgb)

    def fragments(self, file: BinaryIO) -> Fragments:
        """Where the compressed frames are in the open file. Raises CannotSucceed."""
        assert self.start is not None
        try:
            return Fragments(file, self.start, self.layout.frames, self.offsets)
        except CannotSucceed as error:
            raise CannotSucceed(f"transfer syntax {self.layout.transfer_syntax}: {error}") from None

    def _native(self, file: BufferedReader, start: int, number: int, rgb: bool) -> Iterator[Array]:
        """One frame from the bytes that it lies in; frames of one-bit pixels need not begin on a byte."""
        bits = self.layout.frame_bits
        first, last = number * bits // 8, -(-(number + 1) * bits // 8)
        words = first // 2 * 2 if self.swapped else first
        file.seek(start + words)
        if not self.swapped and not number * bits % 8:
            room = np.empty(last - first, np.uint8)
            if file.readinto(room.data) < last - first:
                raise CannotSucceed(f"frame {number + 1}: the file ends before its pixels do")
            yield from frames(self.layout, room, [0], rgb=rgb)
            return
        data = file.read(last + (last % 2 if self.swapped else 0) - words)
        if self.swapped:
            data = swap_words(data)
        data = data[first - words :]
        if len(data) < last - first:
            raise CannotSucceed(f"frame {number + 1}: the file ends before its pixels do")
        loose = number * bits % 8
        if loose:
            # Its bits to the front of the bytes that it does not have for itself.
            shifted = int.from_bytes(data, "little") >> loose
            data = shifted.to_bytes(len(data), "little")
        yield from frames(self.layout, data, [0], rgb=rgb)


def read_header(path: Path, *, limit: int = LIMIT) -> tuple[FileDataset, Pixels | None]:
    """Read all elements up to the pixels, and find those; None when the instance has no pixels.

    Raises CannotSucceed when the file is no DICOM, or its Image Pixel attributes make no sense.
    """
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")  # a value that is not quite legal is no reason to stop; what we use we check
        try:
            if transfer_syntax_in(file) == DEFLATED:
                return _deflated(path, limit)
            ds = read(file, stop_before_pixels=True)
            at, tail = file.tell(), file.read(12)
            syntax = str(ds.file_meta.get("TransferSyntaxUID") or "")
        except UNREADABLE as error:
            raise CannotSucceed(f"not readable as DICOM ({type(error).__name__})") from error
        if not syntax:
            raise CannotSucceed("no transfer syntax in the file meta information")
        return ds, _pixels(file, ds, syntax, at, tail, limit)


def of_header(path: Path, question: Callable[[Attributes, Pixels | None], T]) -> T:
    """What `question` finds in the header that `read_header` reads, and about the pixels. Where the faster way to read
    it does not do, it is read anew and the question asked again; the answers are the same.

    Raises CannotSucceed as `read_header` does, and what the question raises.
    """
    # pydicom parses on first use and warns with the value in the text, which no log may carry.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Unusual), path.open("rb", buffering=0) as file:
            quick, syntax, at, tail = encoded.read(file)
            return question(quick, _pixels(file, quick, syntax, at, tail, LIMIT))
        return question(*read_header(path))


def _pixels(file: BinaryIO, ds: Attributes, syntax: str, at: int, tail: bytes, limit: int) -> Pixels | None:
    """The pixels of an open file whose header ends at `at`; `tail` is what follows it."""
    keyword, start, length = _element(tail, at, syntax)
    if keyword is None:
        return None
    layout = layout_of(ds, syntax, keyword, limit=limit)
    if tail[4:6] == b"UN":
        layout = replace(layout, little_endian=True)  # in every transfer syntax (PS3.5 6.2.2 note 2)
    _check_length(file, layout, start, length)
    swapped = layout.allocated == 8 and not layout.little_endian and tail[4:6] == b"OW"
    offsets = bytes(ds.get("ExtendedOffsetTable") or b"")
    return Pixels(path=Path(file.name), layout=layout, start=start, swapped=swapped, limit=limit, offsets=offsets)


def has_pixels(path: Path) -> bool:
    """Whether a file that is not deflated has a pixel data element. Raises CannotSucceed when it is no DICOM."""
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        try:
            ds = read(file, stop_before_pixels=True)
            at, tail = file.tell(), file.read(12)
        except UNREADABLE as error:
            raise CannotSucceed(f"not readable as DICOM ({type(error).__name__})") from error
    return _element(tail, at, str(ds.file_meta.get("TransferSyntaxUID") or ""))[0] is not None


def transfer_syntax_in(file: BinaryIO) -> str:
    """By the file meta information; "" where there is none that can be read."""
    try:
        return read_meta(file).transfer_syntax
    except CannotSucceed:
        return ""


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


def _deflated(path: Path, limit: int) -> tuple[FileDataset, Pixels | None]:
    """The header of a deflated data set, which is inflated to be read, and once more for its pixels."""
    ds = inflated(path, limit + HEADER_LIMIT)
    keyword = pixel_keyword(ds)
    if keyword is None:
        return ds, None
    layout = layout_of(ds, DEFLATED, keyword, limit=limit)
    del ds[keyword]
    return ds, Pixels(path=path, layout=layout, start=None, limit=limit)


def inflated(path: Path, limit: int) -> FileDataset:
    """A data set that is deflated as a whole, of at most `limit` bytes: 1 KB may inflate to 1 MB. Raises Malformed, and
    what pydicom does."""
    meta = read_meta(path)
    data = path.read_bytes()
    head = pydicom.dcmread(BytesIO(data[: meta.dataset_offset]))
    plain = BytesIO(inflate(memoryview(data)[meta.dataset_offset :], limit))
    found = read_dataset(plain, is_implicit_VR=False, is_little_endian=True)
    ds = FileDataset(str(path), found, head.preamble, head.file_meta, is_implicit_VR=False, is_little_endian=True)
    ds.set_original_encoding(False, True, found.original_character_set)
    return ds


def swap_words(data: bytes, size: int = 2) -> bytes:
    """Reverse the bytes of each word of `size` bytes; what is left over at the end is dropped."""
    return np.frombuffer(data, f">u{size}", len(data) // size).astype(f"<u{size}").tobytes()


def value_of_pixels(path: Path, keyword: str, limit: int) -> bytes:
    """The whole pixel data element of a deflated file, of at most `limit` bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(inflated(path, limit + HEADER_LIMIT)[keyword].value)


def as_float64(frame: Array, slope: float, intercept: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The rescaled values of a frame (PS3.3 C.11.1.1.2): stored value * slope + intercept."""
    return frame.astype(np.float64) * slope + intercept
