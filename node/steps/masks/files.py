"""The files of the masks step: masks and label maps as NIfTI, which pass the geometry gate, and the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np

from node.errors import CannotSucceed
from node.imaging import gate
from node.imaging.grid import Grid
from node.imaging.layout import Array
from node.imaging.nifti import NiftiHeader
from node.imaging.raster import Patch
from node.imaging.values import Values
from node.imaging.volume_files import write
from node.steps.masks.naming import Called


class Slices(Protocol):
    """One region, slice by slice."""

    maximum: int
    """The stored value that means wholly inside."""

    @property
    def voxels(self) -> int:
        """How many are not 0."""
        ...

    @property
    def filled(self) -> float:
        """The same, each by its share where the region is fractional."""
        ...

    def frame(self, k: int) -> Array:
        """Slice `k`: (rows, columns) uint8."""
        ...

    def paint(self, k: int, onto: Array, value: int) -> int:
        """Write `value` into slice `k` of a label map where this region is; returns how many voxels had another."""
        ...


@dataclass(slots=True)
class Patches:
    """A region that was drawn."""

    slices: Mapping[int, Patch]
    shape: tuple[int, int]
    maximum: int = 1

    @property
    def voxels(self) -> int:
        return sum(patch.count for patch in self.slices.values())

    @property
    def filled(self) -> float:
        return float(self.voxels)

    def frame(self, k: int) -> Array:
        found = np.zeros(self.shape, np.uint8)
        if k in self.slices:
            self.slices[k].put(found)
        return found

    def paint(self, k: int, onto: Array, value: int) -> int:
        if k not in self.slices:
            return 0
        patch = self.slices[k]
        over = int(np.count_nonzero(patch.window(onto)[patch.pixels]))
        patch.put(onto, value)
        return over


@dataclass(slots=True)
class Frames:
    """A segment as it is stored."""

    slices: Mapping[int, Array]
    shape: tuple[int, int]
    maximum: int = 1

    @property
    def voxels(self) -> int:
        return sum(int(np.count_nonzero(frame)) for frame in self.slices.values())

    @property
    def filled(self) -> float:
        return sum(float(frame.sum(dtype=np.float64)) for frame in self.slices.values()) / self.maximum

    def frame(self, k: int) -> Array:
        return self.slices[k] if k in self.slices else np.zeros(self.shape, np.uint8)

    def paint(self, k: int, onto: Array, value: int) -> int:
        if k not in self.slices:
            return 0
        inside = self.slices[k] != 0
        over = int(np.count_nonzero(onto[inside]))
        onto[inside] = value
        return over


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region to be written."""

    called: Called
    slices: Slices
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For the report."""


def write_mask(path: Path, grid: Grid, slices: Slices) -> float:
    """One region; returns the largest distance of a corner from its place, mm. Raises CannotSucceed, with nothing left
    behind, when the file does not say what it should."""
    return _write(path, grid, Values(dtype=np.dtype("u1"), slope=1.0 / slices.maximum), slices.frame)


def write_labels(path: Path, grid: Grid, regions: Sequence[Region]) -> tuple[float, dict[str, int]]:
    """All regions in one, later ones over earlier ones: the distance as above, and how many voxels each took from
    others, by file name. Raises CannotSucceed as above."""
    twice = [r.called for n, r in enumerate(regions) if r.called.label in {o.called.label for o in regions[:n]}]
    if twice:
        raise CannotSucceed(f"row {twice[0].label} of rois fits several regions, which a label map cannot tell apart")
    if any(region.slices.maximum != 1 for region in regions):
        raise CannotSucceed("a fractional segmentation makes no label map; write masks")
    dtype = np.dtype("u1" if max(region.called.label for region in regions) < 256 else "u2")
    taken: dict[int, dict[str, int]] = {}

    def frame(k: int) -> Array:
        found = np.zeros(grid.shape, dtype)
        taken[k] = {region.called.file: region.slices.paint(k, found, region.called.label) for region in regions}
        return found

    worst = _write(path, grid, Values(dtype=dtype), frame)
    return worst, {r.called.file: sum(of_slice[r.called.file] for of_slice in taken.values()) for r in regions}


def _write(path: Path, grid: Grid, values: Values, frame: Callable[[int], Array]) -> float:
    volume, (rows, columns) = grid.volume, grid.shape
    header = NiftiHeader(
        shape=(columns, rows, volume.slices, 1), dtype=values.dtype, affine=volume.affine, slope=values.slope
    )  # fmt: skip
    frames = _Lazily(volume.slices, frame)
    try:
        write(path, header, frames)
        return gate.check(path, volume, values, frames).worst_mm
    except CannotSucceed:
        path.unlink(missing_ok=True)
        raise


class _Lazily(Sequence[Array]):
    """The slices of a volume, each made when it is asked for: thirty masks of a series do not fit into memory."""

    def __init__(self, count: int, frame: Callable[[int], Array]) -> None:
        self._count, self._frame = count, frame

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, k: int) -> Array: ...
    @overload
    def __getitem__(self, k: slice) -> Sequence[Array]: ...
    def __getitem__(self, k: int | slice) -> Array | Sequence[Array]:
        if isinstance(k, slice):
            return [self._frame(n) for n in range(self._count)[k]]
        if not 0 <= k < self._count:
            raise IndexError(k)
        return self._frame(k)


def facts_of(grid: Grid, regions: Iterable[Region]) -> dict[str, Any]:
    """What a report says of a grid and of each region on it."""
    return {
        "shape": [grid.shape[1], grid.shape[0], grid.volume.slices],
        "voxel_mm": [round(float(x), 6) for x in np.linalg.norm(grid.volume.affine[:3, :3], axis=0)],
        "affine": grid.volume.affine.tolist(),
        "assumptions": list(grid.volume.assumptions),
        "regions": [
            {
                "name": region.called.name,
                "label": region.called.label,
                "voxels": region.slices.voxels,
                "ml": round(region.slices.filled * grid.millilitres, 6),
                **region.facts,
            }
            for region in regions
        ],
    }


def write_report(path: Path, facts: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
