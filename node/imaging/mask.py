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
from node.imaging.layout import Array, Layout

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
        middle = _black(layout)[1]
        stored.reshape(-1, rows, columns // 2, 4)[:, mask[:, 0::2] | mask[:, 1::2]] = (0, 0, middle, middle)
    elif layout.samples == 1:
        stored.reshape(-1, rows, columns)[:, mask] = 0
    elif layout.planar:
        planes = stored.reshape(-1, layout.samples, rows, columns)
        for n, value in enumerate(_black(layout)):
            planes[:, n, mask] = value
    else:
        stored.reshape(-1, rows, columns, layout.samples)[:, mask] = _black(layout)
    return stored.tobytes()


def black_decoded(frame: Array, layout: Layout, mask: Mask) -> Array:
    """The same for one decoded frame of shape `layout.shape`; a codec's array may be read-only, so it is copied."""
    masked = frame.copy()
    masked[mask] = 0 if layout.samples == 1 else np.array(_black(layout), frame.dtype)
    return masked


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
