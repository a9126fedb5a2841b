"""Luminance and chrominance as RGB, of any depth (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

import numpy as np
from pydicom.pixels.processing import convert_color_space

from node.errors import CannotSucceed
from node.imaging.layout import SUBSAMPLED, Array

FULL = ("YBR_FULL", "YBR_FULL_422")
PARTIAL = ("YBR_PARTIAL_422",)

# Rows: red, green, blue; columns: Y, CB, CR. The inverses of the equations of the standard.
_FULL = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
_PARTIAL = np.linalg.inv(
    np.array([[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]),
)


def is_ybr(photometric: str) -> bool:
    """Whether samples of this photometric interpretation are to be converted. What JPEG 2000 codes as YBR_RCT and
    YBR_ICT its decoder has turned into RGB."""
    return photometric in FULL or photometric in PARTIAL


def rgb(photometric: str, frame: Array, stored: int) -> Array:
    """(rows, columns, 3) of `photometric` as RGB of the same type; what is not YBR stays as it is.

    stored  bits of a sample: half their range is the zero of chrominance

    Raises CannotSucceed for samples with a sign, which the standard has not.
    """
    if not is_ybr(photometric):
        return frame
    if frame.dtype == np.uint8 and stored == 8 and photometric in FULL:
        return np.asarray(convert_color_space(frame, photometric, "RGB", per_frame=True))
    if frame.dtype.kind != "u":
        raise CannotSucceed(f"{photometric} with a sign is not converted to RGB")
    half = 1 << stored - 1
    floor = half // 8 if photometric in PARTIAL else 0
    centred = frame.astype(np.float64) - (floor, half, half)
    converted = centred @ (_PARTIAL if photometric in PARTIAL else _FULL).T
    return np.asarray(np.clip(np.floor(converted + 0.5), 0, 2 * half - 1).astype(frame.dtype))


def upsampled(flat: Array, rows: int, columns: int) -> Array:
    """Y1 Y2 CB CR for each pair of pixels of a row (YBR_FULL_422) as three samples for each pixel.

    Raises CannotSucceed for an odd number of columns.
    """
    if columns % 2:
        raise CannotSucceed(f"YBR_FULL_422 with {columns} columns, which pairs cannot make")
    pairs = flat.reshape(rows, columns // 2, 4)
    full = np.empty((rows, columns, 3), flat.dtype)
    full[:, 0::2, 0], full[:, 1::2, 0] = pairs[:, :, 0], pairs[:, :, 1]
    full[:, :, 1:] = np.repeat(pairs[:, :, 2:], 2, axis=1)
    return full


def stands_for(photometric: str) -> str:
    """What a frame of `photometric` is when its samples are as they were coded, three for each pixel."""
    if photometric in SUBSAMPLED:
        return photometric.removesuffix("_422") if photometric in FULL else photometric
    return "RGB" if photometric in ("YBR_RCT", "YBR_ICT", "XYB") else photometric
