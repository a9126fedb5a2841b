"""From frame positions to one affine, or a reason why there is none.

DICOM's patient axes are LPS (left, posterior, superior), NIfTI's are RAS; all lengths are mm. The affine maps
voxel indices (column i, row j, slice k), from 0, to the centre of the voxel. It is built from the numbers as they stand
in the headers, never from rounded ones, so that it reproduces every frame's own PS3.3 C.7.6.2.1.1 equation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.errors import CannotSucceed

Floats = npt.NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

ORTHONORMAL = 1e-3
"""How far cosines may be from unit length and right angle: ten times what rounding to 4 decimals does."""

TILT = 0.1
"""Degrees between the stacking direction and the slice normal above which a stack counts as tilted.
Cosines rounded to 3 decimals make 0.06 degrees; the smallest tilt that scanners set is 0.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Frames in order of position."""

    affine: Floats
    """(4, 4), voxel index to RAS, mm."""
    slices: tuple[tuple[int, ...], ...]
    """For each slice the indices of the frames at that position, in the order they were given."""
    assumed_thickness: bool
    """One position only: the third dimension is the slice thickness, not a distance that was measured."""
    tilt: str = ""
    """How far the slices are from right angles to the stack, where the affine is sheared."""


def tolerance_of(spacing: tuple[float, float]) -> float:
    """How far, in mm, a slice may be from where a uniform stack has it: what rounding positions to 2 decimals
    does, or 2 % of a pixel where pixels are small (micro CT)."""
    return min(0.02, 0.02 * min(spacing))


def check_plane(orientation: Sequence[float], spacing: tuple[float, float]) -> None:
    """Raise CannotSucceed unless the spacing is positive and the cosines (6) are two orthogonal unit vectors."""
    if min(spacing) <= 0:
        raise CannotSucceed(f"'Pixel Spacing' is {spacing[0]:g} x {spacing[1]:g} mm")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths, product = (float(np.linalg.norm(row)), float(np.linalg.norm(column))), float(row @ column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(product)) > ORTHONORMAL:
        raise CannotSucceed(
            f"'Image Orientation (Patient)' is not orthonormal: lengths {lengths[0]:.4f} and {lengths[1]:.4f}, "
            f"dot product {product:.4f}"
        )


def stack(
    positions: Floats,
    orientation: Sequence[float],
    spacing: tuple[float, float],
    thickness: float | None,
    *,
    sheared: bool = False,
) -> Stack:
    """Stack frames of one orientation into a uniform grid.

    positions    (n, 3) float64, mm, LPS: Image Position (Patient), one per frame, in any order
    orientation  (6,) row cosines, then column cosines
    spacing      (between rows, between columns), mm
    thickness    mm; stands for the distance between slices when there is one position only
    sheared      take a tilted stack as it is: its affine is sheared

    Raises CannotSucceed, with the numbers, for a non-uniform stack, a tilted one unless `sheared`, positions beside
    each other, unequal counts, or one position without thickness.
    """
    check_plane(orientation, spacing)
    near = tolerance_of(spacing)
    slices = _levels(positions, orientation, near)
    centres = positions[[frames[0] for frames in slices]]
    counts = sorted({len(frames) for frames in slices})
    if len(counts) > 1:
        raise CannotSucceed(f"{len(slices)} slice positions with {counts[0]} to {counts[-1]} images each: ragged")
    tilt = ""
    if len(slices) == 1:
        if thickness is None or thickness <= 0:
            raise CannotSucceed("one slice position and no slice thickness: the third dimension is unknown")
        step = _normal(orientation) * thickness
    else:
        step = (centres[-1] - centres[0]) / (len(slices) - 1)
        _check_uniform(centres, step, near)
        tilt = _tilt_of(centres, step, orientation, near)
        if tilt and not sheared:
            raise CannotSucceed(tilt)
    affine = affine_of(centres[0], step, orientation, spacing)
    return Stack(affine=affine, slices=slices, assumed_thickness=len(slices) == 1, tilt=tilt)


def affine_of(first: Floats, step: Floats, orientation: Sequence[float], spacing: tuple[float, float]) -> Floats:
    """(4, 4) from (column, row, slice) to RAS mm; `first` (3,) and `step` (3,) are LPS mm."""
    lps = np.eye(4)
    lps[:3, 0] = np.array(orientation[:3]) * spacing[1]  # along a row the column index grows
    lps[:3, 1] = np.array(orientation[3:]) * spacing[0]
    lps[:3, 2], lps[:3, 3] = step, first
    return np.asarray(LPS_TO_RAS @ lps)


def plane_corners(
    position: Sequence[float], orientation: Sequence[float], spacing: tuple[float, float], shape: tuple[int, int]
) -> Floats:
    """(4, 3) RAS mm: the centres of a frame's corner pixels by its own header, (row, column) = (0, 0), (0, last),
    (last, 0), (last, last); shape is (rows, columns)."""
    rows, columns = np.array([0, 0, 1, 1]) * (shape[0] - 1), np.array([0, 1, 0, 1]) * (shape[1] - 1)
    along_row, along_column = np.array(orientation[:3]) * spacing[1], np.array(orientation[3:]) * spacing[0]
    lps = np.array(position) + np.outer(columns, along_row) + np.outer(rows, along_column)
    return np.asarray(lps * [-1.0, -1.0, 1.0])


def _normal(orientation: Sequence[float]) -> Floats:
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def _levels(positions: Floats, orientation: Sequence[float], near: float) -> tuple[tuple[int, ...], ...]:
    """Group frames by height along the normal; frames of one height must have one position."""
    heights = positions @ _normal(orientation)
    levels: list[list[int]] = []
    for n in np.argsort(heights, kind="stable"):
        if levels and heights[n] - heights[levels[-1][0]] <= near:
            levels[-1].append(int(n))
        else:
            levels.append([int(n)])
    for level in levels:
        apart = float(np.linalg.norm(positions[level] - positions[level[0]], axis=1).max())
        if apart > 2 * near:
            raise CannotSucceed(f"images at one height lie {apart:.3f} mm apart, beside each other")
    return tuple(tuple(sorted(level)) for level in levels)


def _check_uniform(centres: Floats, step: Floats, near: float) -> None:
    expected = centres[0] + np.outer(np.arange(len(centres)), step)
    worst = float(np.linalg.norm(centres - expected, axis=1).max())
    if worst > near:
        gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        raise CannotSucceed(
            f"{len(centres)} slices {gaps.min():.3f} to {gaps.max():.3f} mm apart: a uniform stack would put one "
            f"{worst:.3f} mm off its place"
        )


def _tilt_of(centres: Floats, step: Floats, orientation: Sequence[float], near: float) -> str:
    cosine = float(step @ _normal(orientation) / np.linalg.norm(step))
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    sideways = float(np.linalg.norm(centres[-1] - centres[0])) * float(np.sqrt(max(0.0, 1 - cosine**2)))
    if angle > TILT and sideways > near:
        return f"tilted by {angle:.2f} degrees: slices shift {sideways:.2f} mm from first to last"
    return ""
