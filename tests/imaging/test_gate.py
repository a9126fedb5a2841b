"""What is written is read back; the gate lets nothing wrong out."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from node.errors import CannotSucceed
from node.imaging import gate, resample, volume_files
from node.imaging.attributes import frames_of
from node.imaging.growing import Growing
from node.imaging.layout import layout_of
from node.imaging.nifti import NiftiHeader
from node.imaging.values import Values, values_of
from node.imaging.volumes import Volume, plan
from node.imaging.weighting import Weighting
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
    header = NiftiHeader(
        shape=(columns, rows, volume.slices, volume.times),
        dtype=values.dtype,
        affine=volume.affine,
        slope=values.slope,
        intercept=values.intercept,
    )
    header = replace(header, **changes)  # type: ignore[arg-type]  # fields of several types
    volume_files.write(path, header, (values.voxels(f, p) for f, p in zip(volume.frames, pixels, strict=True)))
    return path


def test_a_right_file_passes_with_its_numbers(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    passed = gate.check(written(tmp_path / "a.nii.gz", volume, values, pixels), volume, values, pixels)
    assert passed.frames == 4
    assert passed.worst_mm < 1e-4


def test_every_frame_that_was_compared_may_go_and_none_before(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    path, gone = written(tmp_path / "a.nii.gz", volume, values, pixels), list[int]()

    def go(frame: int) -> None:
        gone.append(frame)
        pixels[frame] = np.empty(0)

    assert gate.check(path, volume, values, pixels, done=go).frames == 4
    assert gone == [0, 1, 2, 3]


def test_a_frame_that_differs_stays(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    path, gone = written(tmp_path / "a.nii.gz", volume, values, pixels), list[int]()
    pixels[2] = pixels[2] + 1
    with pytest.raises(CannotSucceed, match="frame 3"):
        gate.check(path, volume, values, pixels, done=gone.append)
    assert gone == [0, 1]


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


def test_a_slope_that_float32_does_not_hold_exactly_is_applied_and_one_that_it_holds_is_kept() -> None:
    volume, _, _ = planned()
    layout = layout_of(make.ct_series(1)[0], EXPLICIT)

    def kept(slope: float, **how: bool) -> tuple[np.dtype, float, bool]:
        frames = tuple(replace(frame, slope=slope, intercept=-8.0) for frame in volume.frames)
        found = values_of(replace(volume, frames=frames), layout, **how)
        return found.dtype, found.slope, found.applied

    assert kept(0.5) == (np.dtype("i2"), 0.5, False)
    assert kept(0.1) == (np.dtype("f4"), 1.0, True)
    assert kept(2.0, in_header=False) == (np.dtype("i4"), 1.0, True)  # 2 x 32767 - 8 needs more than 16 bits
    assert kept(0.5, in_header=False) == (np.dtype("f4"), 1.0, True)


def test_whole_numbers_stay_whole_where_the_format_has_no_slope() -> None:
    volume, _, pixels = planned()
    found = values_of(volume, replace(layout_of(make.ct_series(1)[0], EXPLICIT), stored=12), in_header=False)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found.voxels(volume.frames[0], pixels[0]), pixels[0].astype(int) - 1024)


def test_real_world_values_are_used_where_they_are_wanted_and_known() -> None:
    volume, _, _ = planned()
    frames = tuple(replace(frame, real=(0.25, 1.0)) for frame in volume.frames)
    known = replace(volume, frames=frames)
    layout = layout_of(make.ct_series(1)[0], EXPLICIT)
    assert values_of(known, layout).intercept == -1024
    found = values_of(known, layout, real=True)
    assert (found.slope, found.intercept) == (0.25, 1.0)
    assert values_of(volume, layout, real=True).intercept == -1024


def test_real_world_values_of_some_frames_only_are_no_volume() -> None:
    volume, _, _ = planned()
    frames = tuple(replace(frame, real=(0.25, 1.0) if n else None) for n, frame in enumerate(volume.frames))
    with pytest.raises(CannotSucceed, match="1 of 4 frames have no real-world values"):
        values_of(replace(volume, frames=frames), layout_of(make.ct_series(1)[0], EXPLICIT), real=True)


def test_voxels_whose_type_is_too_small_are_refused_though_the_file_has_them_as_they_are(tmp_path: Path) -> None:
    volume, _, pixels = planned()
    wrapped = Values(dtype=np.dtype("i1"), applied=True)
    path = written(tmp_path / "a.nii.gz", volume, wrapped, pixels)
    with pytest.raises(CannotSucceed, match=r"frame 1 has .* values that int8 does not hold"):
        gate.check(path, volume, wrapped, pixels)


def test_values_beyond_float32_are_kept_in_double_precision(tmp_path: Path) -> None:
    volume, _, pixels = planned()
    frames = tuple(replace(frame, slope=1e40) for frame in volume.frames)
    far = replace(volume, frames=frames)
    values = values_of(far, layout_of(make.ct_series(1)[0], EXPLICIT))
    assert values.dtype == np.float64
    gate.check(written(tmp_path / "a.nii.gz", far, values, pixels), far, values, pixels)


def test_a_nan_that_was_stored_passes_and_an_infinity_that_was_not_does_not() -> None:
    volume, _, _ = planned(1)
    applied = Values(dtype=np.dtype("f4"), applied=True)
    stored = np.array([[np.nan, np.inf, 1.0]], np.float32)
    gate.check_values(volume, applied, [stored])
    frames = tuple(replace(frame, slope=1e39) for frame in volume.frames)
    with pytest.raises(CannotSucceed, match="1 of 3 values"):
        gate.check_values(replace(volume, frames=frames), applied, [stored])


def test_a_length_beyond_float32_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="1e\\+39 mm"):
        NiftiHeader(shape=(2, 2, 2, 1), dtype=np.dtype("i2"), affine=np.diag([1, 1, 1e39, 1])).packed()


def times(*seconds: float) -> Volume:
    """One slice in as many volumes as there are times."""
    volume, _, _ = planned(1)
    first = volume.frames[0]
    frames = tuple(
        replace(first, instance=n, weighting=Weighting(time=time, b_value=0.0)) for n, time in enumerate(seconds)
    )
    return replace(volume, frames=frames, times=len(seconds))


def test_volumes_against_the_order_of_time_do_not_pass() -> None:
    gate.check_order(times(1, 2, 3))
    gate.check_order(times(2, 2, 1))  # times that do not tell
    with pytest.raises(CannotSucceed, match="not in the order of acquisition times at slice 1"):
        gate.check_order(times(1, 3, 2))


def test_a_volume_of_mixed_weightings_echoes_or_with_a_frame_twice_does_not_pass() -> None:
    volume, _, _ = planned(2)
    a, b = volume.frames
    both = (a, b, replace(a, instance=2), replace(b, instance=3, weighting=Weighting(b_value=1000.0)))
    with pytest.raises(CannotSucceed, match="image 2 of 1 of 2 positions"):
        gate.check_order(replace(volume, frames=both, times=2))
    with pytest.raises(CannotSucceed, match="several echoes"):
        gate.check_order(replace(volume, frames=(a, replace(b, like=(*b.like, 2)))))
    with pytest.raises(CannotSucceed, match="2 frames for 2 slices"):
        gate.check_order(replace(volume, frames=(a, a)))


def test_a_file_that_ends_before_its_frames_do_does_not_pass(tmp_path: Path) -> None:
    volume, values, pixels = planned()
    path = written(tmp_path / "a.nii.gz", volume, values, pixels)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-10]))
    with pytest.raises(CannotSucceed, match="ends in slice 4 of 4"):
        gate.check(path, volume, values, pixels)


def test_a_nan_where_something_else_was_interpolated_is_found(tmp_path: Path) -> None:
    series = make.ct_series(3)
    for k, ds in enumerate(series):
        ds.ImagePositionPatient = [-20.0 + k, -30.0, 100.0 + 2.5 * k]
    (volume,) = plan([frame for n, ds in enumerate(series) for frame in frames_of(ds, layout_of(ds, EXPLICIT), n)])
    assert isinstance(volume, Volume)
    values, pixels = Values(dtype=np.dtype("f4")), [ds.pixel_array.astype("f4") for ds in series]
    grid = resample.grid_of(volume, 12, 10)
    planes = list(resample.planes(grid, pixels, 0.0))
    header = NiftiHeader(
        shape=(grid.columns, grid.rows, grid.slices, 1), dtype=values.dtype, affine=grid.affine,
    )  # fmt: skip
    path = tmp_path / "a.nii.gz"
    volume_files.write(path, header, planes)
    gate.check(path, volume, values, pixels)
    planes[1] = planes[1].copy()
    planes[1][5, 5] = np.nan
    volume_files.write(path, header, planes)
    with pytest.raises(CannotSucceed, match="slice 2 has NaN or infinity at other voxels"):
        gate.check(path, volume, values, pixels)


@pytest.mark.parametrize("spoiled", [None, 0, 3])
def test_a_file_is_judged_while_it_is_written(spoiled: int | None, tmp_path: Path) -> None:
    volume, values, stored = planned()
    path, growing, pixels = tmp_path / "a.nii.gz", Growing(), list[np.ndarray]()
    rows, columns = stored[0].shape
    shape = (columns, rows, volume.slices, 1)
    header = NiftiHeader(shape=shape, dtype=values.dtype, affine=volume.affine, intercept=values.intercept)

    def slices() -> Iterator[np.ndarray]:
        for n, one in enumerate(stored):
            pixels.append(one)
            wrong = one.copy()
            wrong[-1, -1] += n == spoiled
            yield wrong

    with ThreadPoolExecutor(1) as beside:
        judged = beside.submit(gate.check, path, volume, values, pixels, growing=growing)
        volume_files.write(path, header, slices(), growing=growing)
    if spoiled is None:
        assert judged.result() == gate.check(path, volume, values, stored)
    else:
        with pytest.raises(CannotSucceed, match=f"frame {spoiled + 1} has 1 of"):
            judged.result()
