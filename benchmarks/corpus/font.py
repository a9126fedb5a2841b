"""Text as pixels: a bitmap font of 5 x 7, and whether a place of an image still shows what was drawn there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

WIDTH, HEIGHT, ADVANCE = 5, 7, 6
"""Font pixels: of a letter, and from one letter to the next."""

# One hexadecimal pair per row, the leftmost of five pixels in bit 4.
_ROWS = """
A 0e11111f111111  B 1e11111e11111e  C 0e11101010110e  D 1e11111111111e  E 1f10101e10101f  F 1f10101e101010
G 0e11101711110f  H 1111111f111111  I 0e04040404040e  J 0702020202120c  K 11121418141211  L 1010101010101f
M 111b1515111111  N 11111915131111  O 0e11111111110e  P 1e11111e101010  Q 0e11111115120d  R 1e11111e141211
S 0f10100e01011e  T 1f040404040404  U 1111111111110e  V 11111111110a04  W 1111111515150a  X 11110a040a1111
Y 1111110a040404  Z 1f01020408101f
0 0e11131519110e  1 040c040404040e  2 0e11010204081f  3 1f02040201110e  4 02060a121f0202  5 1f101e0101110e
6 0608101e11110e  7 1f010204080808  8 0e11110e11110e  9 0e11110f01020c
- 00000000001f00  . 00000000000c0c  : 000c0c000c0c00  / 00010204081000  + 0004041f040400
"""
_SEEN = 0.5
"""Of the correlation between a letter and the pixels in its place: 1 where it stands clear, below 0.2 by chance."""


def _font() -> Mapping[str, np.ndarray]:
    words = _ROWS.split()
    letters = {}
    for letter, rows in zip(words[::2], words[1::2], strict=True):
        lines = [int(rows[at : at + 2], 16) for at in range(0, 2 * HEIGHT, 2)]
        letters[letter] = np.array([[line >> (WIDTH - 1 - x) & 1 for x in range(WIDTH)] for line in lines], bool)
    return MappingProxyType(letters)


FONT = _font()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line of text in an image. Rows and columns are pixels from 0, of its upper left corner."""

    text: str
    row: int
    column: int
    scale: int = 2
    """Image pixels per font pixel."""

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) that it covers."""
        return HEIGHT * self.scale, (ADVANCE * len(self.text) - 1) * self.scale


def draw(pixels: np.ndarray, line: Drawn, value: int) -> None:
    """Set the pixels of a line's letters in place. ValueError where it does not fit.

    pixels  (rows, columns) or (rows, columns, samples)
    """
    rows, columns = line.size
    if line.row + rows > pixels.shape[0] or line.column + columns > pixels.shape[1]:
        raise ValueError(f"a line of {len(line.text)} letters does not fit the image")
    for mask, row, column in _cells(line):
        pixels[row : row + mask.shape[0], column : column + mask.shape[1]][mask] = value


def legible(pixels: np.ndarray, line: Drawn) -> int:
    """How many letters of a line still stand out from what is around them; for one sample per pixel."""
    found = 0
    for mask, row, column in _cells(line):
        there = pixels[row : row + mask.shape[0], column : column + mask.shape[1]].astype(float)
        if there.shape == mask.shape and there.std() > 0 and mask.std() > 0:
            found += abs(float(np.corrcoef(there.ravel(), mask.ravel())[0, 1])) > _SEEN
    return found


def letters(line: Drawn) -> int:
    """How many letters a line has, without blanks."""
    return len(_cells(line))


def _cells(line: Drawn) -> list[tuple[np.ndarray, int, int]]:
    """(mask, row, column) of each letter."""
    return [
        (FONT[letter].repeat(line.scale, 0).repeat(line.scale, 1), line.row, line.column + n * ADVANCE * line.scale)
        for n, letter in enumerate(line.text)
        if letter != " "
    ]
