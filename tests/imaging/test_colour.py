"""YBR in every form of the standard becomes RGB."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.processing import convert_color_space

from node.errors import CannotSucceed
from node.imaging.colour import is_ybr, rgb, stands_for, upsampled
from node.imaging.decode import frames
from tests.imaging.layouts import layout

COLOURS = np.random.default_rng(7).integers(0, 256, (50, 40, 3)).astype(np.uint8)

# PS3.3 C.7.6.3.1.2, one row for each of Y, CB and CR.
FULL = np.array([[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]])
PARTIAL = np.array([[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]])


@pytest.mark.parametrize("stored", [8, 10, 12, 16])
@pytest.mark.parametrize(
    ("photometric", "equations", "floor"), [("YBR_FULL", FULL, 0), ("YBR_PARTIAL_422", PARTIAL, 1 / 16)]
)
def test_colour_that_the_equations_of_the_standard_took_apart_comes_back(
    photometric: str, equations: np.ndarray, floor: float, stored: int
) -> None:
    scale = (1 << stored) / 256
    given = np.round(COLOURS * scale)
    apart = np.round(given @ equations.T + np.array([floor, 0.5, 0.5]) * (1 << stored))
    frame = np.clip(apart, 0, (1 << stored) - 1).astype(np.uint8 if stored == 8 else np.uint16)
    back = rgb(photometric, frame, stored)
    assert back.dtype == frame.dtype
    # Whatever falls out of the range of the partial form is cut off there.
    assert np.abs(back - given).max() <= max(3, scale)


def test_eight_bits_are_as_pydicom_has_them() -> None:
    expected = convert_color_space(COLOURS, "YBR_FULL", "RGB")
    np.testing.assert_array_equal(rgb("YBR_FULL", COLOURS, 8), expected)


def test_ten_bits_are_four_times_eight_bits() -> None:
    wide = rgb("YBR_FULL", (COLOURS.astype(np.uint16) * 4), 10)
    assert np.abs(wide // 4 - rgb("YBR_FULL", COLOURS, 8).astype(int)).max() <= 1


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_ICT", "MONOCHROME2"])
def test_what_is_not_ybr_stays(photometric: str) -> None:
    assert not is_ybr(photometric)
    assert rgb(photometric, COLOURS, 8) is COLOURS


def test_a_sign_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="with a sign"):
        rgb("YBR_FULL", COLOURS.astype(np.int16), 16)


@given(st.integers(1, 6), st.integers(1, 6))
def test_pairs_of_pixels_share_their_chrominance(rows: int, pairs: int) -> None:
    flat = np.arange(rows * pairs * 4, dtype=np.uint16)
    full = upsampled(flat, rows, 2 * pairs)
    np.testing.assert_array_equal(full[:, :, 0].ravel(), flat.reshape(-1, 4)[:, :2].ravel())
    np.testing.assert_array_equal(full[:, 0::2, 1:], full[:, 1::2, 1:])
    np.testing.assert_array_equal(full[:, 0::2, 1:].reshape(-1, 2), flat.reshape(-1, 4)[:, 2:])


def test_an_odd_number_of_columns_makes_no_pairs() -> None:
    with pytest.raises(CannotSucceed, match="5 columns"):
        upsampled(np.zeros(20, np.uint8), 2, 5)


def test_native_half_colour_is_read_as_it_was_coded_or_as_rgb() -> None:
    found = layout((2, 4, 3), dtype=np.uint8, photometric="YBR_FULL_422")
    data = bytes([100, 110, 90, 200] * 4)
    coded = next(frames(found, data, rgb=False))
    np.testing.assert_array_equal(coded[0, :2], [[100, 90, 200], [110, 90, 200]])
    shown = next(frames(found, data))
    np.testing.assert_array_equal(shown, rgb("YBR_FULL", coded, 8))
    assert stands_for("YBR_FULL_422") == "YBR_FULL"


def test_colour_coded_as_it_was_keeps_its_name() -> None:
    names = {"YBR_FULL": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB", "XYB": "RGB", "PALETTE COLOR": "PALETTE COLOR"}
    assert {name: stands_for(name) for name in names} == names
