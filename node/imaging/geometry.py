"""From frame positions to one affine, or a reason why there is none.

DICOM's patient axes are LPS (left, posterior, superior), NIfTI's are RAS; all lengths are mm. The affine maps
voxel indices (column i, row j, slice k), from 0, to the centre of the voxel. It is built from the numbers as they stand
in the headers, never from rounded ones, so that it reproduces every frame's own PS3.3 C.7.6.2.1.1 equation.
"""

from __future__ import annotations

from collections.abc import Sequence

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


SMALLEST, LARGEST = 1e-6, 1e4
"""mm between pixels: a nanometre to ten metres. What is outside is no length, and arithmetic on it overflows."""


def tolerance_of(spacing: tuple[float, float]) -> float:
    """What lies closer than this, mm, lies at one place: 0.02, or 2 % of a pixel where pixels are small (micro CT)."""
    return min(0.02, 0.02 * min(spacing))


def uniformity_of(spacing: tuple[float, float]) -> float:
    """How far, in mm, a slice may be from where a uniform stack has it: 0.02, or 3.5 % of a small pixel.

    Positions of two decimals (Philips CT) are up to 0.015 off a line from the first to the last, which pixels of 0.43
    mm must bear; the rest of the gate's 4 % is for cosines.
    """
    return min(0.02, 0.035 * min(spacing))


def check_plane(orientation: Sequence[float], spacing: tuple[float, float]) -> None:
    """Raise CannotSucceed unless the spacing is a pixel's and the cosines (6) are two orthogonal unit vectors."""
    if not SMALLEST <= min(spacing) <= max(spacing) <= LARGEST:
        raise CannotSucceed(f"'Pixel Spacing' is {spacing[0]:g} x {spacing[1]:g} mm")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths, product = (float(np.linalg.norm(row)), float(np.linalg.norm(column))), float(row @ column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(product)) > ORTHONORMAL:
        raise CannotSucceed(
            f"'Image Orientation (Patient)' is not orthonormal: lengths {lengths[0]:.4f} and {lengths[1]:.4f}, "
            f"dot product {product:.4f}"
        )


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


def normal_of(orientation: Sequence[float]) -> Floats:
    """(3,) unit vector LPS, right-handed after the row and the column direction."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def lanes(positions: Floats, orientation: Sequence[float], near: float) -> list[list[int]]:
    """Frames that lie beside each other at one height cannot be one stack: indices of `positions` (n, 3), by stack.

    All are one stack unless two of one height are further apart than twice `near`; then those are together that lie
    in one column along the normal.
    """
    if all(_apart(positions[level]) <= 2 * near for level in levels(positions, orientation, near)):
        return [list(range(len(positions)))]
    normal = normal_of(orientation)
    beside = positions - np.outer(positions @ normal, normal)
    found: list[list[int]] = []
    for n in range(len(positions)):
        home = next((lane for lane in found if np.linalg.norm(beside[n] - beside[lane[0]]) <= 2 * near), None)
        if home is None:
            found.append([n])
        else:
            home.append(n)
    return found


def levels(positions: Floats, orientation: Sequence[float], near: float) -> list[list[int]]:
    """Indices of `positions` (n, 3) by height along the normal, lowest first; within a height as they were given."""
    heights = positions @ normal_of(orientation)
    found: list[list[int]] = []
    for n in np.argsort(heights, kind="stable"):
        if found and heights[n] - heights[found[-1][0]] <= near:
            found[-1].append(int(n))
        else:
            found.append([int(n)])
    return [sorted(level) for level in found]


def _apart(positions: Floats) -> float:
    return float(np.linalg.norm(positions - positions[0], axis=1).max())


def off_uniform(centres: Floats) -> float:
    """mm by which the worst of `centres` (n, 3) is off its place in a uniform stack from the first to the last."""
    if len(centres) < 3:
        return 0.0
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    expected = centres[0] + np.outer(np.arange(len(centres)), step)
    return float(np.linalg.norm(centres - expected, axis=1).max())


def uniform_runs(centres: Floats, near: float) -> list[tuple[int, int]]:
    """Cut a stack into pieces (first, behind the last) that are uniform within `near`, mm: the longest piece first, of
    equal ones that of the smallest step, then what is left on both sides of it in the same way."""
    pending, found = [(0, len(centres))], []
    while pending:
        first, behind = pending.pop()
        piece = centres[first:behind]
        a, b = (0, len(piece)) if off_uniform(piece) <= near else _longest(piece, near)
        found.append((first + a, first + b))
        pending += [(x, y) for x, y in ((first, first + a), (first + b, behind)) if x < y]
    return sorted(found)


def _longest(centres: Floats, near: float) -> tuple[int, int]:
    steps = np.diff(centres, axis=0)
    best = (0, 0.0, 0, 0)  # length, -step, first, behind the last
    first = 0
    while first < len(steps):
        last = first + 1
        while last < len(steps) and np.linalg.norm(steps[last] - steps[first]) <= 2 * near:
            last += 1
        while last > first + 1 and off_uniform(centres[first : last + 1]) > near:
            last -= 1
        best = max(best, (last + 1 - first, -float(np.linalg.norm(steps[first])), first, last + 1))
        first = last if last > first + 1 else first + 1
    return best[2], best[3]


def tilt_of(centres: Floats, orientation: Sequence[float], near: float) -> tuple[float, float] | None:
    """(degrees, sideways mm from first to last) of a stack that is tilted, else None."""
    way = centres[-1] - centres[0]
    length = float(np.linalg.norm(way))
    if length == 0:
        return None
    cosine = float(way @ normal_of(orientation)) / length
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    sideways = length * float(np.sqrt(max(0.0, 1 - cosine**2)))
    return (angle, sideways) if angle > TILT and sideways > near else None
