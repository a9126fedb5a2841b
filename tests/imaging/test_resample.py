"""Tilted and uneven stacks on a grid at right angles: nothing cut off, and what linear interpolation gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from node.errors import CannotSucceed
from node.imaging import gate, resample
from node.imaging.attributes import frames_of
from node.imaging.layout import layout_of
from node.imaging.nifti import NiftiHeader
from node.imaging.values import Values, values_of
from node.imaging.volume_files import write
from node.imaging.volumes import Volume, plan
from tests import make

EXPLICIT = "1.2.840.10008.1.2.1"


def tilted(slices: int, shift: float, missing: int | None = None) -> list[FileDataset]:
    """Slices 2.5 mm apart that move by `shift` mm along their columns; one of them may be missing."""
    series = make.ct_series(slices)
    for k, ds in enumerate(series):
        ds.ImagePositionPatient = [-20, -30 + k * shift, 100 + k * 2.5]
    return [ds for k, ds in enumerate(series) if k != missing]


def planned(series: list[FileDataset]) -> Volume:
    layout = layout_of(series[0], EXPLICIT)
    frames = [frame for n, ds in enumerate(series) for frame in frames_of(ds, layout, n)]
    (found,) = plan(frames, "resample", "resample")
    assert isinstance(found, Volume)
    assert found.resampled
    return found


def written(series: list[FileDataset], path: Path) -> tuple[Volume, list[np.ndarray], float]:
    volume = planned(series)
    pixels = [series[frame.instance].pixel_array for frame in volume.frames]
    grid = resample.grid_of(volume, 12, 10)
    fill = resample.lowest(pixels)
    header = NiftiHeader(
        shape=(grid.columns, grid.rows, grid.slices, 1), dtype=np.dtype("i2"), affine=grid.affine, intercept=-1024.0
    )
    write(path, header, resample.planes(grid, pixels, fill))
    return volume, pixels, fill


def passed(volume: Volume, pixels: list[np.ndarray], fill: float, path: Path) -> gate.Passed:
    values = values_of(volume, layout_of(make.ct_series(1)[0], EXPLICIT))
    return gate.check(path, volume, values, pixels, "nii.gz", fill)


def test_a_tilt_by_whole_pixels_moves_slices_and_changes_no_value(tmp_path: Path) -> None:
    series = tilted(4, 1.6)  # two rows of 0.8 mm
    written(series, tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.shape == (10, 18, 4)
    for k, ds in enumerate(series):
        np.testing.assert_array_equal(image.get_fdata()[:, 2 * k : 2 * k + 12, k], ds.pixel_array.T - 1024.0)


def test_planes_of_an_uneven_stack_reach_to_its_last_slice() -> None:
    series = make.ct_series(4)
    for ds, height in zip(series, (0.0, 2.0, 4.0, 7.0), strict=True):
        ds.ImagePositionPatient = [-20, -30, 100 + height]
    grid = resample.grid_of(planned(series), 12, 10)
    assert [tuple(round(w, 3) for _, w in parts) for parts in grid.parts] == [
        (1.0,),
        (1.0,),
        (1.0,),
        (0.333, 0.667),
        (1.0,),
    ]
    assert grid.parts[4] == ((3, 1.0),)


def test_its_axes_are_at_right_angles(tmp_path: Path) -> None:
    written(tilted(5, -0.63), tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    axes = image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    assert int(image.header["qform_code"]) == 1


@pytest.mark.parametrize(("shift", "missing"), [(0.63, None), (-0.63, None), (0.0, 3), (0.41, 2)])
def test_the_gate_s_own_interpolation_agrees(shift: float, missing: int | None, tmp_path: Path) -> None:
    found = passed(*written(tilted(7, shift, missing), tmp_path / "a.nii.gz"), tmp_path / "a.nii.gz")
    assert found.frames == (7 if missing is None else 6)
    assert found.worst_value <= 0.6  # rounding to integers


@given(st.floats(-3, 3), st.integers(2, 6))
def test_a_plane_stays_a_plane(shift: float, slices: int) -> None:
    """Linear interpolation gives back what is linear, away from the edges."""
    volume = planned(tilted(slices, shift)) if abs(shift) > 0.3 else planned(tilted(slices, 0.5))
    grid = resample.grid_of(volume, 12, 10)

    def value(lps: np.ndarray) -> np.ndarray:
        return np.asarray(lps @ [1.5, -0.7, 0.3])

    def corners(affine: np.ndarray, k: int, rows: int, columns: int) -> np.ndarray:
        j, i = np.mgrid[:rows, :columns]
        return np.stack([i, j, np.full_like(i, k), np.ones_like(i)], -1) @ affine.T[:, :3] * [-1, -1, 1]

    sources = [value(corners(volume.affine, k, 12, 10)) for k in range(slices)]
    covered = list(resample.planes(grid, [np.ones((12, 10))] * slices, 0.0))
    for k, plane in enumerate(resample.planes(grid, sources, 0.0)):
        expected = value(corners(grid.affine, k, grid.rows, grid.columns))
        inside = covered[k] > 1 - 1e-9
        assert inside.sum() >= 11 * 9
        np.testing.assert_allclose(plane[inside], expected[inside], atol=1e-6)


def test_a_wrong_value_or_a_wrong_place_does_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    volume, pixels, fill = written(tilted(5, 0.63), path)
    wrong = [pixels[0], pixels[2], pixels[1], *pixels[3:]]
    with pytest.raises(CannotSucceed, match="differ from those interpolated"):
        passed(volume, wrong, fill, path)
    with pytest.raises(CannotSucceed, match="gate: slice"):
        passed(replace(volume, places=np.add(volume.places, [0, 0.4, 0])), pixels, fill, path)


def test_a_grid_that_cuts_something_off_does_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    volume, pixels, fill = written(tilted(5, 0.63), path)
    far = replace(volume.frames[4], position=(-20.0, 200.0, 110.0))
    with pytest.raises(CannotSucceed, match="slice 5 of the source reaches out"):
        passed(replace(volume, frames=(*volume.frames[:4], far)), pixels, fill, path)


def test_colour_is_interpolated_by_channel_and_black_outside(tmp_path: Path) -> None:
    volume = planned(tilted(3, 0.4))
    grid = resample.grid_of(volume, 12, 10)
    pictures = [np.random.default_rng(k).integers(0, 256, (12, 10, 3)).astype(np.uint8) for k in range(3)]
    planes = list(resample.planes(grid, pictures, resample.lowest(pictures)))
    np.testing.assert_array_equal(planes[0][:12], pictures[0])
    assert planes[0][12:].max() == 0
    for channel in range(3):
        alone = list(resample.planes(grid, [p[..., channel] for p in pictures], 0.0))
        np.testing.assert_array_equal(planes[1][..., channel], alone[1])


@pytest.mark.parametrize("shift", [1.6, 0.63, -0.63])  # by whole pixels, and by parts of one
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_where_it_was_and_passes_the_gate(shift: float, odd: float, tmp_path: Path) -> None:
    series = tilted(4, shift)
    volume, grid = planned(series), resample.grid_of(planned(series), 12, 10)
    pixels = [ds.pixel_array.astype("f4") for ds in series]
    pixels[1][3:5, 4], pixels[2][:] = odd, odd
    fill = resample.lowest(pixels)
    path = tmp_path / "a.nii.gz"
    header = NiftiHeader(shape=(grid.columns, grid.rows, grid.slices, 1), dtype=np.dtype("f4"), affine=grid.affine)
    write(path, header, resample.planes(grid, pixels, fill))
    values = Values(dtype=np.dtype("f4"))
    assert gate.check(path, volume, values, pixels, "nii.gz", fill).frames == 4
    image = nibabel.load(path).get_fdata()
    assert np.isfinite(image[:, :, [0, 3]]).all()
    if shift == 1.6:
        assert (~np.isfinite(image[:, :, 1])).sum() == 2
    image[3, 8, 1] += 500.0  # beside infinity a wrong number is wrong
    write(path, header, list(image.astype("f4").transpose(2, 1, 0)))
    with pytest.raises(CannotSucceed, match="gate: slice 2"):
        gate.check(path, volume, values, pixels, "nii.gz", fill)


def test_where_every_value_is_no_number_nothing_is_interpolated() -> None:
    with pytest.raises(CannotSucceed, match="every value is NaN or infinite"):
        resample.lowest([np.full((2, 2), np.nan, "f4")])
