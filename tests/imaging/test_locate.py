"""Frames are found in files whose axes run any way; what has no source, or is mixed, is not whole."""

from __future__ import annotations

import gzip
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from node.errors import CannotSucceed
from node.imaging.attributes import Frame, frames_of
from node.imaging.layout import layout_of
from node.imaging.locate import Foreign, check_whole, load, search
from node.imaging.volumes import Volume, plan
from node.imaging.weighting import Weighting
from tests import make

SERIES = make.ct_series(4)


def planned() -> Volume:
    layout = layout_of(SERIES[0], "1.2.840.10008.1.2.1")
    (found,) = plan([frame for n, ds in enumerate(SERIES) for frame in frames_of(ds, layout, n)])
    assert isinstance(found, Volume)
    return found


def written(path: Path, data: np.ndarray, affine: np.ndarray, slope: float = 1, intercept: float = -1024) -> Foreign:
    """By nibabel. data (column, row, slice[, volume])."""
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_slope_inter(slope, intercept)
    path.write_bytes(gzip.compress(image.to_bytes()))
    return load(path)


def pixels(frame: Frame) -> np.ndarray:
    return np.asarray(SERIES[frame.instance].pixel_array)


VOLUME = planned()
DATA = np.stack([pixels(frame) for frame in VOLUME.frames]).T


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product([1, -1], repeat=3)))
def test_every_permutation_and_flip_of_axes_is_found(
    order: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path
) -> None:
    shape = np.array(DATA.shape)
    turn = np.zeros((4, 4))  # from the new voxels to the old ones
    for new, old in enumerate(order):
        turn[old, new] = signs[new]
        turn[old, 3] = 0 if signs[new] > 0 else shape[old] - 1
    turn[3, 3] = 1
    turned = DATA.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    file = written(tmp_path / "a.nii.gz", np.ascontiguousarray(turned), VOLUME.affine @ turn)
    assert all(search(frame, pixels(frame), [file]) is file for frame in VOLUME.frames)
    check_whole(file)


@pytest.mark.parametrize(
    "shift", [np.diag([1, 1, 1.02, 1]), np.array([[1, 0, 0, 0], [0, 1, 0, 0.2], [0, 0, 1, 0], [0, 0, 0, 1.0]])]
)
def test_a_frame_off_its_place_is_not_found(shift: np.ndarray, tmp_path: Path) -> None:
    file = written(tmp_path / "a.nii.gz", DATA, VOLUME.affine @ shift)
    assert search(VOLUME.frames[3], pixels(VOLUME.frames[3]), [file]) is None


def test_a_wrong_pixel_or_a_wrong_scale_is_not_found(tmp_path: Path) -> None:
    spoiled = DATA.copy()
    spoiled[3, 4, 2] += 1
    file = written(tmp_path / "a.nii.gz", spoiled, VOLUME.affine)
    found = [search(frame, pixels(frame), [file]) is not None for frame in VOLUME.frames]
    assert found == [True, True, False, True]
    with pytest.raises(CannotSucceed, match="3 of 4 slices in the file have a source frame"):
        check_whole(file)
    scaled = written(tmp_path / "b.nii.gz", DATA, VOLUME.affine, 2.0)
    assert search(VOLUME.frames[0], pixels(VOLUME.frames[0]), [scaled]) is None


def test_rescaled_floats_are_the_same_values(tmp_path: Path) -> None:
    file = written(tmp_path / "a.nii.gz", (DATA - 1024.0).astype(np.float32), VOLUME.affine, 1, 0)
    assert all(search(frame, pixels(frame), [file]) for frame in VOLUME.frames)


def four_dimensional(path: Path, weightings: list[list[Weighting]]) -> Foreign:
    """All slices twice, the second brighter by 1; weightings by volume and slice."""
    file = written(path, np.stack([DATA, DATA + 1], -1), VOLUME.affine)
    for t, row in enumerate(weightings):
        for frame, weighting in zip(VOLUME.frames, row, strict=True):
            moved = replace(frame, instance=10 * t + frame.instance, weighting=weighting)
            assert search(moved, pixels(frame) + np.int16(t), [file]) is file
    return file


def test_volumes_in_order_are_whole_and_mixed_or_reversed_ones_are_not(tmp_path: Path) -> None:
    first, second = Weighting(time=1.0, b_value=0.0), Weighting(time=2.0, b_value=0.0)
    check_whole(four_dimensional(tmp_path / "a.nii.gz", [[first] * 4, [second] * 4]))
    with pytest.raises(CannotSucceed, match="not in the order of acquisition times"):
        check_whole(four_dimensional(tmp_path / "b.nii.gz", [[second] * 4, [first] * 4]))
    odd = Weighting(time=1.0, b_value=1000.0)
    with pytest.raises(CannotSucceed, match="volume 1 mixes"):
        check_whole(four_dimensional(tmp_path / "c.nii.gz", [[first, first, odd, first], [second] * 4]))


def test_temporal_positions_that_number_images_mix_no_volumes(tmp_path: Path) -> None:
    numbers = [[Weighting(time=float(t), position=1 + k + 4 * t) for k in range(4)] for t in range(2)]
    check_whole(four_dimensional(tmp_path / "a.nii.gz", numbers))
    numbers[1][2] = replace(numbers[1][2], position=1)
    with pytest.raises(CannotSucceed, match="volume 1 mixes"):
        check_whole(four_dimensional(tmp_path / "b.nii.gz", numbers))
