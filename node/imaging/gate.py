"""The geometry gate: a file is only let out when, read back, it says what every frame's own header and pixels say.

It shares no step with the writing but the frames themselves: where a frame belongs is computed from its header and
the affine that is in the file, not from the order in which it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.geometry import plane_corners
from node.imaging.layout import Array
from node.imaging.nifti import NiftiHeader, read
from node.imaging.values import Values
from node.imaging.volumes import Volume

MILLIMETRES = 0.04
"""How far a corner pixel may be from its voxel: twice the tolerance of positions, for cosines may differ too."""

OF_A_PIXEL = 0.04
"""The same for small pixels (micro CT), as a share of the pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    frames: int
    worst_mm: float
    """The largest distance between a corner pixel and its voxel."""


def check(path: Path, volume: Volume, values: Values, pixels: Sequence[Array]) -> Passed:
    """Compare the NIfTI file at `path` with its source: the place and every pixel of every frame.

    pixels  decoded, as `volume.frames`

    Raises CannotSucceed, with the numbers, at the first frame that differs.
    """
    worst, seen = 0.0, 0
    for n, (header, written) in enumerate(read(path)):
        frame = volume.frames[n]
        if n == 0:
            _check_header(header, volume, values)
        worst = max(worst, _check_place(header, frame, n % volume.slices, n))
        expected = values.voxels(frame, pixels[n])
        if expected.shape != written.shape or not np.array_equal(
            expected, written, equal_nan=expected.dtype.kind == "f"
        ):
            differ = int((expected != written).sum()) if expected.shape == written.shape else expected.size
            raise CannotSucceed(f"gate: frame {n + 1} has {differ} of {expected.size} values that differ")
        seen = n + 1
    if seen != len(volume.frames):
        raise CannotSucceed(f"gate: {seen} of {len(volume.frames)} frames are in the file")
    return Passed(frames=seen, worst_mm=worst)


def _check_header(header: NiftiHeader, volume: Volume, values: Values) -> None:
    if header.shape[2:] != (volume.slices, volume.times) or header.dtype != values.dtype:
        raise CannotSucceed(f"gate: the file has {header.shape} of {header.dtype}")
    if (float(np.float32(values.slope)), float(np.float32(values.intercept))) != (header.slope, header.intercept):
        raise CannotSucceed(f"gate: the file rescales by {header.slope:g} and {header.intercept:g}")


def _check_place(header: NiftiHeader, frame: Frame, k: int, n: int) -> float:
    """The largest distance, mm, of the frame's corners from the corners of slice `k` in the file's affine."""
    columns, rows = header.shape[:2]
    corners = plane_corners(frame.position, frame.orientation, frame.spacing, (rows, columns))
    voxels = np.array([[0, 0, k], [columns - 1, 0, k], [0, rows - 1, k], [columns - 1, rows - 1, k]])
    there = voxels @ header.affine[:3, :3].T + header.affine[:3, 3]
    apart = float(np.linalg.norm(corners - there, axis=1).max())
    # Written so that a NaN fails.
    if not apart <= min(MILLIMETRES, OF_A_PIXEL * min(frame.spacing)):
        raise CannotSucceed(f"gate: frame {n + 1} is {apart:.3f} mm off its place")
    return apart
