"""Other sizes: nothing is lost of the mean, nothing goes beyond what was there, the middle stays the middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from node.imaging.resize import columns_of, montage, resized, square, within

PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)))
SIDES = st.integers(1, 40)


@given(PICTURES, SIDES, SIDES)
def test_a_new_size_stays_between_the_darkest_and_the_lightest(picture: np.ndarray, rows: int, columns: int) -> None:
    found = resized(picture, rows, columns)
    assert found.shape == (rows, columns)
    assert found.dtype == np.uint8
    assert picture.min() <= found.min() <= found.max() <= picture.max()


@given(PICTURES, st.integers(1, 5), st.integers(1, 5))
def test_a_reduced_picture_is_the_mean_of_its_areas(picture: np.ndarray, down: int, across: int) -> None:
    large = np.kron(picture, np.ones((down, across), np.uint8))
    np.testing.assert_array_equal(resized(large, *picture.shape), picture)


def test_areas_that_end_within_a_pixel_take_their_share_of_it() -> None:
    assert resized(np.array([[0, 90, 240]], np.uint8), 1, 2).tolist() == [[30, 190]]


@given(PICTURES, SIDES, SIDES)
def test_mirrored_in_mirrored_out(picture: np.ndarray, rows: int, columns: int) -> None:
    there = resized(picture, rows, columns)[::-1, ::-1].astype(int)
    assert np.abs(there - resized(picture[::-1, ::-1], rows, columns)).max() <= 1


def test_an_enlarged_ramp_stays_a_ramp() -> None:
    ramp = np.arange(0, 100, 10, dtype=np.uint16)[:, np.newaxis].repeat(2, axis=1)
    found = resized(ramp, 30, 2)[:, 0].astype(int)
    assert (np.diff(found) >= 0).all()
    assert found[1::3].tolist() == ramp[:, 0].tolist()  # old centres are new ones


def test_colour_is_resized_colour_by_colour() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    found = resized(picture, 20, 3)
    for plane in range(3):
        np.testing.assert_array_equal(found[..., plane], resized(picture[..., plane], 20, 3))


@pytest.mark.parametrize(
    ("rows", "columns", "aspect", "size"),
    [(100, 100, 2.0, (200, 100)), (100, 100, 0.5, (100, 200)), (64, 28, 1.6, (102, 28)), (7, 5, 1.0, (7, 5))],
)
def test_square_pixels_make_the_shorter_side_longer(
    rows: int, columns: int, aspect: float, size: tuple[int, int]
) -> None:
    assert square(rows, columns, aspect) == size


@pytest.mark.parametrize(
    ("rows", "columns", "longest", "size"),
    [(100, 50, 0, (100, 50)), (100, 50, 40, (40, 20)), (30, 20, 40, (30, 20)), (1000, 1, 10, (10, 1))],
)
def test_a_limit_reduces_and_never_enlarges(rows: int, columns: int, longest: int, size: tuple[int, int]) -> None:
    assert within(rows, columns, longest) == size


def test_a_montage_has_its_tiles_in_order_each_in_the_middle_of_its_field() -> None:
    tiles = [np.full((4, 6), n + 1, np.uint8) for n in range(4)] + [np.full((2, 2), 9, np.uint8)]
    sheet = montage(list(tiles))
    assert sheet.shape == (8, 18)
    assert [int(sheet[1, 1]), int(sheet[1, 7]), int(sheet[1, 13]), int(sheet[5, 1])] == [1, 2, 3, 4]
    assert sheet[4:, 6:12].tolist() == [[0] * 6, [0, 0, 9, 9, 0, 0], [0, 0, 9, 9, 0, 0], [0] * 6]
    assert not sheet[4:, 12:].any()


def test_grey_tiles_beside_colour_become_colour() -> None:
    sheet = montage([np.full((2, 2), 7, np.uint8), np.full((2, 2, 3), (1, 2, 3), np.uint8)])
    assert sheet[0, 0].tolist() == [7, 7, 7]
    assert sheet[0, 2].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("tiles", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (20, 5)])
def test_a_montage_is_about_as_wide_as_high(tiles: int, columns: int) -> None:
    assert columns_of(tiles) == columns
