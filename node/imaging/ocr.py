"""Text in pixels: where it is, by somebody else's eyes. A detector finds boxes; what to do about them is not said here.

The one there is, rapidocr-onnxruntime (`pip install dicom-node[ocr]`), has its models in its wheel and takes 0.3 to
0.8 s a frame. It is imported when it is first asked.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from node.errors import CannotSucceed
from node.imaging.layout import Array
from node.imaging.mask import Cut, Mask, Rectangle, mask_of

Picture = npt.NDArray[np.uint8]
"""(rows, columns, 3), 0 to 255: what a person would see of a frame, with no window of grey values left out."""

_PACKAGE = "rapidocr_onnxruntime"
_BUT_FOR_A_FEW, _NARROW = (1, 99), 0.5
"""Percentiles of the second stretch, and the part of the whole range below which it is tried."""
_MARGIN = 3
"""Pixels around a box: detectors draw it close to the letters."""


class Detector(Protocol):
    """Finds text in a picture."""

    def boxes(self, picture: Picture) -> list[Rectangle]:
        """Where text is, read or not."""
        ...

    def texts(self, picture: Picture) -> list[str]:
        """What it reads."""
        ...


class RapidOcr:
    """rapidocr-onnxruntime 1.4: `engine(image, use_det=, use_cls=, use_rec=)` gives (results, seconds)."""

    def __init__(self, engine: Callable[..., Any]) -> None:
        self._engine = engine

    def boxes(self, picture: Picture) -> list[Rectangle]:
        """By detection alone, which takes half the time and finds what cannot be read as well."""
        found, _ = self._engine(picture, use_det=True, use_cls=False, use_rec=False)
        return [_around(corners) for corners in found or ()]

    def texts(self, picture: Picture) -> list[str]:
        found, _ = self._engine(picture)
        return [str(text) for _, text, *_ in found or ()]


def is_installed() -> bool:
    return find_spec(_PACKAGE) is not None


@cache
def rapid_ocr() -> RapidOcr:
    """The detector, its models loaded once in a process. Raises CannotSucceed where it is not installed."""
    if not is_installed():
        raise CannotSucceed("text in pixels is looked for by rapidocr-onnxruntime: pip install dicom-node[ocr]")
    # One thread: there is a worker for each processor, and waiting threads would spin (measured: twice the time).
    return RapidOcr(importlib.import_module(_PACKAGE).RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1))


def texts_of(frame: Array) -> list[str]:
    """What the detector reads in a decoded frame, (rows, columns) or (rows, columns, 3). Raises CannotSucceed."""
    return rapid_ocr().texts(picture_of(frame, np.zeros(frame.shape[:2], np.bool_)))


def text_mask(frames: Iterable[Array], mask: Mask, detector: Detector) -> Mask:
    """Where a detector sees text in any of the frames, beside the pixels that `mask` takes already.

    One mask for all frames: a line that stands still is not seen in each of them.
    """
    found = np.zeros_like(mask)
    for frame in frames:
        for picture in pictures_of(frame, mask):
            found |= mask_of([Cut(_grown(box)) for box in detector.boxes(picture)], *mask.shape)
    return found & ~mask


def pictures_of(frame: Array, mask: Mask) -> list[Picture]:
    """`picture_of`; and where a few values leave all others in less than half of its range, as metal and hot spots do,
    one more without those: letters that are not drawn with the greatest value cannot be seen in the first."""
    values = _rest(frame, mask)
    if not values.size:
        return [picture_of(frame, mask)]
    (low, high), most = np.percentile(values, _BUT_FOR_A_FEW), float(values.max()) - float(values.min())
    if not low < high < low + _NARROW * most:
        return [picture_of(frame, mask)]
    return [picture_of(frame, mask), _stretched(frame, mask, float(low), float(high))]


def picture_of(frame: Array, mask: Mask) -> Picture:
    """A decoded frame, (rows, columns) or (rows, columns, 3), with the darkest value in the pixels of `mask`.

    Grey is stretched from the least to the greatest value of the rest, because letters are drawn with the greatest.
    """
    rest = _rest(frame, mask)
    low, high = (float(rest.min()), float(rest.max())) if rest.size else (0.0, 0.0)
    return _stretched(frame, mask, low, high)


def _rest(frame: Array, mask: Mask) -> npt.NDArray[np.float64]:
    """The values beside a mask that are numbers."""
    seen = frame.astype(np.float64)
    return seen[~mask & np.isfinite(seen if seen.ndim == 2 else seen.max(axis=2))]


def _stretched(frame: Array, mask: Mask, low: float, high: float) -> Picture:
    seen = frame.astype(np.float64)
    scaled = (seen - low) * (255.0 / (high - low)) if high > low else np.zeros_like(seen)
    scaled[mask] = 0
    grey = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).round().astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _around(corners: Iterable[Iterable[float]]) -> Rectangle:
    points = np.asarray([list(corner) for corner in corners], np.float64)
    left, top = np.floor(points.min(axis=0)).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int)
    return Rectangle(int(left), int(top), int(right) + 1, int(bottom) + 1)


def _grown(box: Rectangle) -> Rectangle:
    return Rectangle(box.left - _MARGIN, box.top - _MARGIN, box.right + _MARGIN, box.bottom + _MARGIN)
