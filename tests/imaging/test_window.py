"""Windows are the formulas of PS3.3, rise with the value, and never leave 0 to 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging.window import FUNCTIONS, PRESETS, Function, Window, percentile_window

VALUES = st.floats(-70_000, 70_000, width=64)
CENTERS = st.floats(-5_000, 5_000)
WIDTHS = st.floats(1, 10_000)


def linear(x: float, c: float, w: float) -> float:
    """C.11.2.1.2.1, word for word, with y from 0 to 1."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 1.0
    return (x - (c - 0.5)) / (w - 1) + 0.5


def linear_exact(x: float, c: float, w: float) -> float:
    """C.11.2.1.3.2."""
    if x <= c - w / 2:
        return 0.0
    if x > c + w / 2:
        return 1.0
    return (x - c) / w + 0.5


def sigmoid(x: float, c: float, w: float) -> float:
    """C.11.2.1.3.1."""
    exponent = -4 * (x - c) / w
    return 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))


FORMULAS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def share(window: Window, *values: float) -> np.ndarray:
    return window.share(np.array(values, np.float64))


@pytest.mark.parametrize("function", FUNCTIONS)
@given(x=VALUES, center=CENTERS, width=WIDTHS)
def test_a_window_is_the_formula_of_the_standard(function: Function, x: float, center: float, width: float) -> None:
    found = share(Window(center=center, width=width, function=function), x)
    # At the ends of a window one unit wide the formula jumps by what floats lose of a center of thousands.
    near = 1e-9 * (abs(center) + abs(x) + 1)
    expected = {FORMULAS[function](x + shift, center, width) for shift in (0.0, near, -near)}
    assert min(expected) - 1e-6 <= found[0] <= max(expected) + 1e-6


@pytest.mark.parametrize("function", FUNCTIONS)
@given(values=st.lists(VALUES, min_size=2, max_size=30), center=CENTERS, width=WIDTHS)
def test_a_window_rises_and_stays_between_black_and_white(
    function: Function, values: list[float], center: float, width: float
) -> None:
    found = share(Window(center=center, width=width, function=function), *sorted(values))
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_the_example_of_the_standard_is_black_and_white_at_its_ends() -> None:
    """C.11.2.1.2.1, note: c=2048, w=4096 maps 0 to black and 4095 to white; c=0, w=100 does -50 and 49."""
    assert share(Window(center=2048, width=4096), 0, 4095).tolist() == [0, 1]
    assert share(Window(center=0, width=100), -50.0, 49.0).tolist() == [0, 1]
    assert share(Window(center=0, width=100, function="LINEAR_EXACT"), -50.0, 50.0).tolist() == [0, 1]


def test_a_linear_window_one_wide_is_a_threshold() -> None:
    assert share(Window(center=10, width=1), 9.4, 9.5, 9.6).tolist() == [0, 0, 1]


def test_what_is_no_number_is_black_and_infinity_is_an_end() -> None:
    for function in FUNCTIONS:
        window = Window(center=0, width=10, function=function)
        assert share(window, math.nan, -math.inf, math.inf).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(center=0, width=0.5), "LINEAR window of width 0.5"),
        (Window(center=0, width=0, function="SIGMOID"), "width 0"),
        (Window(center=0, width=-3, function="LINEAR_EXACT"), "width -3"),
        (Window(center=math.nan, width=4), "not finite"),
    ],
)
def test_a_window_that_the_standard_does_not_allow_says_why(window: Window, words: str) -> None:
    assert words in (window.problem() or "")


def test_the_named_windows_are_sound() -> None:
    assert set(PRESETS) == {"lung", "bone", "brain", "soft_tissue"}
    assert not [window for window in PRESETS.values() if window.problem()]
    lung, brain = PRESETS["lung"], PRESETS["brain"]
    assert 0.2 < share(lung, -850)[0] < 0.5  # normal lung is dark grey
    assert share(brain, 35)[0] - share(brain, 28)[0] > 0.08  # grey and white matter are told apart


@given(values=st.lists(st.integers(-3000, 3000), min_size=2, max_size=200))
def test_percentiles_are_those_of_all_values(values: list[int]) -> None:
    half = len(values) // 2
    found = percentile_window([np.array(values[:half]), np.array(values[half:])], (5, 95))
    low, high = np.percentile(values, (5, 95))
    assert found is not None
    assert found.center == pytest.approx((low + high) / 2)
    assert found.width == pytest.approx(high - low, abs=1e-9)
    assert found.problem() is None


def test_percentiles_of_many_frames_come_from_an_even_sample() -> None:
    frames = (np.arange(1_000_000) % 1000 for _ in range(20))
    found = percentile_window(frames, (10, 90))
    assert found is not None
    assert found.center == pytest.approx(499.5, abs=1)
    assert found.width == pytest.approx(799, abs=2)


def test_values_without_a_number_make_no_window() -> None:
    assert percentile_window([np.array([math.nan, math.inf])], (1, 99)) is None
    assert percentile_window([], (1, 99)) is None


def test_a_flat_image_is_black_and_not_an_error() -> None:
    found = percentile_window([np.full(9, 7.0)], (1, 99))
    assert found is not None
    assert found.share(np.full(4, 7.0)).tolist() == [0] * 4
