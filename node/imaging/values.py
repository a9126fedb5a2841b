"""How the values of a volume are kept in NIfTI: stored integers and one rescale where all frames share it, or floats.

PS3.3 C.11.1.1.2: output = stored value * Rescale Slope + Rescale Intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.layout import Array, Layout
from node.imaging.nifti import RGB24
from node.imaging.volumes import Volume

_EXACT_IN_FLOAT32 = 24  # bits of its significand


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The type of the voxels and what turns them into real values."""

    dtype: np.dtype[np.generic]
    slope: float = 1.0
    intercept: float = 0.0
    applied: bool = False
    """The rescale of each frame is already in its voxels."""

    def voxels(self, frame: Frame, pixels: Array) -> Array:
        """The voxels of one frame: pixels as decoded, or rescaled in float64 and rounded once."""
        if not self.applied:
            return pixels
        return np.asarray((pixels.astype(np.float64) * frame.slope + frame.intercept).astype(self.dtype))


def values_of(volume: Volume, layout: Layout) -> Values:
    """Choose how to keep the values. One shared rescale keeps the integers as they are, with slope and intercept in
    the header as float32: the same precision that rescaled float32 voxels would have.

    Raises CannotSucceed for a slope of zero, and for colour that is not 8 bits by sample.
    """
    if layout.samples == 3:
        if layout.dtype != np.uint8:
            raise CannotSucceed(f"colour of {layout.allocated} bits per sample: NIfTI has 8")
        return Values(dtype=RGB24)
    if any(frame.slope == 0 for frame in volume.frames):
        raise CannotSucceed("'Rescale Slope' is 0: every value would be the same")
    shared = volume.rescale
    if shared is not None and _fits_float32(shared):
        return Values(dtype=layout.dtype, slope=shared[0], intercept=shared[1])
    wide = layout.dtype.kind == "f" or layout.stored <= _EXACT_IN_FLOAT32
    return Values(dtype=np.dtype("f4" if wide and layout.dtype.itemsize < 8 else "f8"), applied=True)


def _fits_float32(rescale: tuple[float, float]) -> bool:
    """Within its range: 1e-45 would become 0, which NIfTI reads as 'no rescale'."""
    tiny, huge = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    return tiny <= abs(rescale[0]) <= huge and abs(rescale[1]) <= huge
