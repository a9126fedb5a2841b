"""What a resampled slice must be, computed from the file's affine and the headers of the slices around it.

The gate's own way, which shares nothing with resample.py: that moves source slices onto a grid, this asks for each
voxel of the grid where it lies in the source. Linear between pixels and between slices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from node.imaging.attributes import Frame
from node.imaging.geometry import Floats, normal_of
from node.imaging.layout import Array

_NOTHING = 1e-4
"""A share that is none: the place of a plane is known to no more, from the float32 in the file."""

Slice = Callable[[int], Array]
"""Index of a slice -> its voxels, (rows, columns[, 3])."""


def expected_plane(
    affine: Floats, shape: tuple[int, int], k: int, places: Floats, frame: Frame, voxels: Slice, fill: float
) -> tuple[Floats, float, float]:
    """Plane `k` of a grid, interpolated from its source; and the lowest and highest finite value in it.

    affine  (4, 4) of the grid, voxel to RAS mm; its first two columns are the frame's row and column directions
    shape   (rows, columns) of the grid
    places  (slices, 3) LPS mm, the first pixel of each source slice, by height
    frame   has the orientation and the spacing of all of them
    fill    stands for what lies outside of a slice
    """
    normal = normal_of(frame.orientation)
    corner = (affine @ [0, 0, k, 1])[:3] * [-1, -1, 1]  # LPS
    heights = places @ normal
    at = float(np.interp(corner @ normal, heights, np.arange(len(heights))))
    below = min(int(at), len(heights) - 1)
    share = at - below
    total, ends = np.zeros(shape), []
    for s, weight in ((below, 1 - share), (min(below + 1, len(heights) - 1), share)):
        if weight > _NOTHING:
            source = voxels(s).astype(np.float64)
            finite = source[np.isfinite(source)]
            ends += [float(finite.min()), float(finite.max())] if finite.size else []
            plane = _plane(source, corner - places[s], affine, shape, frame, fill) * weight
            total = plane if total.shape != plane.shape else total + plane
    return total, min([*ends, fill]), max([*ends, fill])


def _plane(source: Floats, away: Floats, affine: Floats, shape: tuple[int, int], frame: Frame, fill: float) -> Floats:
    """One source slice at the voxels of the plane, which are `away` (3,) mm LPS from its first pixel."""
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    rows = (away @ column + np.arange(shape[0]) * np.linalg.norm(affine[:3, 1])) / frame.spacing[0]
    columns = (away @ row + np.arange(shape[1]) * np.linalg.norm(affine[:3, 0])) / frame.spacing[1]
    return _along(_along(source, rows, 0, fill), columns, 1, fill)


def _along(source: Floats, at: Floats, axis: int, fill: float) -> Floats:
    """Linear interpolation at the indices `at` of one axis; `fill` stands before the first and behind the last."""
    padded = np.pad(source, [(1, 1) if n == axis else (0, 0) for n in range(source.ndim)], constant_values=fill)
    last = padded.shape[axis] - 2
    first = np.clip(np.floor(at).astype(int) + 1, 0, last)
    share = np.clip(at + 1 - first, 0, 1)
    share = share.reshape([-1 if n == axis else 1 for n in range(source.ndim)])
    one, other = np.take(padded, first, axis), np.take(padded, first + 1, axis)
    # NaN and infinity are not gone by multiplying with nothing; where both have a share they are what comes of it.
    one = np.where(np.isfinite(one) | (share < 1 - _NOTHING), one, 0.0)
    other = np.where(np.isfinite(other) | (share > _NOTHING), other, 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(one * (1 - share) + other * share)
