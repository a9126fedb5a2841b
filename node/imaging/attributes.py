"""What volumes are made from: one value per frame, read from a classic header or from functional groups.

Classic: PS3.3 C.7.6.2 (Image Plane), one frame per instance. Enhanced: PS3.3 C.7.6.16, a group of the frame itself
before the shared one. What is not here does not influence how frames are put together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.functional import UNREADABLE
from node.imaging.layout import Layout

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame and where it lies."""

    instance: int
    """Index of its instance in the caller's list."""
    number: int
    """Frame number in the instance, from 0."""
    like: tuple[Hashable, ...]
    """Frames of one volume are equal in all of this: series, matrix, image type, echo, units, ..."""
    position: tuple[float, float, float]
    """Image Position (Patient): centre of the first pixel, LPS, mm."""
    orientation: tuple[float, ...]
    """Image Orientation (Patient): cosines of the row direction (3), then of the column direction (3)."""
    spacing: tuple[float, float]
    """Pixel Spacing: between rows, between columns, mm."""
    thickness: float | None
    """Slice Thickness, mm."""
    slope: float
    intercept: float
    order: tuple[int, int] | None
    """(Instance Number, frame number); None where the instance has no number."""
    moment: tuple[Hashable, ...]
    """What may tell volumes at one position apart: temporal position, b-value, gradient direction."""


def frames_of(ds: Dataset, layout: Layout, instance: int) -> list[Frame]:
    """Read every frame of `ds`. Raises CannotSucceed when one has no geometry or a kind that is no stack of planes."""
    try:
        return _frames(ds, layout, instance)
    except UNREADABLE as error:
        # pydicom parses a value on first use: what it raises then says that the value is not of its VR. The value
        # itself stays out of the message, it may be anything.
        raise CannotSucceed(f"an attribute of its geometry is not readable ({type(error).__name__})") from None


def _frames(ds: Dataset, layout: Layout, instance: int) -> list[Frame]:
    _refuse_what_is_no_plane(ds, layout)
    per_frame = ds.get("PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        if layout.frames > 1:
            raise CannotSucceed(f"{layout.frames} frames without functional groups: their positions are unknown")
        return [_frame(_Classic(ds), ds, layout, instance, 0)]
    if len(per_frame) != layout.frames:
        raise CannotSucceed(f"{len(per_frame)} per-frame functional groups for {layout.frames} frames")
    shared = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    return [_frame(_Enhanced(own, shared), ds, layout, instance, n) for n, own in enumerate(per_frame)]


def _refuse_what_is_no_plane(ds: Dataset, layout: Layout) -> None:
    if ds.get("SOPClassUID") in _SEGMENTATIONS:
        raise CannotSucceed("a segmentation, not an image")
    if layout.photometric == "PALETTE COLOR":
        raise CannotSucceed("palette colour: its indices are no values")
    image_type = [str(x).upper() for x in ds.get("ImageType") or ()]
    # (0019,100A) 'NumberOfImagesInMosaic' and (0065,1050) of UIH survive where Image Type was edited.
    siemens, uih = _private(ds, 0x0019, "SIEMENS MR HEADER", 0x0A), _private(ds, 0x0065, "Image Private Header", 0x50)
    if "MOSAIC" in image_type or siemens is not None or uih is not None:
        raise CannotSucceed("a mosaic: many slices in one image, which this version does not take apart")


def _private(ds: Dataset, group: int, creator: str, element: int) -> Any:
    try:
        return ds.private_block(group, creator)[element].value
    except KeyError:
        return None


class _Classic:
    """Attributes at the top of the data set."""

    def __init__(self, ds: Dataset) -> None:
        self._ds = ds

    def get(self, group: str, keyword: str) -> Any:
        return self._ds.get(keyword)


class _Enhanced:
    """Attributes in the functional group `group`, the frame's own before the shared one."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self._levels = (own, shared)

    def get(self, group: str, keyword: str) -> Any:
        for level in self._levels:
            items = level.get(group)
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return None


def _frame(source: _Classic | _Enhanced, ds: Dataset, layout: Layout, instance: int, number: int) -> Frame:
    position = _numbers(source.get("PlanePositionSequence", "ImagePositionPatient"), 3, "Image Position (Patient)")
    orientation = _numbers(
        source.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6, "Image Orientation (Patient)"
    )
    spacing = _numbers(source.get("PixelMeasuresSequence", "PixelSpacing"), 2, "Pixel Spacing")
    slope = source.get("PixelValueTransformationSequence", "RescaleSlope")
    intercept = source.get("PixelValueTransformationSequence", "RescaleIntercept")
    order = ds.get("InstanceNumber")
    return Frame(
        instance=instance,
        number=number,
        like=_like(source, ds, layout),
        position=(position[0], position[1], position[2]),
        orientation=orientation,
        spacing=(spacing[0], spacing[1]),
        thickness=_optional(source.get("PixelMeasuresSequence", "SliceThickness")),
        slope=1.0 if slope is None else _numbers([slope], 1, "Rescale Slope")[0],
        intercept=0.0 if intercept is None else _numbers([intercept], 1, "Rescale Intercept")[0],
        order=None if order is None else (int(order), number),
        moment=_moment(source),
    )


def _like(source: _Classic | _Enhanced, ds: Dataset, layout: Layout) -> tuple[Hashable, ...]:
    frame_type = source.get("MRImageFrameTypeSequence", "FrameType") or source.get(
        "CTImageFrameTypeSequence", "FrameType"
    )
    return (
        str(ds.get("SeriesInstanceUID") or ""),
        str(ds.get("FrameOfReferenceUID") or ""),
        layout.shape,
        str(layout.dtype),
        layout.photometric,
        _words(ds.get("ImageType")),
        _words(frame_type),
        _optional(source.get("MREchoSequence", "EffectiveEchoTime")),
        _optional(ds.get("EchoTime")),
        _words(ds.get("EchoNumbers")),
        _words(source.get("MRImageFrameTypeSequence", "ComplexImageComponent") or ds.get("ComplexImageComponent")),
        str(source.get("PixelValueTransformationSequence", "RescaleType") or ds.get("Units") or ""),
        str(source.get("FrameContentSequence", "StackID") or ""),
    )


def _moment(source: _Classic | _Enhanced) -> tuple[Hashable, ...]:
    direction = source.get("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    gradient = direction[0].get("DiffusionGradientOrientation") if direction else None
    if gradient is None:
        gradient = source.get("MRDiffusionSequence", "DiffusionGradientOrientation")
    return (
        _words(source.get("FrameContentSequence", "TemporalPositionIndex")),
        _words(source.get("FrameContentSequence", "TemporalPositionIdentifier")),
        _optional(source.get("MRDiffusionSequence", "DiffusionBValue")),
        _words(gradient),
    )


def _numbers(value: Any, count: int, name: str) -> tuple[float, ...]:
    if value is None or value == "":
        raise CannotSucceed(f"no '{name}'")
    try:
        found = tuple(float(x) for x in value)
    except (TypeError, ValueError):
        raise CannotSucceed(f"'{name}' is not a number") from None
    if len(found) != count:
        raise CannotSucceed(f"'{name}' has {len(found)} values, not {count}")
    if not all(math.isfinite(x) for x in found):
        raise CannotSucceed(f"'{name}' is not finite: {found}")
    return found


def _optional(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _words(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    # A single value is one word, several are a MultiValue; a str is never taken letter by letter.
    return (str(value),) if isinstance(value, str | int | float) else tuple(str(x) for x in value)
