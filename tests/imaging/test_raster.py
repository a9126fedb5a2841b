"""Filling, against exact arithmetic: every vertex a fraction, every pixel asked on its own."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.imaging.raster import Patch, fill
from tests.contouring import Point, exactly

SHAPE = (14, 17)


def reference(path: list[Point]) -> np.ndarray:
    return exactly([path], SHAPE)


def filled(path: list[Point], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    whole = np.zeros(shape, bool)
    found = fill(np.array([[float(x), float(y)] for x, y in path]), shape)
    for patch in found or ():
        patch.put(whole)
    return whole


quarters = st.integers(-12, 80).map(lambda n: Fraction(n, 4))
odd = st.fractions(min_value=-3, max_value=20, max_denominator=97)


@given(st.lists(st.tuples(quarters, quarters), min_size=3, max_size=12))
def test_any_path_on_quarters_of_a_pixel_is_filled_as_exact_arithmetic_does(path: list[Point]) -> None:
    """Corners and edges on pixel centres, horizontal and vertical edges, paths that cross themselves and leave the
    slice: all of it is common on this lattice."""
    assert np.array_equal(filled(path), reference(path))


@given(st.lists(st.tuples(odd, odd), min_size=3, max_size=9))
def test_so_is_any_path_of_other_fractions(path: list[Point]) -> None:
    assert np.array_equal(filled(path), reference(path))


far = st.one_of(st.floats(-1e9, 1e9), st.integers(-3, 20).map(float))


@given(st.lists(st.tuples(far, far), min_size=3, max_size=9))
@example([(0.0, 0.0), (0.0, 2.2250738585e-313), (1.0, 0.0)])
@example([(0.0, 5.0), (9.0, 5.0 - 1e-323), (3.0, 0.0)])
def test_no_path_however_far_or_flat_it_is_makes_arithmetic_fail(path: list[tuple[float, float]]) -> None:
    for patch in fill(np.array(path), SHAPE) or ():
        assert patch.window(np.zeros(SHAPE)).shape == patch.pixels.shape


def test_a_path_with_an_edge_flatter_than_numbers_have_slopes_for_is_filled_as_one_with_a_level_edge() -> None:
    flat = fill(np.array([(2.0, 0.0), (9.0, 2.2250738585e-313), (5.0, 6.5)]), SHAPE)
    level = fill(np.array([(2.0, 0.0), (9.0, 0.0), (5.0, 6.5)]), SHAPE)
    assert flat is not None
    assert level is not None
    assert np.array_equal(flat[1].pixels, level[1].pixels)
    assert np.array_equal(flat[0].pixels | flat[1].pixels, level[0].pixels | level[1].pixels)  # on the path it is open


def square(low: int, high: int) -> list[Point]:
    a, b = Fraction(low), Fraction(high)
    return [(a, a), (b, a), (b, b), (a, b)]


def test_a_square_on_pixel_centres_has_its_edge() -> None:
    assert filled(square(3, 7)).sum() == 25


def test_a_keyhole_has_its_hole_and_not_the_line_to_it() -> None:
    h = Fraction(1, 2)
    keyhole = [(x + h, y + h) for x, y in [*square(1, 11), square(1, 11)[0], *square(4, 8)[::-1], square(4, 8)[3]]]
    got = filled(keyhole)
    assert np.array_equal(got, reference(keyhole))
    assert got.sum() == 100 - 16


def test_a_path_that_is_one_line_has_what_lies_on_it() -> None:
    line = [(Fraction(2), Fraction(2)), (Fraction(6), Fraction(4)), (Fraction(2), Fraction(2))]
    assert [tuple(x) for x in np.argwhere(filled(line))] == [(2, 2), (3, 4), (4, 6)]


@pytest.mark.parametrize("off", [1e-9, -1e-9])
def test_what_projection_leaves_of_a_coordinate_does_not_take_an_edge_away(off: float) -> None:
    whole = np.zeros(SHAPE, bool)
    for patch in fill(np.array([[3, 3], [7, 3], [7, 7], [3, 7]]) + off, SHAPE) or ():
        patch.put(whole)
    assert whole.sum() == 25


@pytest.mark.parametrize("path", [square(-9, -2), square(30, 40)], ids=["before", "beyond"])
def test_a_path_beside_the_slice_fills_nothing(path: list[Point]) -> None:
    assert fill(np.array(path, float), SHAPE) is None


def test_a_path_around_the_slice_fills_it() -> None:
    assert filled(square(-5, 40)).all()


def test_a_path_between_the_centres_of_pixels_fills_nothing() -> None:
    tiny = [(Fraction(x, 10), Fraction(y, 10)) for x, y in [(22, 22), (28, 22), (28, 28)]]
    assert not filled(tiny).any()


def test_a_disc_of_floats_has_the_pixels_within_its_radius() -> None:
    """Of 5000 corners, so that between polygon and circle there is no pixel."""
    turn = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    whole = np.zeros((64, 64), bool)
    for patch in fill(np.stack([31.3 + 20 * np.cos(turn), 30.7 + 20 * np.sin(turn)], 1), (64, 64)) or ():
        patch.put(whole)
    row, column = np.mgrid[:64, :64]
    assert np.array_equal(whole, np.hypot(column - 31.3, row - 30.7) <= 20)


def test_patches_are_joined_by_or_and_by_exclusive_or() -> None:
    one, two = (Patch(row=at, column=at, pixels=np.ones((3, 3), bool)) for at in (2, 4))
    assert Patch.joined([one, two], exclusive=False).count == 17
    exclusive = Patch.joined([one, two], exclusive=True)
    assert exclusive.count == 16
    assert (exclusive.row, exclusive.column, exclusive.pixels.shape) == (2, 2, (5, 5))
    assert Patch.joined([one], exclusive=True) is one
