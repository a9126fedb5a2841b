"""Text that was drawn is found where it is, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpus.font import ADVANCE, FONT, HEIGHT, WIDTH, Drawn, draw, legible, letters


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (60, 300)).astype(np.uint16)


def test_every_letter_has_its_shape_and_no_two_have_the_same() -> None:
    assert {mask.shape for mask in FONT.values()} == {(HEIGHT, WIDTH)}
    assert len({mask.tobytes() for mask in FONT.values()}) == len(FONT) == 41


@given(st.text(st.sampled_from(sorted(FONT)), min_size=1, max_size=12), st.integers(1, 3), st.integers(0, 9))
def test_all_letters_that_were_drawn_are_legible(text: str, scale: int, seed: int) -> None:
    pixels, line = image(seed), Drawn(text, 5, 7, scale)
    draw(pixels, line, 4000)
    assert legible(pixels, line) == letters(line)


@given(st.text(st.sampled_from(sorted(FONT)), min_size=1, max_size=12), st.integers(0, 9))
def test_nothing_is_legible_where_nothing_was_drawn(text: str, seed: int) -> None:
    line = Drawn(text, 5, 7, 2)
    assert legible(image(seed), line) == 0
    assert legible(np.zeros((60, 300)), line) == 0


def test_half_of_a_line_that_is_left_is_found() -> None:
    pixels, line = image(), Drawn("INVENTED NAME", 5, 7, 2)
    draw(pixels, line, 4000)
    pixels[:, : 7 + 2 * ADVANCE * 6] = 0
    assert legible(pixels, line) == letters(Drawn("ED NAME", 0, 0))


def test_one_letter_that_is_left_is_found() -> None:
    pixels, line = image(), Drawn("INVENTED", 5, 7, 2)
    draw(pixels, line, 4000)
    pixels[:, 7 + 2 * ADVANCE :] = 0
    assert legible(pixels, line) == 1


def test_text_that_is_only_dimmed_or_inverted_is_found() -> None:
    pixels, line = image(), Drawn("INVENTED", 5, 7, 2)
    draw(pixels, line, 4000)
    assert legible(pixels // 8, line) == legible(4000 - pixels, line) == letters(line)


def test_a_line_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        draw(image(), Drawn("A" * 30, 0, 0, 2), 1)
