"""A tilted or uneven stack onto a grid at right angles with one distance between slices, by linear interpolation.

Slices stay parallel to themselves. A tilt moves each of them in its own plane by a part of a pixel; where distances
differ, a new slice is mixed from its two neighbours. Nothing is cut off: the grid grows to where the slices lie, and
what no slice covers has the lowest value of the volume. One plane at a time is in memory beside the source.

Between pixel centres this is what ITK's linear interpolator gives on the same grid, without its 100 MB and the whole
volume in floats. Beyond the outermost centres it fades into that lowest value within a pixel, where ITK repeats the
edge for half a pixel and then stops: a jump that would depend on the last digit of a position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from node.errors import CannotSucceed
from node.imaging.geometry import LPS_TO_RAS, Floats, normal_of
from node.imaging.layout import Array
from node.imaging.volumes import Volume

_SAME = 1e-6
"""A part of a pixel, or of a distance, below which nothing has to be interpolated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the planes of a volume go."""

    affine: Floats
    """(4, 4), voxel (column, row, slice) to RAS, mm."""
    columns: int
    rows: int
    across: Floats
    """(slices,) columns by which each source slice is moved, 0 or more; `down` the rows."""
    down: Floats
    parts: tuple[tuple[tuple[int, float], ...], ...]
    """For each plane of the grid its source slices with their weights, which add up to 1."""

    @property
    def slices(self) -> int:
        return len(self.parts)


def grid_of(volume: Volume, rows: int, columns: int) -> Grid:
    """The grid for `volume`, whose frames have so many rows and columns."""
    first = volume.frames[0]
    normal = normal_of(first.orientation)
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    moved = volume.places - volume.places[0]
    across, down, heights = moved @ row / first.spacing[1], moved @ column / first.spacing[0], moved @ normal
    left, top = np.floor(across.min() + _SAME), np.floor(down.min() + _SAME)
    distance = float(np.median(np.diff(heights)))
    uniform = np.allclose(np.diff(heights), distance, atol=1e-3)
    if uniform:
        distance = float(heights[-1] / (len(heights) - 1))
        wanted = heights
    else:
        # The last plane may lie behind the last slice, which it then repeats: nothing is cut off.
        wanted = np.arange(np.ceil(heights[-1] / distance - _SAME) + 1) * distance
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1], lps[:3, 2] = row * first.spacing[1], column * first.spacing[0], normal * distance
    lps[:3, 3] = volume.places[0] + row * first.spacing[1] * left + column * first.spacing[0] * top
    return Grid(
        affine=np.asarray(LPS_TO_RAS @ lps),
        columns=columns + int(np.ceil((across - left).max() - _SAME)),
        rows=rows + int(np.ceil((down - top).max() - _SAME)),
        across=across - left,
        down=down - top,
        parts=tuple(_parts(float(height), heights) for height in wanted),
    )


def _parts(height: float, heights: Floats) -> tuple[tuple[int, float], ...]:
    k = int(np.clip(np.searchsorted(heights, height) - 1, 0, len(heights) - 2))
    share = float(np.clip((height - heights[k]) / (heights[k + 1] - heights[k]), 0, 1))
    return tuple((n, weight) for n, weight in ((k, 1 - share), (k + 1, share)) if weight > _SAME)


def lowest(frames: Iterable[Array]) -> float:
    """What fills the corners: the lowest value that is one, or black in colour. Raises CannotSucceed without any."""
    found = [0.0 if frame.ndim == 3 else _lowest_finite(frame) for frame in frames]
    fill = min((value for value in found if value is not None), default=None)
    if fill is None:
        raise CannotSucceed("every value is NaN or infinite: nothing to interpolate")
    return fill


def _lowest_finite(frame: Array) -> float | None:
    if frame.dtype.kind in "iu":
        return float(frame.min())
    finite = frame[np.isfinite(frame)]
    return float(finite.min()) if finite.size else None


def planes(grid: Grid, voxels: Sequence[Array], fill: float) -> Iterator[Array]:
    """The planes of one volume on the grid.

    voxels  the source slices in order: (rows, columns[, 3]), of the type of the result
    """
    kept: dict[int, Floats] = {}
    for parts in grid.parts:
        kept = {k: kept[k] if k in kept else _moved(grid, voxels[k], k, fill) for k, _ in parts}
        with np.errstate(invalid="ignore"):  # infinities of both signs make NaN, which the gate computes as well
            mixed = np.sum([kept[k] * weight for k, weight in parts], axis=0)
        yield rounded(mixed, voxels[0].dtype)


def rounded(values: Floats, dtype: np.dtype[np.generic]) -> Array:
    """As `dtype`; integers to the nearest."""
    return np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)


def _moved(grid: Grid, voxels: Array, k: int, fill: float) -> Floats:
    """Slice `k` in its place on the grid: each of its pixels is shared out between up to four."""
    rows, columns = voxels.shape[:2]
    found = np.full((grid.rows, grid.columns, *voxels.shape[2:]), fill, np.float64)
    above = voxels.astype(np.float64) - fill
    down, across = float(grid.down[k]), float(grid.across[k])
    top, left = int(np.floor(down + _SAME)), int(np.floor(across + _SAME))
    for r, part_down in ((0, 1 - max(down - top, 0.0)), (1, max(down - top, 0.0))):
        for c, part_across in ((0, 1 - max(across - left, 0.0)), (1, max(across - left, 0.0))):
            if min(part_down, part_across) > _SAME:
                with np.errstate(invalid="ignore"):
                    found[top + r : top + r + rows, left + c : left + c + columns] += above * (part_down * part_across)
    return found
