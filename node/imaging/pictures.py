"""Frames of an instance as pictures: what a screen shows, as whole numbers of 8 or 16 bits.

Rows and columns stay as they are stored: nothing is turned or mirrored to an anatomical side. Grey frames go through
their header's display (`display`) or a chosen window, palettes through their tables, colour stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.aspect import aspect_of
from node.imaging.display import Display, Rescale, display_of, hounsfield, quantized
from node.imaging.functional import number_of, numbers_of, value_of
from node.imaging.layout import Array, Layout
from node.imaging.lookup import Floats
from node.imaging.overlays import Overlay, overlays_of, painted
from node.imaging.palette import Palette, palette_of
from node.imaging.pixels import Pixels
from node.imaging.resize import resized, square, within
from node.imaging.window import PRESETS, Window, percentile_window

Named = Literal["header", "lung", "bone", "brain", "soft_tissue", "percentile", "full"]

_LARGEST = 65500
"""Pixels of a side, after aspect: a header of a few bytes can ask for any."""
_DEFAULT_STAY = 100.0
_DISPLAYED_IN_FULL = 8
"""Bits: pixels of so many and without a window were made for a screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How frames become pictures, whatever file they go into."""

    window: Named | Window = "header"
    percentiles: tuple[float, float] = (1.0, 99.0)
    bits: Literal[8, 16] = 8
    square: bool = True
    """Pixels that are not square are made so."""
    longest: int = 0
    """Pixels of the longer side at most; 0 for no limit."""
    overlays: bool = False
    """Overlay planes are drawn in white."""


class Shown:
    """The pictures of one instance, made when they are asked for.

    Raises CannotSucceed, at once or at the first picture, when the header does not say how to show it with certainty.
    """

    def __init__(self, ds: Dataset, pixels: Pixels, look: Look) -> None:
        self._ds, self._pixels, self._look = ds, pixels, look
        self._palette = palette_of(ds, self.layout) if self.layout.photometric == "PALETTE COLOR" else None
        self._notes: dict[str, None] = {}
        self._display = cache(self._chosen)
        self._overlays: tuple[Overlay, ...] = ()
        if look.overlays:
            self._overlays, left_out = overlays_of(ds, self.layout)
            self._notes.update(dict.fromkeys(left_out))
        if self._grey and isinstance(look.window, str) and look.window in PRESETS and not hounsfield(ds, 0):
            raise CannotSucceed(f'window "{look.window}" is one of Hounsfield units, and these values are none')

    @property
    def layout(self) -> Layout:
        return self._pixels.layout

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided, as far as pictures were made; without values of the header that identify."""
        return tuple(self._notes)

    def automatic(self, number: int) -> bool:
        """Whether frame `number` (from 0) needs a window that is made from its values."""
        return self._grey and self._display(number).voi is None

    def values(self, numbers: Sequence[int]) -> Iterator[Floats]:
        """What a window is made from: the values of these frames, in one dimension, without padding."""
        for number, frame in zip(numbers, self._pixels.frames(numbers), strict=True):
            yield self._display(number).values(frame)

    def pictures(self, numbers: Sequence[int] | None = None, window: Window | None = None) -> Iterator[Array]:
        """Frames (numbers from 0; all by default) as (rows, columns[, 3]) of uint8 or uint16.

        window  for frames that need one made from values; None to make one from these frames, one for all of them, so
                that a cine does not flicker

        Raises CannotSucceed, naming the frame, as `Pixels.frames` does.
        """
        numbers = range(self.layout.frames) if numbers is None else numbers
        frames = self._pixels.frames(numbers)
        without = [n for n in numbers if self.automatic(n)] if window is None else []
        if len(numbers) == 1 and without:
            only = next(frames)  # decoded once for both
            window = percentile_window([self._display(numbers[0]).values(only)], self._look.percentiles)
            frames = iter([only])
        elif without:
            window = percentile_window(self.values(without), self._look.percentiles)
        for number, frame in zip(numbers, frames, strict=True):
            yield self._sized(painted(self._brightness(frame, number, window), self._overlays, number), number)

    @property
    def _grey(self) -> bool:
        return self._palette is None and self.layout.samples == 1

    def _brightness(self, frame: Array, number: int, window: Window | None) -> Array:
        bits = self._look.bits
        if isinstance(self._palette, Palette):
            return self._palette.rgb(frame, bits)
        if self.layout.samples == 3:
            return _colour(frame, self.layout, bits)
        display = self._display(number)
        if display.voi is None:
            if window is None:
                raise CannotSucceed(f"frame {number + 1}: no pixel has a value that can be shown")
            display = display.with_voi(window)
        return display.levels(frame, bits)

    def _chosen(self, number: int) -> Display:
        found = display_of(self._ds, self.layout, number)
        wanted = self._look.window
        if isinstance(wanted, Window):
            return found.with_voi(wanted)
        if wanted in PRESETS:
            return found.with_voi(PRESETS[wanted])
        if wanted == "header":
            self._notes.update(dict.fromkeys(found.notes))
        if wanted == "full" or (wanted == "header" and found.voi is None and self._made_for_a_screen):
            return found.with_voi(_full(self.layout, found))
        if wanted == "percentile":
            return found.with_voi(None)
        if found.voi is None:
            self._notes["no window in the header: one was made from percentiles"] = None
        return found

    @property
    def _made_for_a_screen(self) -> bool:
        return self.layout.keyword == "PixelData" and self.layout.stored <= _DISPLAYED_IN_FULL

    def _sized(self, picture: Array, number: int) -> Array:
        rows, columns = picture.shape[:2]
        if self._look.square:
            aspect, problem = aspect_of(self._ds, number)
            if problem:
                self._notes[problem] = None
            rows, columns = square(rows, columns, aspect)
        rows, columns = within(rows, columns, self._look.longest)
        if max(rows, columns) > _LARGEST:
            raise CannotSucceed(f"a picture of {columns} x {rows} pixels, more than {_LARGEST} a side")
        return resized(picture, rows, columns)


