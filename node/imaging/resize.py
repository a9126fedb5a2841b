"""Pictures of another size: each new pixel is the mean of the area it covers, or lies on the line between two old ones.

Done axis by axis. Centres of pixels keep their place: the middle of the picture stays its middle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from node.imaging.layout import Array

_Floats = npt.NDArray[np.float64]


def resized(picture: Array, rows: int, columns: int) -> Array:
    """(rows, columns[, 3]) of uint8 or uint16, in the new size and the same type."""
    if picture.shape[:2] == (rows, columns):
        return picture
    # The axis that shrinks first: less to do for the other one.
    order = (0, 1) if rows * picture.shape[1] <= columns * picture.shape[0] else (1, 0)
    found: _Floats = picture.astype(np.float64)
    for axis in order:
        found = _along(found, axis, (rows, columns)[axis])
    return np.asarray(np.rint(found).astype(picture.dtype))


def _along(values: _Floats, axis: int, count: int) -> _Floats:
    old = values.shape[axis]
    if count == old:
        return values
    turned = np.moveaxis(values, axis, 0)
    return np.moveaxis(_means(turned, count) if count < old else _between(turned, count), 0, axis)


def _means(values: _Floats, count: int) -> _Floats:
    """Fewer: sums up to any place between two pixels, then the difference of those at the ends of each new pixel."""
    old = len(values)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    ends = np.arange(count + 1) * (old / count)
    whole = np.minimum(ends.astype(np.intp), old)
    part = (ends - whole).reshape(-1, *[1] * (values.ndim - 1))
    up_to = sums[whole] + part * values[np.minimum(whole, old - 1)]
    return np.asarray(np.diff(up_to, axis=0) * (count / old))


def _between(values: _Floats, count: int) -> _Floats:
    """More: linear between the centres of old pixels, the outer ones continued to the edge."""
    old = len(values)
    at = np.clip((np.arange(count) + 0.5) * (old / count) - 0.5, 0, old - 1)
    low = np.minimum(at.astype(np.intp), max(old - 2, 0))
    part = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] * (1 - part) + values[np.minimum(low + 1, old - 1)] * part)


def within(rows: int, columns: int, longest: int) -> tuple[int, int]:
    """The size whose longer side is `longest` at most, in the same proportion; 0 for no limit. Never larger."""
    most = max(rows, columns)
    if not longest or most <= longest:
        return rows, columns
    return max(1, round(rows * longest / most)), max(1, round(columns * longest / most))


def square(rows: int, columns: int, aspect: float) -> tuple[int, int]:
    """The size in which pixels are square. The side whose pixels are too long grows; the other one stays.

    aspect  height of a pixel divided by its width
    """
    if aspect > 1:
        return max(1, round(rows * aspect)), columns
    return rows, max(1, round(columns / aspect))


def montage(tiles: list[Array]) -> Array:
    """Tiles of any sizes on one sheet, row by row, in the order they are in, each in the middle of its black field.

    tiles  (rows, columns) or (rows, columns, 3), all uint8 or all uint16; the sheet is colour when one of them is
    """
    across = columns_of(len(tiles))
    down = -(-len(tiles) // across)
    rows, columns = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    colour = (3,) if any(t.ndim == 3 for t in tiles) else ()
    sheet = np.zeros((down * rows, across * columns, *colour), tiles[0].dtype)
    for n, tile in enumerate(tiles):
        if colour and tile.ndim == 2:
            tile = np.repeat(tile[..., np.newaxis], 3, axis=-1)
        top = n // across * rows + (rows - tile.shape[0]) // 2
        left = n % across * columns + (columns - tile.shape[1]) // 2
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def columns_of(tiles: int) -> int:
    """How many tiles stand beside each other: as many as rows, or one or two more."""
    return max(1, int(np.ceil(np.sqrt(tiles))))
