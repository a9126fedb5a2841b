"""A head of numbers: slices of a CT that compress as real ones do, for the speed of compressors depends on what they
compress.

Air, skin, skull, brain and ventricles are ellipses whose size changes from slice to slice, with edges as wide as a
reconstruction makes them. The noise of a CT is not white: filtered back projection leaves it correlated over some
pixels, so that neighbours are often equal and differ by one or two otherwise. White noise takes more than half as much
again in a .gz, and deflate, which then finds no matches, is nearly twice as fast at its default level.

Bytes of .gz per voxel and, of one processor, MB/s, seven slices each:

                                          isal level 1    zlib level 1    zlib level 6
    real (ct_straight_28 of dcm_qa_ct)    0.89    296     0.86     70     0.77     14
    these                                 0.87    318     0.82     79     0.72     14
    a ramp with white noise               1.49    371     1.36     51     1.34     24
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_FIELDS = 8
"""Fields of noise that are made; each slice takes one, shifted by a number of pixels of its own."""

# Stored values are HU + 1024. (half height, half width, as shares of the image; value; sd of the noise; its texture)
_AIR = 24.0, 2.6
_ORGANS = (
    (0.44, 0.36, 1090.0, 14.0),  # scalp
    (0.42, 0.34, 2300.0, 100.0),  # skull
    (0.385, 0.305, 1058.0, 13.0),  # brain
    (0.12, 0.05, 1034.0, 13.0),  # ventricles
)
_EDGE = 1.5
"""Pixels over which a value changes into the next: the width of a sharp kernel."""


def slice_of(rows: int, number: int, slices: int) -> NDArray[np.int16]:
    """(rows, rows), HU + 1024, of slice `number` from 0; the same for the same arguments."""
    y, x = np.ogrid[-0.5 : 0.5 : rows * 1j, -0.5 : 0.5 : rows * 1j]
    size = 0.75 + 0.25 * np.sin(np.pi * (number + 0.5) / slices)
    value, spread = np.full((rows, rows), _AIR[0]), np.full((rows, rows), _AIR[1])
    for height, width, level, noise in _ORGANS:
        height, width = height * size, width * size
        # Distance to the edge in pixels, as good as it has to be.
        inside = (1 - np.hypot(y / height, x / width)) * min(height, width) * rows
        share = np.clip(inside / _EDGE + 0.5, 0, 1)
        value += share * (level - value)
        spread += share * (noise - spread)
    shift = np.random.default_rng(number).integers(0, rows, 2)
    grain = np.roll(_noise(rows, number % _FIELDS), tuple(int(n) for n in shift), (0, 1))
    return np.asarray(np.clip(np.rint(value + spread * grain), 0, 4095), np.int16)


@lru_cache(maxsize=_FIELDS)
def _noise(rows: int, seed: int) -> NDArray[np.float64]:
    """Noise of mean 0 and sd 1, correlated over some pixels: white, filtered in the frequency domain."""
    white = np.random.default_rng(1000 + seed).normal(size=(rows, rows))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(rows)[None, :])
    # Rises as a ramp from low frequencies, as filtered back projection does, and falls off with the kernel.
    power = (0.02 + frequency) * np.exp(-((frequency / _CUTOFF) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(white) * power, (rows, rows))
    return np.asarray((field - field.mean()) / field.std())


_CUTOFF = 0.12
"""Cycles per pixel."""
