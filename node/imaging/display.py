"""How the grey values of one frame become brightness, by its header (PS3.3 C.11, PS3.4 N.2).

    stored value -> Modality LUT or rescale -> VOI LUT or window -> Presentation LUT Shape -> 0 (black) to 1 (white)

MONOCHROME1 is turned at the end of this way, on brightness. Turning the stored values instead (`max - pixels`) moves
them out of the window that the header has for them, and depends on what happens to be the largest pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.functional import FrameAttributes, number_of, numbers_of, value_of
from node.imaging.layout import Array, Layout
from node.imaging.lookup import Floats, Lookup, read_lookup
from node.imaging.window import FUNCTIONS, Function, Window

_PADDING = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}
_CT = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """PS3.3 C.11.1.1.2."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: Array) -> Floats:
        return values.astype(np.float64) * self.slope + self.intercept


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """The whole way of one frame. Equal ones show equal values alike."""

    modality: Rescale | Lookup
    voi: Window | Lookup | None
    """None: the header has neither; see `with_voi`."""
    inverted: bool
    padding: tuple[float, float] | None = None
    """Stored values, both ends included, that are no signal (PS3.3 C.7.5.1.1.2)."""
    notes: tuple[str, ...] = ()

    def with_voi(self, voi: Window | None) -> Display:
        return replace(self, voi=voi)

    def values(self, stored: Array) -> Floats:
        """After the modality transformation, what is padding left out; one dimension."""
        real = self.modality(stored)
        return real[~self._padded(stored)] if self.padding else real.ravel()

    def share(self, stored: Array) -> Floats:
        """Brightness, 0 to 1, of each pixel; padding is black also where the image is turned."""
        assert self.voi is not None
        found = self.voi.share(self.modality(stored))
        if self.inverted:
            found = 1 - found
        if self.padding:
            found[self._padded(stored)] = 0
        return found

    def levels(self, stored: Array, bits: int) -> Array:
        """The same as whole numbers of 8 or 16 bits, rounded to the nearest."""
        size = stored.dtype.itemsize
        if stored.dtype.kind not in "iu" or size > 2 or stored.size < 1 << (8 * size):
            return quantized(self.share(stored), bits)
        # For every value that there can be, once: then a look-up for each pixel, to the same result.
        return np.take(_table(self, stored.dtype.char, bits), np.ascontiguousarray(stored).view(f"u{size}"))

    def _padded(self, stored: Array) -> npt.NDArray[np.bool_]:
        assert self.padding is not None
        low, high = self.padding
        return np.asarray(np.greater_equal(stored, low) & np.less_equal(stored, high))


@lru_cache(maxsize=4)
def _table(display: Display, kind: str, bits: int) -> Array:
    """The level of each value of 8 or 16 bits, by its bit pattern. Frames of a cine have one display."""
    dtype = np.dtype(kind)
    every = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    return quantized(display.share(every.view(dtype)), bits)


def quantized(share: Floats, bits: int) -> Array:
    """0 to 1 -> 0 to 2^bits - 1, to the nearest; 8 or 16 bits."""
    return np.asarray(np.rint(share * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16))


def display_of(ds: Dataset, layout: Layout, number: int) -> Display:
    """How the header shows frame `number` (from 0).

    A VOI LUT comes before a window where there are both: it is what the maker meant, the window is its likeness. Of
    several, the first. Raises CannotSucceed for a lookup table that is not whole.
    """
    attributes, notes = FrameAttributes(ds, number), list[str]()
    modality = _modality(attributes, layout)
    signed = layout.signed if isinstance(modality, Rescale) and modality.intercept >= 0 else True
    if isinstance(modality, Lookup):
        signed = False
    if str(value_of(ds, "PixelPresentation") or "").strip().upper() in ("COLOR", "MIXED"):
        notes.append("a supplemental palette (PS3.3 C.7.6.19) is not applied: its colours are shown grey")
    return Display(
        modality=modality,
        voi=_voi(attributes, layout, signed, notes),
        inverted=_inverted(ds, layout, notes),
        padding=_padding(ds, layout, notes),
        notes=tuple(notes),
    )


def hounsfield(ds: Dataset, number: int) -> bool:
    """Whether values after the modality transformation are Hounsfield units, as far as the header says."""
    attributes = FrameAttributes(ds, number)
    kind = attributes.get("PixelValueTransformationSequence", "RescaleType") or attributes.top("ModalityLUTType")
    is_ct = str(value_of(ds, "SOPClassUID") or "") in _CT or str(value_of(ds, "Modality") or "") == "CT"
    # PS3.3 C.8.2.1.1.3: of a CT image without a Rescale Type, which it may leave out when it is HU.
    return is_ct and str(kind or "HU").strip().upper() == "HU"


