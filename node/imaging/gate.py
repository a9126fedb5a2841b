"""The geometry gate: a file is only let out when, read back, it says what every frame's own header and pixels say.

It shares no step with the writing but the frames themselves: where a frame belongs is computed from its header and
the affine that is in the file, not from the order in which it was written; the order of volumes from the times and
weightings in the headers, not from what decided it; and a resampled slice from the places of its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.geometry import Floats, plane_corners
from node.imaging.growing import Growing
from node.imaging.interpolate import expected_plane
from node.imaging.layout import Array
from node.imaging.nifti import NiftiHeader
from node.imaging.sequence import mixed_volumes
from node.imaging.values import Values, scale_of
from node.imaging.volume_files import Format, has_scale, read
from node.imaging.volumes import Volume

MILLIMETRES = 0.04
"""How far a corner pixel may be from its voxel: twice the tolerance of positions, for cosines may differ too."""

OF_A_PIXEL = 0.04
"""The same for small pixels (micro CT), as a share of the pixel."""

OF_THE_RANGE = 1e-3
"""Of the range of a volume's values: by how much an interpolated one may be off, beside rounding to an integer; a
place is known to 1e-4 of a pixel from the float32 in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    frames: int
    """Source frames that were found again."""
    worst_mm: float
    """The largest distance between a corner pixel and its voxel."""
    worst_value: float = 0.0
    """The largest difference of an interpolated value; 0 where nothing was interpolated."""


def check(
    path: Path,
    volume: Volume,
    values: Values,
    pixels: Sequence[Array],
    form: Format = "nii.gz",
    fill: float = 0.0,
    affine: Floats | None = None,
    growing: Growing | None = None,
    done: Callable[[int], None] = lambda frame: None,
) -> Passed:
    """Compare the file at `path` with its source: the place and every pixel of every frame, and the order of volumes.

    pixels   decoded, as `volume.frames`; with `growing` those at least whose slices are in the file already
    fill     what stands where a resampled volume has no source; then all pixels must be there
    affine   (4, 4) voxel to RAS mm, for .npy alone, which has none in the file: the report says it
    growing  of this file, where it is still being written: compared is what has come into it, in another thread
    done     is told, for a volume that is not resampled, which of `pixels` is compared and not asked for again

    Raises CannotSucceed, with the numbers, at the first frame that differs.
    """
    check_order(volume)
    if volume.resampled:
        check_values(volume, values, pixels)
    worst, seen = Passed(frames=0, worst_mm=0.0), 0
    placed: NiftiHeader | None = None
    for n, (header, written) in enumerate(read(path, form, growing)):
        if placed is None:
            placed = header if affine is None else replace(header, affine=affine)
            _check_header(placed, volume, values, form)
        one = _interpolated if volume.resampled else _exact
        found = one(placed, volume, values, pixels, written, n, fill)
        worst = Passed(
            frames=0,
            worst_mm=max(worst.worst_mm, found.worst_mm),
            worst_value=max(worst.worst_value, found.worst_value),
        )
        seen = n + 1
        if not volume.resampled:
            done(n)
    if placed is None or seen != placed.shape[2] * placed.shape[3]:
        raise CannotSucceed(f"gate: {seen} slices are in the file")
    if not volume.resampled and seen != len(volume.frames):
        raise CannotSucceed(f"gate: {seen} of {len(volume.frames)} frames are in the file")
    return Passed(frames=len(volume.frames), worst_mm=worst.worst_mm, worst_value=worst.worst_value)


def check_order(volume: Volume) -> None:
    """Every slice and volume has one source frame of one kind; volumes follow time, and mix no weightings.

    Raises CannotSucceed.
    """
    if len(volume.frames) != volume.slices * volume.times or len(set(map(_source, volume.frames))) < len(volume.frames):
        raise CannotSucceed(f"gate: {len(volume.frames)} frames for {volume.slices} slices of {volume.times} volumes")
    if len({frame.like for frame in volume.frames}) > 1:
        raise CannotSucceed("gate: frames of several echoes, image types or series are in one volume")
    if volume.times == 1:
        return
    odd = mixed_volumes(volume.columns)
    if odd:
        raise CannotSucceed(f"gate: {odd}")
    for k, column in enumerate(volume.columns):
        times = [frame.weighting.time for frame in column]
        known = [time for time in times if time is not None]
        if len(set(known)) == len(times) and known != sorted(known):
            raise CannotSucceed(f"gate: volumes are not in the order of acquisition times at slice {k + 1}")


