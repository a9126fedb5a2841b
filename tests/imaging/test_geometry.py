"""One affine from positions, exactly, or a reason with numbers."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.geometry import affine_of, check_plane, plane_corners, stack
from node.imaging.nifti import NiftiHeader

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SPACING = (0.8, 0.7)


def line(count: int, step: tuple[float, float, float] = (0, 0, 2.5)) -> np.ndarray:
    return np.array([-20.0, -30.0, 100.0]) + np.outer(np.arange(count), step)


def test_the_affine_is_the_equation_of_the_standard_with_left_and_posterior_turned() -> None:
    found = stack(line(4), AXIAL, SPACING, 2.5)
    # PS3.3 C.7.6.2.1.1 for column 3, row 2 of slice 1: LPS (-20 + 3 x 0.7, -30 + 2 x 0.8, 102.5).
    np.testing.assert_allclose(found.affine @ [3, 2, 1, 1], [17.9, 28.4, 102.5, 1])
    assert found.slices == ((0,), (1,), (2,), (3,))
    assert not found.assumed_thickness


def test_the_order_of_arrival_does_not_matter() -> None:
    shuffled = [2, 0, 3, 1]
    found = stack(line(4)[shuffled], AXIAL, SPACING, None)
    assert [shuffled[frames[0]] for frames in found.slices] == [0, 1, 2, 3]
    np.testing.assert_array_equal(found.affine, stack(line(4), AXIAL, SPACING, None).affine)


def test_the_step_is_measured_and_never_the_slice_thickness() -> None:
    assert stack(line(4), AXIAL, SPACING, 5.0).affine[2, 2] == pytest.approx(2.5)


def test_one_position_takes_the_thickness_and_says_so() -> None:
    found = stack(line(1), AXIAL, SPACING, 5.0)
    assert found.affine[2, 2] == 5.0
    assert found.assumed_thickness


def test_several_images_at_every_position_are_kept_together() -> None:
    found = stack(np.vstack([line(3), line(3)]), AXIAL, SPACING, None)
    assert found.slices == ((0, 3), (1, 4), (2, 5))


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (line(4, (0, 0.6, 2.5)), r"tilted by 13\.50 degrees: slices shift 1\.80 mm"),
        (line(5)[[0, 1, 2, 4]], r"4 slices 2\.500 to 5\.000 mm apart"),
        (np.vstack([line(3), line(2)]), "3 slice positions with 1 to 2 images each: ragged"),
        (np.vstack([line(1), np.add(line(1), [50, 0, 0])]), r"lie 50\.000 mm apart, beside each other"),
    ],
    ids=["tilt", "gap", "ragged", "side by side"],
)
def test_what_is_no_uniform_stack_is_refused_with_its_numbers(positions: np.ndarray, message: str) -> None:
    with pytest.raises(CannotSucceed, match=message):
        stack(positions, AXIAL, SPACING, 2.5)


def test_a_tilted_stack_is_taken_as_it_is_where_that_is_asked_for() -> None:
    found = stack(line(4, (0, 0.6, 2.5)), AXIAL, SPACING, None, sheared=True)
    assert found.tilt.startswith("tilted by 13.50 degrees")
    assert np.allclose(found.affine[:3, 2], [0, -0.6, 2.5])
    assert stack(line(4), AXIAL, SPACING, None, sheared=True).tilt == ""


def test_one_position_without_thickness_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="no slice thickness"):
        stack(line(1), AXIAL, SPACING, None)


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
    assert len(stack(positions, np.round(exact, 4), SPACING, None).slices) == 60


angles = st.floats(-np.pi, np.pi)
lengths = st.floats(0.1, 8)


@given(angles, angles, angles, lengths, lengths, lengths, st.integers(2, 40))
def test_every_frame_is_where_its_own_header_says(
    a: float, b: float, c: float, row: float, column: float, step: float, count: int
) -> None:
    rotation = nibabel.eulerangles.euler2mat(a, b, c)
    orientation = tuple(np.concatenate([rotation[:, 0], rotation[:, 1]]))
    positions = line(count, tuple(np.cross(orientation[:3], orientation[3:]) * step))
    found = stack(positions[::-1], orientation, (row, column), None)
    for k, (n,) in enumerate(found.slices):
        corners = plane_corners(positions[::-1][n], orientation, (row, column), (12, 10))
        voxels = np.array([[0, 0, k, 1], [9, 0, k, 1], [0, 11, k, 1], [9, 11, k, 1]])
        np.testing.assert_allclose(voxels @ found.affine[:3].T, corners, atol=1e-9)


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
