"""Which slices a mask is made on, and what a slice is when images make none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from node.imaging.grid import Grid, Image, grids_of, places_in, read_image
from tests import make


def read(instances: list[FileDataset], folder: Path) -> list[Image]:
    found = [read_image(path) for path in make.write_all(instances, folder)]
    assert all(found)
    return [image for image in found if image is not None]


def only(instances: list[FileDataset], folder: Path) -> Grid:
    ((grid,), reasons) = grids_of(read(instances, folder))
    assert not reasons
    return grid


def test_a_series_is_one_grid_in_order_of_position_whatever_the_order_of_files(tmp_path: Path) -> None:
    images = make.ct_series(4, rows=6, columns=7)
    grid = only(images[::-1], tmp_path)
    assert grid.instances == tuple(ds.SOPInstanceUID for ds in images)
    assert (grid.shape, grid.volume.slices, grid.volume.times) == ((6, 7), 4, 1)
    assert grid.millilitres == pytest.approx(0.8 * 0.7 * 2.5 / 1000)
    assert grid.planes.step == pytest.approx(2.5)


def test_a_fourth_dimension_is_left_away(tmp_path: Path) -> None:
    grid = only([make.enhanced_mr(slices=4, volumes=2)], tmp_path)
    assert (len(grid.volume.frames), grid.volume.times) == (4, 1)
    assert np.allclose([frame.position[2] for frame in grid.volume.frames], [50, 53, 56, 59])


def test_images_that_make_no_volume_say_why(tmp_path: Path) -> None:
    images = make.ct_series(4)
    images[3].ImagePositionPatient[2] += 5
    images[0].ImageOrientationPatient = None
    grids, reasons = grids_of(read(images, tmp_path))
    assert not grids
    assert reasons[images[0].SOPInstanceUID] == "no 'Image Orientation (Patient)'"
    assert reasons[images[1].SOPInstanceUID].startswith("3 slices 2.500 to 7.500 mm apart")


def test_what_has_no_pixels_is_no_image(tmp_path: Path) -> None:
    assert read_image(make.write(make.report(), tmp_path / "report.dcm")) is None


def test_frames_are_found_on_the_slices_that_they_coincide_with_and_on_no_others(tmp_path: Path) -> None:
    grid = only(make.ct_series(4, rows=6, columns=7), tmp_path)
    frames = grid.volume.frames
    assert places_in(grid, frames[::-1], (6, 7)) == [3, 2, 1, 0]
    assert places_in(grid, frames, (7, 6)) is None
    x, y, z = frames[1].position
    assert places_in(grid, [replace(frames[1], position=(x, y, z + 0.5))], (6, 7)) is None
    assert places_in(grid, [replace(frames[1], spacing=(0.8, 0.8))], (6, 7)) is None
    assert places_in(grid, [replace(frames[1], orientation=(0.0, 1.0, 0.0, 1.0, 0.0, 0.0))], (6, 7)) is None