def _modality(attributes: FrameAttributes, layout: Layout) -> Rescale | Lookup:
    tables = attributes.top("ModalityLUTSequence")
    if tables:
        return read_lookup(tables[0], signed=layout.signed, name="Modality LUT Sequence")
    given = [attributes.get("PixelValueTransformationSequence", k) for k in ("RescaleSlope", "RescaleIntercept")]
    slope, intercept = (number_of(value) for value in given)
    for name, value, found in zip(("Rescale Slope", "Rescale Intercept"), given, (slope, intercept), strict=True):
        if value is not None and found is None:
            raise CannotSucceed(f"'{name}' is no finite number: a window on stored values would be another")
    if slope == 0:
        raise CannotSucceed("'Rescale Slope' is 0: every value would be the same")
    return Rescale(slope=1.0 if slope is None else slope, intercept=intercept or 0.0)


def _voi(attributes: FrameAttributes, layout: Layout, signed: bool, notes: list[str]) -> Window | Lookup | None:
    tables = attributes.get("FrameVOILUTSequence", "VOILUTSequence")
    if tables:
        return read_lookup(tables[0], signed=signed, name="VOI LUT Sequence")
    center = numbers_of(attributes.get("FrameVOILUTSequence", "WindowCenter"))
    width = numbers_of(attributes.get("FrameVOILUTSequence", "WindowWidth"))
    if not center or not width:
        return None
    said = attributes.get("FrameVOILUTSequence", "VOILUTFunction")
    found = Window(center=center[0], width=width[0], function=_function(said, notes))
    floats = layout.keyword != "PixelData"
    if found.function == "LINEAR" and (0 < found.width < 1 or (floats and found.width == 1)):
        # Of fractions (normalised, parametric maps). The only meaning that it can have: LINEAR counts whole numbers.
        notes.append("a LINEAR window of fractions is taken as LINEAR_EXACT")
        found = replace(found, function="LINEAR_EXACT")
    if problem := found.problem():
        notes.append(f"the header has {problem}, which the standard does not allow; it is not used")
        return None
    return found


def _function(said: Any, notes: list[str]) -> Function:
    word = str(said or "LINEAR").strip().upper()
    known: Function | None = next((f for f in FUNCTIONS if f == word), None)
    if known is None:
        notes.append("a 'VOI LUT Function' that the standard does not have is taken as LINEAR")
    return known or "LINEAR"


def _inverted(ds: Dataset, layout: Layout, notes: list[str]) -> bool:
    """PS3.3 C.11.6.1.2: Presentation LUT Shape says what becomes of the values; without it the photometric
    interpretation does, MONOCHROME1 meaning that the lowest value is shown white."""
    shape = str(value_of(ds, "PresentationLUTShape") or "").strip().upper()
    white_first = layout.photometric == "MONOCHROME1"
    if shape not in ("IDENTITY", "INVERSE"):
        return white_first
    if (shape == "INVERSE") != white_first:
        notes.append(f"'Presentation LUT Shape' {shape} stands against {layout.photometric}; it is followed")
    return shape == "INVERSE"


def _padding(ds: Dataset, layout: Layout, notes: list[str]) -> tuple[float, float] | None:
    keyword, limit = _PADDING[layout.keyword]
    first = _stored(value_of(ds, keyword), layout)
    if first is None:
        if value_of(ds, keyword) is not None:
            notes.append(f"'{keyword}' is no value that these pixels can have; it is not used")
        return None
    last = _stored(value_of(ds, limit), layout)
    return (first, first) if last is None else (min(first, last), max(first, last))


def _stored(value: Any, layout: Layout) -> float | None:
    """As a stored value, whether it was written as US or as SS; None when these pixels cannot have it."""
    number = number_of(value)
    if number is None or layout.keyword != "PixelData":
        return number
    # The VR of these attributes follows the sign of the pixels, but not in every sender's files.
    whole = int(number) & 0xFFFF
    if layout.signed and whole > 32767:
        whole -= 65536
    low, high = (-(1 << layout.stored - 1), 1 << layout.stored - 1) if layout.signed else (0, 1 << layout.stored)
    return float(whole) if low <= whole < high else None
