"""The shape of a pixel: how much higher it is than wide."""

from __future__ import annotations

from pydicom.dataset import Dataset

from node.imaging.functional import FrameAttributes, numbers_of, value_of

# Between rows, between columns; the first that is there. Pixel Spacing is in the patient, the others on the detector
# or on the film, and Pixel Aspect Ratio is for images that have no size (PS3.3 C.7.6.3.1.7).
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

SQUARE = 0.001
"""Relative: a pixel in a thousand is no reason to compute others."""

_LARGEST = 20.0


def aspect_of(ds: Dataset, number: int) -> tuple[float, str | None]:
    """Height divided by width of the pixels of frame `number` (from 0), and what was wrong in the header if anything.

    1 where the header says nothing, or nothing that can be true.
    """
    spacing = numbers_of(FrameAttributes(ds, number).get("PixelMeasuresSequence", _SPACINGS[0]))
    said = [spacing, *(numbers_of(value_of(ds, keyword)) for keyword in (*_SPACINGS[1:], "PixelAspectRatio"))]
    found = next((pair for pair in said if len(pair) == 2), None)
    if found is None:
        return 1.0, None
    if min(found) <= 0:
        return 1.0, "a pixel size of 0 or less; pixels are taken as square"
    ratio = found[0] / found[1]
    if not 1 / _LARGEST <= ratio <= _LARGEST:
        return 1.0, f"pixels more than {_LARGEST:g} times as long as wide, which cannot be; they are taken as square"
    return (1.0 if abs(ratio - 1) < SQUARE else ratio), None
