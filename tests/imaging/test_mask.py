"""A mask takes the pixels that it says, as they are stored, and no bit beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.layout import Layout
from node.imaging.mask import (
    LARGEST,
    Cut,
    Rectangle,
    Stencil,
    black_stored,
    has_strip,
    mask_of,
    outside,
    without_unused_bits,
)

_NUMBERS = st.integers(0, 12)
_RECTANGLES = st.builds(Rectangle, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS)


def _layout(**changes: object) -> Layout:
    values: dict[str, object] = {
        "transfer_syntax": "1.2.840.10008.1.2.1", "keyword": "PixelData", "rows": 6, "columns": 8, "samples": 1,
        "frames": 1, "allocated": 16, "stored": 12, "signed": False, "photometric": "MONOCHROME2", "planar": False,
    }  # fmt: skip
    return Layout(**{**values, **changes})  # type: ignore[arg-type]  # one dict of several types


def _colour(photometric: str = "RGB", **changes: object) -> Layout:
    return _layout(samples=3, allocated=8, stored=8, photometric=photometric, **changes)


def _noise(size: int) -> bytes:
    return np.random.default_rng(size).integers(1, 256, size).astype(np.uint8).tobytes()


@given(cuts=st.lists(st.builds(Cut, st.none() | _RECTANGLES, st.booleans())))
def test_a_pixel_is_as_the_last_cut_over_it_says(cuts: list[Cut]) -> None:
    mask = mask_of(cuts, 7, 9)
    for y in range(7):
        for x in range(9):
            over = [c for c in cuts if c.area is None or (c.area.left <= x < c.area.right and c.area.top <= y < c.area.bottom)]  # fmt: skip  # noqa: E501
            assert mask[y, x] == (bool(over) and not over[-1].keep)


@given(kept=st.lists(_RECTANGLES))
def test_outside_is_what_is_in_no_rectangle(kept: list[Rectangle]) -> None:
    inside = mask_of([Cut(area) for area in kept], 7, 9)
    np.testing.assert_array_equal(outside(kept, 7, 9), ~inside)


def test_what_lies_beside_the_frame_takes_nothing() -> None:
    assert not mask_of([Cut(Rectangle(9, 0, 20, 7)), Cut(Rectangle(-5, -5, 0, 3))], 7, 9).any()
    assert mask_of([Cut(Rectangle(-5, 6, 100, 100))], 7, 9).sum() == 9


def test_a_frame_beyond_sense_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(CannotSucceed, match="too many"):
        mask_of((), LARGEST, 2)


_MASK = mask_of([Cut(Rectangle(1, 2, 4, 5)), Cut(Rectangle(7, 0, 8, 1))], 6, 8)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_samples_of_every_width_are_blacked_and_the_rest_stays_bit_by_bit(bits: int, frames: int) -> None:
    data = _noise(frames * 6 * 8 * bits // 8)
    after = black_stored(data, _layout(allocated=bits, stored=bits), _MASK)
    cells = np.frombuffer(after, np.uint8).reshape(frames, 6, 8, bits // 8)
    assert not cells[:, _MASK].any()
    before = np.frombuffer(data, np.uint8).reshape(frames, 6, 8, bits // 8)
    np.testing.assert_array_equal(cells[:, ~_MASK], before[:, ~_MASK])


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("photometric", "black"), [("RGB", (0, 0, 0)), ("YBR_FULL", (0, 128, 128))])
def test_colour_is_blacked_by_pixel_and_by_plane(photometric: str, black: tuple[int, ...], planar: bool) -> None:
    data = _noise(2 * 6 * 8 * 3)
    after = black_stored(data, _colour(photometric, planar=planar), _MASK)

    def pixels(stored: bytes) -> np.ndarray:
        flat = np.frombuffer(stored, np.uint8)
        return flat.reshape(2, 3, 6, 8).transpose(0, 2, 3, 1) if planar else flat.reshape(2, 6, 8, 3)

    assert (pixels(after)[:, _MASK] == black).all()
    np.testing.assert_array_equal(pixels(after)[:, ~_MASK], pixels(data)[:, ~_MASK])


def test_pixels_that_share_their_colour_go_together() -> None:
    data = _noise(6 * 8 * 2)
    after = np.frombuffer(black_stored(data, _colour("YBR_FULL_422"), _MASK), np.uint8).reshape(6, 4, 4)
    touched = _MASK[:, 0::2] | _MASK[:, 1::2]
    assert (after[touched] == (0, 0, 128, 128)).all()
    np.testing.assert_array_equal(after[~touched], np.frombuffer(data, np.uint8).reshape(6, 4, 4)[~touched])
    with pytest.raises(CannotSucceed, match="pairs"):
        black_stored(data, _colour("YBR_FULL_422", columns=7), mask_of((), 6, 7))


@given(frames=st.integers(1, 8), rows=st.integers(1, 5), columns=st.integers(1, 7), seed=st.integers(0, 99))
def test_pixels_of_one_bit_go_wherever_in_a_byte_they_are(frames: int, rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2, frames * rows * columns).astype(np.uint8)
    mask = random.integers(0, 2, (rows, columns)).astype(bool)
    layout = _layout(allocated=1, stored=1, rows=rows, columns=columns, frames=frames)
    after = black_stored(np.packbits(bits, bitorder="little").tobytes(), layout, mask)
    found = np.unpackbits(np.frombuffer(after, np.uint8), bitorder="little")[: bits.size]
    expected = bits.reshape(frames, rows, columns).copy()
    expected[:, mask] = 0
    np.testing.assert_array_equal(found.reshape(frames, rows, columns), expected)


@pytest.mark.parametrize(
    "layout",
    [
        _layout(), _layout(allocated=1, stored=1), _layout(allocated=32, stored=32), _colour(), _colour("YBR_FULL"),
        _colour("YBR_FULL", planar=True), _colour("YBR_FULL_422"),
    ],
    ids=lambda layout: f"{layout.photometric} {layout.allocated} {layout.planar}",
)  # fmt: skip
@pytest.mark.parametrize("frames", [1, 3])
def test_a_stencil_does_the_same_to_as_many_frames_as_it_is_made_for_and_to_fewer(layout: Layout, frames: int) -> None:
    stencil = Stencil(layout, _MASK, 3)
    data = _noise(frames * layout.frame_bits // 8)
    assert stencil.over(data) == black_stored(data, layout, _MASK)
    with pytest.raises(CannotSucceed, match="where the header says"):
        stencil.over(bytes(3 * layout.frame_bits // 8 + 1))


@pytest.mark.parametrize(("signed", "after"), [(False, 0x0FFF), (True, 0xFFFF)])
def test_unused_bits_are_cleared_or_follow_the_sign(signed: bool, after: int) -> None:
    data = np.array([0xAFFF, 0x5123], "<u2").tobytes()
    found = np.frombuffer(without_unused_bits(data, _layout(signed=signed)), "<u2")
    assert found.tolist() == [after, 0x0123]


def test_a_strip_goes_from_edge_to_edge() -> None:
    rows, columns = mask_of([Cut(Rectangle(0, 3, 20, 6))], 12, 20), mask_of([Cut(Rectangle(5, 0, 9, 12))], 12, 20)
    assert has_strip(rows, 3, 1)
    assert not has_strip(rows, 4, 1)
    assert has_strip(columns, 1, 4)
    assert not has_strip(columns, 1, 5)
    assert not has_strip(mask_of([Cut(Rectangle(0, 0, 19, 11))], 12, 20), 1, 1)
    assert not has_strip(mask_of((), 12, 20), 1, 1)
