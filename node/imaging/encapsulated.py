"""Whether encapsulated pixel data are frames and nothing else (PS3.5 A.4), and what in the frames no decoder reads.

Fragments, tables of offsets and markers are looked at, and no frame is decoded. What could hold text and be no pixel
is an error, but for what a decoder passes over: that is given back, to be overwritten with zeros.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from node.dicom.elements import fragments
from node.dicom.encoding import Buffer
from node.dicom.uids import transfer_syntax
from node.errors import CannotSucceed
from node.imaging.markers import JPEG_2000_START, JPEG_START, Stretch, unread

_RLE, _UNCOMPRESSED, _DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
_RLE_HEADER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the header says of the frames."""

    transfer_syntax: str
    frames: int
    frame_length: int
    """Bytes of one frame without compression (PS3.5 8.1.1)."""
    planes: int
    """Bytes of one pixel: samples times bytes of each (PS3.5 G.2)."""
    offsets: bytes = b""
    """The value of Extended Offset Table (7FE0,0001)."""
    lengths: bytes = b""
    """The value of Extended Offset Table Lengths (7FE0,0002)."""


def beside_pixels(data: Buffer, value: int, end: int, expected: Expected) -> list[Stretch]:
    """The bytes that no decoder reads and that are not zero, ascending; the fragments are in [value:end].

    Raises CannotSucceed where fragments, tables or frames have something in them that is no image.
    """
    table, *parts = fragments(data, (0x7FE00010, "OB", value, value, end))
    if not parts:
        raise CannotSucceed("its pixel data have no frame")
    starts = [begin - parts[0][0] for begin, _ in parts]
    offsets = _numbers(bytes(data[table[0] : table[1]]), "<I", "its Basic Offset Table")
    extended = _numbers(expected.offsets, "<Q", "its Extended Offset Table")
    for known, what in ((offsets, "its Basic Offset Table"), (extended, "its Extended Offset Table")):
        if not set(known) <= set(starts) or any(a >= b for a, b in pairwise(known)):
            raise CannotSucceed(f"{what} has something in it that is no offset of a frame")
    frames = _frames(data, parts, starts, offsets or extended, expected)
    _check_lengths(frames, expected)
    found: list[Stretch] = []
    for frame in frames:
        found += _of_frame(data, frame, expected)
    return found


def _numbers(value: bytes, code: str, what: str) -> tuple[int, ...]:
    if len(value) % struct.calcsize(code):
        raise CannotSucceed(f"{what} has something in it that is no offset of a frame")
    return tuple(number for (number,) in struct.iter_unpack(code, value))


def _frames(
    data: Buffer, parts: Sequence[Stretch], starts: Sequence[int], offsets: Sequence[int], expected: Expected
) -> list[list[Stretch]]:
    """The fragments of each frame: by a table of offsets, or one each, or by how a codestream begins.

    Of an image of one frame too: frames that the header does not count are no rest of the first.
    """
    count = expected.frames
    if count > 1 and len(offsets) == count and offsets[0] == 0:
        places = {start: number for number, start in enumerate(starts)}
        first = {places[offset] for offset in offsets}
    elif len(parts) == count:
        first = {*range(count)}
    else:
        begins = (JPEG_START, JPEG_2000_START)
        first = {n for n, (begin, _) in enumerate(parts) if bytes(data[begin : begin + 4]).startswith(begins)}
        first |= {0} if count == 1 else set()
    found: list[list[Stretch]] = []
    for number, part in enumerate(parts):
        if number in first:
            found.append([])
        if not found:
            raise CannotSucceed("its pixel data have a fragment before the first frame")
        found[-1].append(part)
    if len(found) != count:
        raise CannotSucceed(f"its pixel data have fragments of {len(found)} frames, and the header says {count}")
    return found


def _check_lengths(frames: Sequence[Sequence[Stretch]], expected: Expected) -> None:
    if not expected.lengths:
        return
    lengths = _numbers(expected.lengths, "<Q", "its Extended Offset Table Lengths")
    real = [sum(end - begin for begin, end in frame) for frame in frames]
    if len(lengths) != len(real) or any(not has - 1 <= said <= has for said, has in zip(lengths, real, strict=True)):
        raise CannotSucceed("its Extended Offset Table Lengths are not those of its frames")


def _of_frame(data: Buffer, frame: Sequence[Stretch], expected: Expected) -> list[Stretch]:
    syntax = expected.transfer_syntax
    if syntax in (_RLE, _UNCOMPRESSED, _DEFLATED):
        if len(frame) != 1:
            raise CannotSucceed("its pixel data have fragments that belong to no frame")  # PS3.5 A.4.2, G.3
        begin, end = frame[0]
        if syntax == _RLE:
            _check_rle(bytes(data[begin:end]), expected)
        elif syntax == _DEFLATED:
            _check_deflated(bytes(data[begin:end]), expected)
        elif end - begin > expected.frame_length + expected.frame_length % 2:
            raise CannotSucceed("a frame is longer than an image of its size")
        return []
    if not transfer_syntax(syntax).known:
        raise CannotSucceed("its transfer syntax is not of the standard, so what is in its frames cannot be told")
    if len(frame) == 1:
        return unread(data, *frame[0])
    joined = b"".join(bytes(data[begin:end]) for begin, end in frame)
    return [piece for one in unread(joined, 0, len(joined)) for piece in _placed(one, frame)]


def _placed(one: Stretch, frame: Sequence[Stretch]) -> list[Stretch]:
    """A stretch of joined fragments, where it lies in each of them."""
    found, at = [], 0
    for begin, end in frame:
        first, last = max(one[0], at), min(one[1], at + end - begin)
        if first < last:
            found.append((begin + first - at, begin + last - at))
        at += end - begin
    return found


def _check_rle(frame: bytes, expected: Expected) -> None:
    """That a frame is a header and segments that end with the last pixel (PS3.5 G.3, G.5)."""
    if len(frame) < _RLE_HEADER:
        raise CannotSucceed("an RLE frame is cut short")
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != expected.planes or any(offsets[count:]) or offsets[0] != _RLE_HEADER:
        raise CannotSucceed("an RLE frame has a header that is not that of its image")
    ends = [*offsets[1:count], len(frame)]
    if any(begin > end for begin, end in zip(offsets, ends, strict=False)):
        raise CannotSucceed("an RLE frame has segments that are not in order")
    size = expected.frame_length // expected.planes
    for begin, end in zip(offsets, ends, strict=False):
        if frame[_end_of_runs(frame, begin, end, size) : end].strip(b"\0\x80"):
            raise CannotSucceed("an RLE frame has bytes behind its last pixel")


def _check_deflated(frame: bytes, expected: Expected) -> None:
    """That a frame is a stream that ends with the last pixel (PS3.5 A.4.13)."""
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        size = len(stream.decompress(frame, expected.frame_length + 2))
    except zlib.error:
        raise CannotSucceed("a frame does not inflate") from None
    if not stream.eof or size > expected.frame_length + 1 or stream.unused_data.strip(b"\0"):
        raise CannotSucceed("a deflated frame has more in it than an image of its size")


def _end_of_runs(frame: bytes, at: int, end: int, size: int) -> int:
    """Where `size` bytes have been unpacked (PS3.5 G.3.2)."""
    done = 0
    while done < size and at < end:
        code = frame[at]
        if code < 128:
            at += code + 2
            done += code + 1
        elif code > 128:
            at += 2
            done += 257 - code
        else:
            at += 1
    return at
