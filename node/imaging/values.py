"""How the values of a volume are kept: stored integers and one rescale where that is exact, or else floats.

PS3.3 C.11.1.1.2: output = stored value * Rescale Slope + Rescale Intercept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.layout import Array, Layout
from node.imaging.nifti import RGB24
from node.imaging.volumes import Volume

_EXACT_IN_FLOAT32 = 24  # bits of its significand
_INTEGERS = tuple(np.dtype(name) for name in ("i1", "u1", "i2", "u2", "i4", "u4"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The type of the voxels and what turns them into real values."""

    dtype: np.dtype[np.generic]
    slope: float = 1.0
    intercept: float = 0.0
    applied: bool = False
    """The rescale of each frame is already in its voxels."""
    real: bool = False
    """Real-world values instead of the rescale, where a frame has them."""

    def voxels(self, frame: Frame, pixels: Array) -> Array:
        """The voxels of one frame: its pixels as decoded, or rescaled in float64 and rounded once."""
        if not self.applied:
            return pixels
        slope, intercept = scale_of(frame, self.real)
        if self.dtype.kind in "iu":  # both are whole numbers, and the result fits: see values_of
            return np.asarray((pixels.astype(np.int64) * int(slope) + int(intercept)).astype(self.dtype))
        with np.errstate(over="ignore"):  # the gate finds an infinity that was not stored
            return np.asarray((pixels.astype(np.float64) * slope + intercept).astype(self.dtype))


def scale_of(frame: Frame, real: bool) -> tuple[float, float]:
    """(slope, intercept) of one frame: to real-world values where they are wanted and known, else the rescale."""
    return frame.real if real and frame.real is not None else (frame.slope, frame.intercept)


def values_of(volume: Volume, layout: Layout, *, real: bool = False, in_header: bool = True) -> Values:
    """Choose how to keep the values. Stored integers stay where one rescale is that of all frames and exact in the
    header, whose slope and intercept are float32; else voxels are rescaled floats.

    real       real-world values where a frame has them
    in_header  False for a format that has no slope and intercept: whole numbers then stay whole numbers

    Raises CannotSucceed for a slope of zero, for colour that is not 8 bits by sample, for real-world values that are
    wanted and that a header has without saying which they are, and where only some frames have them, or a rescale: the
    others would be in another unit.
    """
    if layout.samples == 3:
        if layout.dtype != np.uint8:
            raise CannotSucceed(f"colour of {layout.allocated} bits per sample: NIfTI has 8")
        return Values(dtype=RGB24)
    fault = next((frame.real_fault for frame in volume.frames if frame.real_fault), "") if real else ""
    if fault:
        raise CannotSucceed(fault)
    without = sum(frame.real is None for frame in volume.frames) if real else 0
    if 0 < without < len(volume.frames):
        raise CannotSucceed(f"{without} of {len(volume.frames)} frames have no real-world values, the others have")
    if not real or without:
        for part, name in enumerate(("Slope", "Intercept")):
            bare = sum(not frame.rescaled[part] for frame in volume.frames)
            if 0 < bare < len(volume.frames):
                raise CannotSucceed(f"{bare} of {len(volume.frames)} frames have no 'Rescale {name}', the others have")
    scales = {scale_of(frame, real) for frame in volume.frames}
    if any(slope == 0 for slope, _ in scales):
        raise CannotSucceed("'Rescale Slope' is 0: every value would be the same")
    shared = next(iter(scales)) if len(scales) == 1 else None
    if shared == (1.0, 0.0):
        return Values(dtype=layout.dtype)
    if shared is not None and in_header and _exact_in_header(shared):
        return Values(dtype=layout.dtype, slope=shared[0], intercept=shared[1])
    whole = _whole(scales, layout) if not in_header else None
    if whole is not None:
        return Values(dtype=whole, applied=True, real=real)
    narrow = layout.dtype.kind == "f" or layout.stored <= _EXACT_IN_FLOAT32
    narrow = narrow and layout.dtype.itemsize < 8 and _farthest(scales, layout) <= float(np.finfo(np.float32).max)
    floats = np.dtype("f4" if narrow else "f8")
    return Values(dtype=floats, applied=True, real=real)


def _exact_in_header(scale: tuple[float, float]) -> bool:
    """Neither is rounded as float32. Below its normal range 1e-45 would become 0, which NIfTI reads as no rescale."""
    tiny, huge = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    if not (tiny <= abs(scale[0]) <= huge and abs(scale[1]) <= huge):
        return False
    return all(float(np.float32(x)) == x for x in scale)


def _whole(scales: Iterable[tuple[float, float]], layout: Layout) -> np.dtype[np.generic] | None:
    """The smallest integer type that has every rescaled value, where all scales are whole numbers."""
    if layout.dtype.kind not in "iu" or not all(float(x).is_integer() and abs(x) < 2**31 for s in scales for x in s):
        return None
    ends = [int(slope) * stored + int(intercept) for slope, intercept in scales for stored in _ends(layout)]
    return next((d for d in _INTEGERS if np.iinfo(d.name).min <= min(ends) and max(ends) <= np.iinfo(d.name).max), None)


def _ends(layout: Layout) -> tuple[int, int]:
    """The lowest and highest whole number that its bits can store."""
    half = 1 << (layout.stored - 1)
    return (-half, half - 1) if layout.signed else (0, 2 * half - 1)


def _farthest(scales: Iterable[tuple[float, float]], layout: Layout) -> float:
    """What no rescaled whole number is farther from 0 than; 0 for stored floats, which only the gate can judge."""
    if layout.dtype.kind == "f":
        return 0.0
    largest = float(max(abs(end) for end in _ends(layout)))
    return max(abs(slope) * largest + abs(intercept) for slope, intercept in scales)
