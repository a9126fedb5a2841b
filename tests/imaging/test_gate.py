"""What is written is read back; the gate lets nothing wrong out."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from node.errors import CannotSucceed
from node.imaging import gate, nifti
from node.imaging.attributes import frames_of
from node.imaging.layout import layout_of
from node.imaging.values import Values, values_of
from node.imaging.volumes import Volume, plan
from tests import make

EXPLICIT = "1.2.840.10008.1.2.1"


def planned(slices: int = 4) -> tuple[Volume, Values, list[np.ndarray]]:
    series = make.ct_series(slices)
    layout = layout_of(series[0], EXPLICIT)
    (volume,) = plan([frame for n, ds in enumerate(series) for frame in frames_of(ds, layout, n)])
    assert isinstance(volume, Volume)
    return volume, values_of(volume, layout), [series[frame.instance].pixel_array for frame in volume.frames]


def written(path: Path, volume: Volume, values: Values, pixels: list[np.ndarray], **changes: object) -> Path:
    rows, columns = pixels[0].shape[:2]
    header = nifti.NiftiHeader(
        shape=(columns, rows, volume.slices, volume.times),
        dtype=values.dtype,
        affine=volume.affine,
        slope=values.slope,
        intercept=values.intercept,
    )
    header = replace(header, **changes)  # type: ignore[arg-type]  # fields of several types
    nifti.write(path, header, (values.voxels(f, p) for f, p in zip(volume.frames, pixels, strict=True)))
    return path


def test_a_right_file_passes_with_its_numbers(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    passed = gate.check(written(tmp_path / "a.nii.gz", volume, values, pixels), volume, values, pixels)
    assert passed.frames == 4
    assert passed.worst_mm < 1e-4


def test_nibabel_reads_what_was_written(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    image = nibabel.load(written(tmp_path / "a.nii.gz", volume, values, pixels))
    assert image.header.get_zooms() == pytest.approx((0.7, 0.8, 2.5))
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.affine, volume.affine, atol=1e-5)
    np.testing.assert_array_equal(image.get_fdata(), np.stack(pixels).T.astype(float) - 1024)


def test_the_same_volume_gives_the_same_bytes_without_time_or_name(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    first = written(tmp_path / "first.nii.gz", volume, values, pixels).read_bytes()
    assert written(tmp_path / "second.nii.gz", volume, values, pixels).read_bytes() == first
    assert first[3:8] == b"\0\0\0\0\0"  # RFC 1952: no name, no time


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: {"affine": v.affine @ np.diag([-1.0, 1, 1, 1])}, "frame 1 is .* mm off its place"),
        (lambda v: {"affine": v.affine + np.array([[0, 0, 0, 0.05], *[[0] * 4] * 3])}, r"0\.050 mm off"),
        (lambda v: {"affine": v.affine @ np.diag([1.0, 1, 1.02, 1])}, "frame 2 is 0.050 mm off"),
        (lambda v: {"affine": v.affine[:, [1, 0, 2, 3]]}, "off its place"),
        (lambda v: {"affine": np.full((4, 4), np.nan)}, "off its place"),
        (lambda v: {"slope": 2.0}, "rescales by 2 and -1024"),
        (lambda v: {"intercept": 0.0}, "rescales by 1 and 0"),
    ],
)
def test_a_wrong_header_does_not_pass(
    spoil: Callable[[Volume], dict[str, object]], message: str, tmp_path: Path
) -> None:
    volume, values, pixels = planned()
    with np.errstate(invalid="ignore"):
        path = _spoiled(tmp_path / "a.nii.gz", volume, values, pixels, spoil(volume))
    with pytest.raises(CannotSucceed, match=message):
        gate.check(path, volume, values, pixels)


def _spoiled(path: Path, volume: Volume, values: Values, pixels: list[np.ndarray], changes: dict[str, object]) -> Path:
    """Spoil the bytes of the header after writing, as a fault in the writer would."""
    data = bytearray(gzip.decompress(written(path, volume, values, pixels).read_bytes()))
    if "affine" in changes:
        data[280:328] = np.asarray(changes["affine"])[:3].astype("<f4").tobytes()
    else:
        pair = [changes.get("slope", values.slope), changes.get("intercept", values.intercept)]
        data[112:120] = np.array(pair, "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(data)))
    return path


def test_two_slices_in_each_other_s_place_do_not_pass(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    path = written(tmp_path / "a.nii.gz", volume, values, [pixels[n] for n in (1, 0, 2, 3)])
    with pytest.raises(CannotSucceed, match=r"frame 1 has \d+ of 120 values that differ"):
        gate.check(path, volume, values, pixels)


def test_one_wrong_pixel_does_not_pass(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    spoiled = [frame.copy() for frame in pixels]
    spoiled[2][5, 6] += 1
    path = written(tmp_path / "a.nii.gz", volume, values, spoiled)
    with pytest.raises(CannotSucceed, match="frame 3 has 1 of 120 values that differ"):
        gate.check(path, volume, values, pixels)


def test_more_voxels_than_nifti_1_can_count_are_refused(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    with pytest.raises(CannotSucceed, match="NIfTI-1 ends at 32767"):
        written(tmp_path / "a.nii.gz", volume, values, pixels, shape=(32768, 1, 1, 1))


def test_a_rescale_that_differs_by_frame_is_applied_once_in_double_precision() -> None:
    volume, values, pixels = planned()
    frames = tuple(replace(frame, slope=0.1 * (n + 1)) for n, frame in enumerate(volume.frames))
    found = values_of(replace(volume, frames=frames), layout_of(make.ct_series(1)[0], EXPLICIT))
    assert (found.dtype, found.slope, found.intercept, found.applied) == (np.float32, 1.0, 0.0, True)
    expected = (pixels[1].astype(float) * 0.2 - 1024).astype(np.float32)
    np.testing.assert_array_equal(found.voxels(frames[1], pixels[1]), expected)
    assert not values.applied


def test_a_slope_of_zero_is_refused() -> None:
    volume, _, _ = planned()
    frames = tuple(replace(frame, slope=0.0) for frame in volume.frames)
    with pytest.raises(CannotSucceed, match="'Rescale Slope' is 0"):
        values_of(replace(volume, frames=frames), layout_of(make.ct_series(1)[0], EXPLICIT))