def check_values(volume: Volume, values: Values, pixels: Sequence[Array], only: Sequence[int] | None = None) -> None:
    """Voxels in which the rescale is applied are stored value * slope + intercept (PS3.3 C.11.1.1.2), exactly as whole
    numbers, else to the precision of their type: one that is too small wraps round or overflows. Raises CannotSucceed.
    """
    if not values.applied:
        return  # the voxels are the pixels, and the rescale is read back with the header
    for n in range(len(volume.frames)) if only is None else only:
        frame = volume.frames[n]
        slope, intercept = scale_of(frame, values.real)
        true = pixels[n].astype(np.float64) * slope + intercept
        written = values.voxels(frame, pixels[n]).astype(np.float64)
        exact = values.dtype.kind in "iu"
        allowed = 0.0 if exact else float(np.finfo(values.dtype.name).eps) * np.abs(true) + float(np.finfo("f4").tiny)
        # Written so that an infinity that was none fails; NaN and infinity as they were stored are equal to themselves.
        with np.errstate(invalid="ignore"):
            fits = (np.abs(written - true) <= allowed) & np.isfinite(written)
        fits |= ~np.isfinite(pixels[n]) & ((written == true) | (np.isnan(written) & np.isnan(true)))
        if not fits.all():
            raise CannotSucceed(
                f"gate: frame {n + 1} has {int((~fits).sum())} of {fits.size} values that {values.dtype} does not hold"
            )


def _source(frame: Frame) -> tuple[object, ...]:
    return frame.instance, frame.number, frame.tile


def _check_header(header: NiftiHeader, volume: Volume, values: Values, form: Format) -> None:
    slices = header.shape[2] if volume.resampled else volume.slices
    if header.shape[2:] != (slices, volume.times) or header.dtype != values.dtype:
        raise CannotSucceed(f"gate: the file has {header.shape} of {header.dtype}")
    wanted = (float(np.float32(values.slope)), float(np.float32(values.intercept))) if has_scale(form) else (1.0, 0.0)
    if wanted != (header.slope, header.intercept):
        raise CannotSucceed(f"gate: the file rescales by {header.slope:g} and {header.intercept:g}")


def _exact(
    header: NiftiHeader, volume: Volume, values: Values, pixels: Sequence[Array], written: Array, n: int, fill: float
) -> Passed:
    frame = volume.frames[n]
    apart = _check_place(header, frame, n % volume.slices, n)
    check_values(volume, values, pixels, [n])
    expected = values.voxels(frame, pixels[n])
    if expected.shape != written.shape or not np.array_equal(expected, written, equal_nan=expected.dtype.kind == "f"):
        differ = int((expected != written).sum()) if expected.shape == written.shape else expected.size
        raise CannotSucceed(f"gate: frame {n + 1} has {differ} of {expected.size} values that differ")
    return Passed(frames=1, worst_mm=apart)


def _interpolated(
    header: NiftiHeader, volume: Volume, values: Values, pixels: Sequence[Array], written: Array, n: int, fill: float
) -> Passed:
    slices = header.shape[2]
    t, k = divmod(n, slices)
    if n == 0:
        _check_all_inside(header, volume, pixels[0].shape[:2])
    at = t * volume.slices
    expected, low, high = expected_plane(
        header.affine, (header.shape[1], header.shape[0]), k, volume.places, volume.frames[at],
        lambda s: values.voxels(volume.frames[at + s], pixels[at + s]), fill,
    )  # fmt: skip
    if expected.shape != written.shape:
        raise CannotSucceed(f"gate: slice {n + 1} is {written.shape}, interpolated it is {expected.shape}")
    allowed = (0.5 if written.dtype.kind in "iu" else 0.0) + OF_THE_RANGE * (high - low) + 1e-6 * abs(high)
    finite = np.isfinite(expected)
    if (
        not np.array_equal(written[~finite], expected[~finite], equal_nan=True)
        or not np.isfinite(written[finite]).all()
    ):
        raise CannotSucceed(
            f"gate: slice {n + 1} has NaN or infinity at other voxels than what is interpolated from its frames"
        )
    apart = np.abs(written[finite].astype(np.float64) - expected[finite])
    worst = float(apart.max(initial=0.0))
    if not worst <= allowed:
        raise CannotSucceed(
            f"gate: slice {n + 1} has {int((apart > allowed).sum())} of {apart.size} values that differ from those "
            f"interpolated from its frames, by up to {worst:g}"
        )
    return Passed(frames=0, worst_mm=0.0, worst_value=worst)


def _check_all_inside(header: NiftiHeader, volume: Volume, shape: tuple[int, ...]) -> None:
    """Every corner of every slice is inside the grid: resampling cuts nothing off."""
    inverse = np.linalg.inv(header.affine)
    last = np.array(header.shape[:3]) - 1
    for k in range(volume.slices):
        frame = volume.frames[k]
        corners = plane_corners(frame.position, frame.orientation, frame.spacing, (shape[0], shape[1]))
        there = corners @ inverse[:3, :3].T + inverse[:3, 3]
        if not ((there >= -OF_A_PIXEL).all() and (there <= last + OF_A_PIXEL).all()):
            raise CannotSucceed(f"gate: slice {k + 1} of the source reaches out of the resampled volume")


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
