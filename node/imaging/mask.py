"""Which pixels of a frame are made black, and the blacking itself: on samples as they are stored, nothing else touched.

A mask is an array of (rows, columns), True where a pixel goes. It holds for every frame of an instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.errors import CannotSucceed
from node.imaging.decode import lowest_bits
from node.imaging.layout import Layout

Mask = npt.NDArray[np.bool_]

LARGEST = 1 << 28
"""Pixels of a frame above which none is masked: a header of a few bytes can announce sixteen times more."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Pixels of a frame, from 0 at the top left: columns `left` to `right` - 1, rows `top` to `bottom` - 1."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Cut:
    """One area that is blacked, or that is given back after it was."""

    area: Rectangle | None
    """None for the whole frame."""
    keep: bool = False


def mask_of(cuts: Iterable[Cut], rows: int, columns: int) -> Mask:
    """The mask that cuts make, each laid over those before it; what lies outside the frame is cut off.

    Raises CannotSucceed for a frame of more than LARGEST pixels.
    """
    if rows * columns > LARGEST:
        raise CannotSucceed(f"{rows} rows x {columns} columns are too many to be masked")
    mask = np.zeros((rows, columns), np.bool_)
    for cut in cuts:
        if cut.area is None:
            mask[:] = not cut.keep
        else:
            area = cut.area
            mask[max(area.top, 0) : max(area.bottom, 0), max(area.left, 0) : max(area.right, 0)] = not cut.keep
    return mask


def outside(kept: Sequence[Rectangle], rows: int, columns: int) -> Mask:
    """The mask of everything that is in none of the rectangles."""
    return mask_of([Cut(None), *(Cut(area, keep=True) for area in kept)], rows, columns)


def has_strip(mask: Mask, rows: int, columns: int) -> bool:
    """Whether so many rows, or so many columns, that lie side by side are masked from edge to edge."""
    return _longest_run(np.all(mask, axis=1)) >= rows or _longest_run(np.all(mask, axis=0)) >= columns


def _longest_run(whole: npt.ArrayLike) -> int:
    ends = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(whole, np.int8), [0]))))
    return int((ends[1::2] - ends[0::2]).max(initial=0))


def black_stored(data: bytes, layout: Layout, mask: Mask) -> bytes:
    """Native little-endian bytes of one or more whole frames, the masked pixels black; every other bit as it was.

    Black is 0 in each sample, and in YBR the middle of the two colour samples. Where two pixels share their colour
    (YBR_FULL_422, PS3.3 C.7.6.3.1.2) both go. Raises CannotSucceed where rows do not divide into pairs.
    """
    if layout.allocated == 1:
        return _one_bit(data, layout, mask)
    stored = np.frombuffer(bytearray(data), f"<u{layout.allocated // 8}")
    rows, columns = layout.rows, layout.columns
    if layout.subsampled:
        if columns % 2:
            raise CannotSucceed(f"YBR_FULL_422 with {columns} columns, which pairs cannot make")
        middle, pairs = _black(layout)[1], stored.reshape(-1, rows, columns // 2, 4)
        for n, value in enumerate((0, 0, middle, middle)):
            np.copyto(pairs[..., n], value, where=mask[:, 0::2] | mask[:, 1::2])
    elif layout.samples == 1:
        np.copyto(stored.reshape(-1, rows, columns), 0, where=mask)
    else:
        shape = (-1, layout.samples, rows, columns) if layout.planar else (-1, rows, columns, layout.samples)
        for n, value in enumerate(_black(layout)):
            pixels = stored.reshape(shape)
            np.copyto(pixels[:, n] if layout.planar else pixels[..., n], value, where=mask)
    return stored.tobytes()


class Stencil:
    """A mask made ready to be laid over many frames of one layout: two passes over the bytes, whatever their shape.

    frames  how many whole frames there are in what it is laid over, or fewer at the end
    """

    def __init__(self, layout: Layout, mask: Mask, frames: int = 1) -> None:
        size = -(-frames * layout.frame_bits // 8)
        dark = np.frombuffer(black_stored(bytes(size), layout, mask), np.uint8)
        light = np.frombuffer(black_stored(b"\xff" * size, layout, mask), np.uint8)
        self._kept = dark ^ light  # what came through differs, what is black is the same
        self._black = dark if dark.any() else None

    def over(self, data: bytes) -> bytes:
        """The same bytes, black where the mask is. Raises CannotSucceed for more than it was made for."""
        if len(data) > self._kept.size:
            raise CannotSucceed(f"{len(data)} bytes of pixels where the header says {self._kept.size}")
        masked = np.frombuffer(data, np.uint8) & self._kept[: len(data)]
        if self._black is not None:
            masked |= self._black[: len(data)]
        return masked.tobytes()


def without_unused_bits(data: bytes, layout: Layout) -> bytes:
    """Native little-endian bytes with nothing but the value in each cell: overlays were kept above Bits Stored."""
    values = np.frombuffer(data, layout.dtype.newbyteorder("<")).astype(layout.dtype)
    return lowest_bits(values, layout.stored).astype(layout.dtype.newbyteorder("<"), copy=False).tobytes()


def _black(layout: Layout) -> tuple[int, ...]:
    if not layout.photometric.startswith("YBR"):
        return (0,) * layout.samples
    middle = 1 << (layout.stored - 1)
    return 0, middle, middle


def _one_bit(data: bytes, layout: Layout, mask: Mask) -> bytes:
    """Frames follow each other without a gap, from the lowest bit of each byte (PS3.5 8.1.1)."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    whole = bits.size // layout.frame_bits
    bits[: whole * layout.frame_bits].reshape(whole, layout.rows, layout.columns)[:, mask] = 0
    return np.packbits(bits, bitorder="little").tobytes()
