"""One affine from positions, exactly, or a reason with numbers."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.geometry import (
    affine_of,
    check_plane,
    lanes,
    levels,
    off_uniform,
    plane_corners,
    tilt_of,
    tolerance_of,
    uniform_runs,
)
from node.imaging.nifti import NiftiHeader

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SPACING = (0.8, 0.7)


def line(count: int, step: tuple[float, float, float] = (0, 0, 2.5)) -> np.ndarray:
    return np.array([-20.0, -30.0, 100.0]) + np.outer(np.arange(count), step)


def test_the_affine_is_the_equation_of_the_standard_with_left_and_posterior_turned() -> None:
    found = affine_of(line(1)[0], np.array([0, 0, 2.5]), AXIAL, SPACING)
    # PS3.3 C.7.6.2.1.1 for column 3, row 2 of slice 1: LPS (-20 + 3 x 0.7, -30 + 2 x 0.8, 102.5).
    np.testing.assert_allclose(found @ [3, 2, 1, 1], [17.9, 28.4, 102.5, 1])


def test_the_order_of_arrival_does_not_matter() -> None:
    assert levels(line(4)[[2, 0, 3, 1]], AXIAL, 0.01) == [[1], [3], [0], [2]]


def test_images_of_one_height_are_one_level_in_the_order_they_were_given() -> None:
    assert levels(np.vstack([line(3), line(3)]), AXIAL, 0.01) == [[0, 3], [1, 4], [2, 5]]


def test_images_beside_each_other_are_stacks_of_their_own() -> None:
    both = np.vstack([line(3), np.add(line(3), [50, 0, 0])])
    assert lanes(both, AXIAL, 0.01) == [[0, 1, 2], [3, 4, 5]]
    assert lanes(line(3, (0, 0.6, 2.5)), AXIAL, 0.01) == [[0, 1, 2]]  # tilted is not beside


@pytest.mark.parametrize(
    ("heights", "pieces"),
    [
        ((0, 5, 10, 15), [(0, 4)]),
        ((0, 5, 10, 20), [(0, 3), (3, 4)]),
        ((0, 10, 15, 20), [(0, 1), (1, 4)]),
        ((0, 4, 8, 12, 19, 26), [(0, 4), (4, 6)]),
        ((0, 1, 10, 11), [(0, 2), (2, 4)]),
        ((7,), [(0, 1)]),
    ],
)
def test_what_is_not_uniform_is_cut_into_the_longest_pieces_that_are(
    heights: tuple[float, ...], pieces: list[tuple[int, int]]
) -> None:
    assert uniform_runs(np.outer(heights, [0, 0.1, 1.0]), 0.02) == pieces


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=30))
def test_every_slice_is_in_one_uniform_piece(steps: list[float]) -> None:
    centres = np.outer(np.cumsum([0, *steps]), [0, 0, 1.0])
    found = uniform_runs(centres, 0.02)
    assert [n for a, b in found for n in range(a, b)] == list(range(len(centres)))
    assert all(off_uniform(centres[a:b]) <= 0.02 for a, b in found)


def test_thousands_of_uneven_slices_are_cut_in_the_end() -> None:
    centres = np.outer(np.cumsum(np.arange(1200) ** 1.5), [0, 0, 1.0])
    assert uniform_runs(centres, 0.02)[-1][1] == 1200


def test_a_tilt_is_found_with_its_angle_and_its_shift() -> None:
    found = tilt_of(line(4, (0, 0.6, 2.5)), AXIAL, 0.016)
    assert found == pytest.approx((13.4957, 1.8), abs=1e-4)
    assert tilt_of(line(4), AXIAL, 0.016) is None
    assert tilt_of(line(1), AXIAL, 0.016) is None


@pytest.mark.parametrize(
    ("orientation", "spacing", "message"),
    [
        ((1, 0, 0, 0.1, 1, 0), SPACING, r"dot product 0\.1000"),
        ((2, 0, 0, 0, 1, 0), SPACING, r"lengths 2\.0000"),
        (AXIAL, (0.0, 1.0), r"'Pixel Spacing' is 0 x 1 mm"),
        (AXIAL, (-1.0, 1.0), "'Pixel Spacing' is -1 x 1 mm"),
    ],
)
def test_a_plane_that_is_none_is_refused(
    orientation: tuple[float, ...], spacing: tuple[float, float], message: str
) -> None:
    with pytest.raises(CannotSucceed, match=message):
        check_plane(orientation, spacing)


def test_rounding_of_positions_is_no_gap_and_rounding_of_cosines_no_tilt() -> None:
    angle = np.radians(17.123)
    exact = np.array([1, 0, 0, 0, np.cos(angle), np.sin(angle)])
    positions = np.round(line(60, tuple(np.cross(exact[:3], exact[3:]) * 2.5)), 2)
    near = tolerance_of(SPACING)
    assert uniform_runs(positions, near) == [(0, 60)]
    assert tilt_of(positions, tuple(np.round(exact, 4)), near) is None


angles = st.floats(-np.pi, np.pi)
lengths = st.floats(0.1, 8)


@given(angles, angles, angles, lengths, lengths, lengths, st.integers(2, 40))
def test_every_frame_is_where_its_own_header_says(
    a: float, b: float, c: float, row: float, column: float, step: float, count: int
) -> None:
    rotation = nibabel.eulerangles.euler2mat(a, b, c)
    orientation = tuple(np.concatenate([rotation[:, 0], rotation[:, 1]]))
    positions = line(count, tuple(np.cross(orientation[:3], orientation[3:]) * step))
    shuffled = positions[::-1]
    order = [n for (n,) in levels(shuffled, orientation, 0.01)]
    stacked = shuffled[order]
    affine = affine_of(stacked[0], (stacked[-1] - stacked[0]) / (count - 1), orientation, (row, column))
    for k, position in enumerate(stacked):
        corners = plane_corners(position, orientation, (row, column), (12, 10))
        voxels = np.array([[0, 0, k, 1], [9, 0, k, 1], [0, 11, k, 1], [9, 11, k, 1]])
        np.testing.assert_allclose(voxels @ affine[:3].T, corners, atol=1e-9)


@given(angles, angles, angles, lengths, lengths, lengths, st.sampled_from([1, -1]))
def test_a_qform_says_what_the_sform_says_or_has_no_code(
    a: float, b: float, c: float, row: float, column: float, step: float, side: int
) -> None:
    rotation = nibabel.eulerangles.euler2mat(a, b, c)
    orientation = tuple(np.concatenate([rotation[:, 0], rotation[:, 1]]))
    affine = affine_of(np.array([1.0, 2, 3]), rotation[:, 2] * step * side, orientation, (row, column))
    packed = NiftiHeader(shape=(10, 12, 5, 1), dtype=np.dtype("i2"), affine=affine).packed()
    header = nibabel.Nifti1Header(packed[:348])
    assert int(header["sform_code"]) == 1
    np.testing.assert_allclose(header.get_sform(), affine, atol=1e-5)
    far = [9, 11, 4, 1]
    apart = np.linalg.norm((header.get_qform() - affine) @ far)
    assert apart < (0.02 if int(header["qform_code"]) else 0.2)


def test_an_ordinary_axial_series_has_a_qform() -> None:
    affine = affine_of(np.array([-180.0, -180, 40]), np.array([0, 0, 2.5]), AXIAL, SPACING)
    header = nibabel.Nifti1Header(
        NiftiHeader(shape=(512, 512, 90, 1), dtype=np.dtype("i2"), affine=affine).packed()[:348]
    )
    assert int(header["qform_code"]) == 1
    np.testing.assert_allclose(header.get_qform(), affine, atol=1e-5)


def test_a_sheared_affine_has_no_qform_to_be_misread() -> None:
    affine = affine_of(np.zeros(3), np.array([0, 0.6, 2.5]), AXIAL, SPACING)
    header = nibabel.Nifti1Header(NiftiHeader(shape=(10, 12, 5, 1), dtype=np.dtype("i2"), affine=affine).packed()[:348])
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 1)