def stays(ds: Dataset, frames: int) -> tuple[list[float], bool]:
    """How long each frame of a cine stays, ms, and whether the header says so (PS3.3 C.7.6.5)."""
    vector = numbers_of(value_of(ds, "FrameTimeVector"))
    if len(vector) == frames > 1 and min(vector) >= 0 and sum(vector) > 0:
        # Each number is the time since the frame before; the last one stays as long as the one before it.
        return [*vector[1:], vector[-1]], True
    time, rate = number_of(value_of(ds, "FrameTime")), 0.0
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = rate or number_of(value_of(ds, keyword)) or 0.0
    one = time if time and time > 0 else 1000 / rate if rate > 0 else 0.0
    return [one or _DEFAULT_STAY] * frames, bool(one)


def _colour(frame: Array, layout: Layout, bits: int) -> Array:
    """RGB in 8 or 16 bits; samples of other sizes are spread over the whole of these."""
    if layout.stored == bits and not layout.signed:
        return np.asarray(frame.astype(np.uint8 if bits == 8 else np.uint16, copy=False))
    if layout.keyword != "PixelData" or layout.signed:
        raise CannotSucceed("colour that is signed or not of whole numbers, for which there is no rule")
    return quantized(frame.astype(float) / (2**layout.stored - 1), bits)


def _full(layout: Layout, display: Display) -> Window:
    """From the lowest value that the pixels can have to the highest, after the modality transformation."""
    if layout.keyword != "PixelData":
        raise CannotSucceed('window "full": pixels that are floats have no range of their own')
    low, high = (0.0, float(2**layout.stored - 1))
    if layout.signed:
        low, high = -float(2 ** (layout.stored - 1)), float(2 ** (layout.stored - 1) - 1)
    if isinstance(display.modality, Rescale):
        ends = sorted(end * display.modality.slope + display.modality.intercept for end in (low, high))
    else:
        ends = [0.0, float(2**display.modality.bits - 1)]
    return Window(center=(ends[0] + ends[1]) / 2, width=ends[1] - ends[0], function="LINEAR_EXACT")
