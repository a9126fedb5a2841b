"""Where a source frame lies in a NIfTI file that another program wrote: in any order and direction of its axes.

The same question as the gate's, without knowing how the file was made: where the affine in the file puts the frame,
which volumes have its values there, and whether all that is in the file has a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.gate import MILLIMETRES, OF_A_PIXEL
from node.imaging.geometry import plane_corners
from node.imaging.layout import Array
from node.imaging.nifti import NiftiHeader
from node.imaging.numbering import closed_up, without_image_numbers
from node.imaging.sequence import mixed_volumes
from node.imaging.volume_files import Format, read

_FLOAT32 = 2e-6
"""Relative: by how much a value may differ that is computed in float32 from a slope and an intercept."""

Plane = tuple[int, tuple[int, ...]]
"""The voxel axis that is across a frame, and where on it the frame lies, with the direction of its rows and columns."""


@dataclass(slots=True)
class Foreign:
    """A file, its voxels, and which source frame was found in each of its planes."""

    path: Path
    header: NiftiHeader
    voxels: Array
    """(volume, slice, row, column[, 3])"""
    found: dict[tuple[int, Plane], Frame] = field(default_factory=dict)
    """By volume and plane."""

    def __len__(self) -> int:
        return self.header.shape[3]


def load(path: Path, form: Format = "nii.gz") -> Foreign:
    """Read a file whole. Raises CannotSucceed when it ends too early."""
    slices: list[Array] = []
    header: NiftiHeader | None = None
    for found, one in read(path, form):
        header = found
        slices.append(one)
    if header is None:
        raise CannotSucceed("a NIfTI file without voxels")
    shape = (header.shape[3], header.shape[2], *slices[0].shape)
    return Foreign(path=path, header=header, voxels=np.stack(slices).reshape(shape))


def search(frame: Frame, pixels: Array, files: Sequence[Foreign]) -> Foreign | None:
    """The file that has every pixel of `frame` in its place, in a plane that no other frame was found in; None for
    none. What is found is remembered in the file.

    pixels  decoded, (rows, columns[, 3])
    """
    for file in files:
        placed = place(frame, pixels.shape[:2], file.header)
        if placed is None:
            continue
        plane, origin, along_column, along_row = placed
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        i, j, k = (origin[n] + columns * along_column[n] + rows * along_row[n] for n in range(3))
        for t in range(len(file)):
            if (t, plane) not in file.found and _same(file.voxels[t][k, j, i], pixels, frame, file.header):
                file.found[t, plane] = frame
                return file
    return None


def place(
    frame: Frame, shape: tuple[int, ...], header: NiftiHeader
) -> tuple[Plane, list[int], list[int], list[int]] | None:
    """The plane of `frame`; the voxel of its first pixel; the steps from column to column and from row to row. None
    where it is not on voxels, or not inside."""
    if not abs(float(np.linalg.det(header.affine[:3, :3]))) > 0:
        return None
    rows, columns = shape
    corners = plane_corners(frame.position, frame.orientation, frame.spacing, (rows, columns))
    inverse = np.linalg.inv(header.affine)
    exact = corners @ inverse[:3, :3].T + inverse[:3, 3]
    near = np.rint(exact)
    apart = np.linalg.norm((exact - near) @ header.affine[:3, :3].T, axis=1).max()
    inside = (near >= 0).all() and (near < np.array(header.shape[:3])).all()
    if not (inside and apart <= min(MILLIMETRES, OF_A_PIXEL * min(frame.spacing))):
        return None
    origin = [int(x) for x in near[0]]
    along_column = [int(x) for x in (near[1] - near[0]) / max(columns - 1, 1)]
    along_row = [int(x) for x in (near[2] - near[0]) / max(rows - 1, 1)]
    across = next((n for n in range(3) if not along_column[n] and not along_row[n]), 2)
    return (across, (origin[across],)), origin, along_column, along_row


def check_whole(file: Foreign) -> None:
    """Every plane of every volume has a source frame; volumes mix no weightings and follow time.

    Raises CannotSucceed, with the numbers.
    """
    across = {plane[0] for _, plane in file.found}
    planes = file.header.shape[across.pop()] if len(across) == 1 else 0
    wanted = planes * len(file)
    if len(file.found) != wanted:
        raise CannotSucceed(f"gate: {len(file.found)} of {wanted} slices in the file have a source frame")
    columns: dict[Plane, list[Frame]] = {}
    for (_, plane), frame in sorted(file.found.items(), key=lambda pair: pair[0]):
        columns.setdefault(plane, []).append(frame)
    labelled = without_image_numbers(list(columns.values()))
    for t, volume in enumerate(zip(*labelled, strict=True)):
        if len({frame.weighting.label for frame in volume}) > 1:
            raise CannotSucceed(f"gate: volume {t + 1} mixes temporal positions or diffusion weightings")
    if odd := mixed_volumes(labelled) or closed_up(labelled):
        raise CannotSucceed(f"gate: {odd}")
    for column in columns.values():
        sequence = [frame.weighting.time for frame in column]
        known = [time for time in sequence if time is not None]
        if len(set(known)) == len(sequence) and known != sorted(known):
            raise CannotSucceed("gate: volumes are not in the order of acquisition times")


def _same(written: Array, pixels: Array, frame: Frame, header: NiftiHeader) -> bool:
    if written.shape != pixels.shape:
        return False
    scale = (header.slope or 1.0, header.intercept)
    if scale == (float(np.float32(frame.slope)), float(np.float32(frame.intercept))) or pixels.ndim == 3:
        return bool(np.array_equal(written, pixels))
    expected = pixels.astype(np.float64) * frame.slope + frame.intercept
    slack = max(_FLOAT32 * float(np.abs(expected).max()), 1e-6)
    return bool((np.abs(written.astype(np.float64) * scale[0] + scale[1] - expected) <= slack).all())
