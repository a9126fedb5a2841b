"""How the pixels of an instance are laid out, by its header (PS3.3 C.7.6.3.1).

Everything that decoding needs and nothing else, so that a series can be planned without keeping its headers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE
from node.dicom.uids import transfer_syntax as transfer_syntax_named
from node.errors import CannotSucceed
from node.imaging.reading import Attributes

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
"""PS3.3 C.7.6.3, C.7.6.24, C.7.6.25; an instance has at most one of them."""

LIMIT = 4 * 1024**3
"""Decoded bytes of one instance above which it is refused unless the caller allows more."""

_PHOTOMETRIC_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_RCT": 3,
    "YBR_ICT": 3,
    "YBR_PARTIAL_422": 3,
    "XYB": 3,
}

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
"""Encapsulated syntaxes whose frames are native pixels (PS3.5 A.4.11, A.4.13)."""

SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The Image Pixel attributes of one instance, checked against each other."""

    transfer_syntax: str
    keyword: str
    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    """Bits per sample in memory: 1, 8, 16, 32 or 64."""
    stored: int
    """Bits per sample that carry the value, the lowest ones; above them anything may stand (PS3.5 8.1.1)."""
    signed: bool
    photometric: str
    planar: bool
    """Colour by plane (PS3.3 C.7.6.3.1.3) where the pixels are not compressed."""
    little_endian: bool = True
    encapsulated: bool = False

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """What one decoded sample is: native byte order; uint8 for one-bit pixels."""
        if self.keyword != "PixelData":
            return np.dtype(f"f{self.allocated // 8}")
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.allocated // 8, 1)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one decoded frame: (rows, columns) or (rows, columns, 3)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def subsampled(self) -> bool:
        """Native YBR_FULL_422 keeps two samples per pixel, not three (PS3.3 C.7.6.3.1.2)."""
        return self.photometric in SUBSAMPLED and self.native

    @property
    def native(self) -> bool:
        """Frames are plain samples, each in fragments or not."""
        return not self.encapsulated or self.transfer_syntax in (ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES)

    @property
    def frame_bits(self) -> int:
        """Bits of one frame where the pixels are not compressed. One-bit frames need not end on a byte."""
        samples = 2 if self.subsampled else self.samples
        return self.rows * self.columns * samples * self.allocated

    @property
    def bytes_decoded(self) -> int:
        """Of all frames."""
        return self.rows * self.columns * self.samples * self.frames * self.dtype.itemsize


Array = npt.NDArray[np.generic]


def pixel_keyword(ds: Dataset) -> str | None:
    """Which of the three pixel data elements `ds` has, if any."""
    return next((keyword for keyword in PIXEL_KEYWORDS if keyword in ds), None)


def layout_of(ds: Attributes, transfer_syntax: str, keyword: str = "PixelData", *, limit: int = LIMIT) -> Layout:
    """Read the layout from a header; the pixel data element itself need not be there.

    limit  bytes that the decoded frames may take; a few bytes of header can announce a thousand times more

    Raises CannotSucceed when an attribute is missing, absurd or contradicts another one.
    """
    allocated = _integer(ds, "BitsAllocated", {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword))
    syntax = transfer_syntax_named(transfer_syntax)
    found = Layout(
        transfer_syntax=str(transfer_syntax),
        keyword=keyword,
        rows=_integer(ds, "Rows"),
        columns=_integer(ds, "Columns"),
        samples=_integer(ds, "SamplesPerPixel", 1),
        frames=_integer(ds, "NumberOfFrames", 1),
        allocated=allocated,
        stored=_integer(ds, "BitsStored", allocated),
        signed=_integer(ds, "PixelRepresentation", 0) == 1,
        photometric=_word(ds, "PhotometricInterpretation"),
        planar=_integer(ds, "PlanarConfiguration", 0) == 1,
        little_endian=not syntax.big_endian,
        encapsulated=syntax.encapsulated,
    )
    _check(found, _integer(ds, "HighBit", found.stored - 1))
    if found.bytes_decoded > limit:
        raise CannotSucceed(f"{found.bytes_decoded} bytes of pixels announced, more than the limit of {limit}")
    return found


def _integer(ds: Attributes, keyword: str, default: int | None = None) -> int:
    try:
        value = ds.get(keyword)  # parsed on first use, so it may raise as well
        found = default if value is None or value == "" else int(value)
    except UNREADABLE:
        raise CannotSucceed(f"'{keyword}' is not one whole number") from None
    if found is None:
        raise CannotSucceed(f"no value for '{keyword}'")
    return found


def _word(ds: Attributes, keyword: str) -> str:
    try:
        return str(ds.get(keyword) or "").strip().upper()
    except UNREADABLE:
        raise CannotSucceed(f"'{keyword}' is not readable") from None


def _check(found: Layout, high_bit: int) -> None:
    if min(found.rows, found.columns, found.frames) < 1:
        raise CannotSucceed(f"{found.frames} frames of {found.rows} rows x {found.columns} columns: nothing to decode")
    if found.allocated not in (1, 8, 16, 32, 64):
        raise CannotSucceed(f"'Bits Allocated' of {found.allocated} is none of 1, 8, 16, 32, 64")
    if not 1 <= found.stored <= found.allocated:
        raise CannotSucceed(f"'Bits Stored' of {found.stored} does not fit 'Bits Allocated' of {found.allocated}")
    if found.keyword == "PixelData" and high_bit != found.stored - 1:
        # PS3.3 C.7.6.3.1.4: High Bit shall be one less than Bits Stored. Which of the two lies cannot be known.
        raise CannotSucceed(f"'High Bit' of {high_bit} contradicts 'Bits Stored' of {found.stored}")
    expected = _PHOTOMETRIC_SAMPLES.get(found.photometric)
    if expected is None:
        raise CannotSucceed("'Photometric Interpretation' is none that this node knows")
    if expected != found.samples:
        raise CannotSucceed(f"{found.samples} 'Samples per Pixel' contradict {found.photometric}")
