"""What volumes are made from: one value per frame, read from a classic header or from functional groups.

Classic: PS3.3 C.7.6.2 (Image Plane), one frame per instance. Enhanced: PS3.3 C.7.6.16, a group of the frame itself
before the shared one. What is not here does not influence how frames are put together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE
from node.errors import CannotSucceed
from node.imaging.dose import RT_DOSE, plane_positions
from node.imaging.layout import Array, Layout
from node.imaging.mosaic import Tile, tiles_of
from node.imaging.overlays import bit_in_values
from node.imaging.reading import Attributes, private, value
from node.imaging.real_world import real_world
from node.imaging.weighting import Weighting, weighting_of

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


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
    weighting: Weighting = field(default_factory=Weighting)
    """What may tell volumes at one position apart."""
    rescaled: tuple[bool, bool] = (True, True)
    """Whether the header has a slope, and an intercept; without them they are 1 and 0."""
    tile: Tile | None = None
    """Its part of the decoded frame, where that is a mosaic."""
    real: tuple[float, float] | None = None
    """Slope and intercept to real-world values, where the header has them beside the rescale."""
    real_fault: str = ""
    """Why the header has real-world values, and does not say which they are."""

    def part(self, decoded: Array) -> Array:
        """Its pixels of the decoded frame."""
        if self.tile is None:
            return decoded
        tile = self.tile
        return decoded[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]


def frames_of(ds: Attributes, layout: Layout, instance: int) -> list[Frame]:
    """Read every frame of `ds`. Raises CannotSucceed when one has no geometry or a kind that is no stack of planes."""
    try:
        return _frames(ds, layout, instance)
    except UNREADABLE as error:
        # pydicom parses a value on first use: what it raises then says that the value is not of its VR. The value
        # itself stays out of the message, it may be anything.
        raise CannotSucceed(f"an attribute of its geometry is not readable ({type(error).__name__})") from None


def _frames(ds: Attributes, layout: Layout, instance: int) -> list[Frame]:
    if value(ds, "SOPClassUID") in _SEGMENTATIONS:
        raise CannotSucceed("a segmentation, not an image")
    if layout.photometric == "PALETTE COLOR":
        raise CannotSucceed("palette colour: its indices are no values")
    if (bit := bit_in_values(ds, layout.stored)) is not None:
        raise CannotSucceed(f"an overlay in bit {bit} of the pixels, of which {layout.stored} 'Bits Stored' are values")
    per_frame = value(ds, "PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        if value(ds, "SOPClassUID") == RT_DOSE:
            return _dose_planes(ds, layout, instance)
        if layout.frames > 1:
            raise CannotSucceed(f"{layout.frames} frames without functional groups: their positions are unknown")
        # Private elements of MR are looked for in MR only: a question costs as much as ten attributes.
        tiles = tiles_of(ds, layout.rows, layout.columns) if _is_mr(ds) else ()
        return _tiled(ds, layout, instance, tiles) if tiles else [_frame(_Classic(ds), ds, layout, instance, 0)]
    if len(per_frame) != layout.frames:
        raise CannotSucceed(f"{len(per_frame)} per-frame functional groups for {layout.frames} frames")
    shared = (value(ds, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    return [_frame(_Enhanced(own, shared), ds, layout, instance, n) for n, own in enumerate(per_frame)]


def _is_mr(ds: Attributes) -> bool:
    """By either of two attributes: a mosaic without its Modality would be taken for a plain image, at a wrong place."""
    return bool(value(ds, "Modality") == "MR" or value(ds, "SOPClassUID") == _MR_IMAGE)


def source_of(ds: Attributes, number: int) -> Source:
    """Where the attributes of frame `number` (from 0) are looked up, in functional groups or in the data set."""
    per_frame = value(ds, "PerFrameFunctionalGroupsSequence")
    if per_frame is None or number >= len(per_frame):
        return _Classic(ds)
    return _Enhanced(per_frame[number], (value(ds, "SharedFunctionalGroupsSequence") or [Dataset()])[0])


def _dose_planes(ds: Attributes, layout: Layout, instance: int) -> list[Frame]:
    source = _Classic(ds)
    first = _frame(source, ds, layout, instance, 0)
    if layout.frames == 1:
        return [first]
    offsets = _numbers(value(ds, "GridFrameOffsetVector"), layout.frames, "Grid Frame Offset Vector")
    places = plane_positions(offsets, first.position, first.orientation)
    order = first.order and first.order[0]
    return [
        replace(first, number=n, order=None if order is None else (order, n), position=(place[0], place[1], place[2]))
        for n, place in enumerate(np.array(places).tolist())
    ]


def _tiled(ds: Attributes, layout: Layout, instance: int, tiles: tuple[Tile, ...]) -> list[Frame]:
    source = _Classic(ds)
    found = []
    for tile in tiles:
        cosines = tile.orientation or value(ds, "ImageOrientationPatient")
        source.instead = {"ImagePositionPatient": tile.position, "ImageOrientationPatient": cosines}
        frame = _frame(source, ds, layout, instance, 0)
        found.append(replace(frame, tile=tile, like=(*frame.like, tile.rows, tile.columns)))
    return found


class _Classic:
    """Attributes at the top of the data set."""

    def __init__(self, ds: Attributes) -> None:
        self._ds = ds
        self.levels = (ds,)
        self.instead: dict[str, Any] = {}

    def get(self, group: str, keyword: str) -> Any:
        return self.instead.get(keyword) or value(self._ds, keyword)


class _Enhanced:
    """Attributes in the functional group `group`, the frame's own before the shared one."""

    def __init__(self, own: Attributes, shared: Attributes) -> None:
        self.levels = (own, shared)

    def get(self, group: str, keyword: str) -> Any:
        for level in self.levels:
            items = value(level, group)
            found = value(items[0], keyword) if items else None
            if found is not None:
                return found
        return None


Source = _Classic | _Enhanced


def _frame(source: Source, ds: Attributes, layout: Layout, instance: int, number: int) -> Frame:
    position = _numbers(source.get("PlanePositionSequence", "ImagePositionPatient"), 3, "Image Position (Patient)")
    orientation = _numbers(
        source.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6, "Image Orientation (Patient)"
    )
    spacing = _numbers(source.get("PixelMeasuresSequence", "PixelSpacing"), 2, "Pixel Spacing")
    slope, intercept = _rescale(source, ds)
    real, real_fault = real_world(source.levels, slope, intercept)
    order = value(ds, "InstanceNumber")
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
        rescaled=(slope is not None, intercept is not None),
        weighting=weighting_of(source.get, ds),
        real=real,
        real_fault=real_fault,
    )


def _rescale(source: Source, ds: Attributes) -> tuple[Any, Any]:
    """Slope and intercept as they stand: of the frame, else at the top, where multi-frame Secondary Captures have them
    beside functional groups (PS3.3 C.8.6.3), else RT Dose's scaling (C.8.8.3.1)."""
    found = [source.get("PixelValueTransformationSequence", k) for k in ("RescaleSlope", "RescaleIntercept")]
    if found == [None, None]:
        found = [value(ds, "RescaleSlope"), value(ds, "RescaleIntercept")]
    if found == [None, None]:
        found[0] = value(ds, "DoseGridScaling")
    return found[0], found[1]


_FRAME_TYPES = (
    "MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence", "XRay3DFrameTypeSequence",
    "ParametricMapFrameTypeSequence",
)  # fmt: skip
"""PS3.3 C.8.13.5.1, C.8.15.3.1, C.8.22.5.1, C.8.21.5.1, C.8.32.3.1."""


def _like(source: Source, ds: Attributes, layout: Layout) -> tuple[Hashable, ...]:
    frame_type = next((found for found in (source.get(group, "FrameType") for group in _FRAME_TYPES) if found), None)
    return (
        str(value(ds, "SeriesInstanceUID") or ""),
        str(value(ds, "FrameOfReferenceUID") or ""),
        layout.shape,
        str(layout.dtype),
        layout.photometric,
        _words(value(ds, "ImageType")),
        _words(frame_type),
        _optional(source.get("MREchoSequence", "EffectiveEchoTime")),
        _optional(value(ds, "EchoTime")),
        _words(value(ds, "EchoNumbers")),
        _words(source.get("MRImageFrameTypeSequence", "ComplexImageComponent") or value(ds, "ComplexImageComponent")),
        str(source.get("PixelValueTransformationSequence", "RescaleType") or value(ds, "Units") or ""),
        str(source.get("FrameContentSequence", "StackID") or ""),
        # GE has magnitude, phase, real and imaginary images of one Image Type.
        _words(private(ds, 0x0043, "GEMS_PARM_01", 0x2F)) if value(ds, "Modality") == "MR" else (),
    )


def _numbers(given: Any, count: int, name: str) -> tuple[float, ...]:
    if given is None or given == "":
        raise CannotSucceed(f"no '{name}'")
    try:
        found = tuple(float(x) for x in given)
    except (TypeError, ValueError):
        raise CannotSucceed(f"'{name}' is not a number") from None
    if len(found) != count:
        raise CannotSucceed(f"'{name}' has {len(found)} values, not {count}")
    if not all(math.isfinite(x) for x in found):
        raise CannotSucceed(f"'{name}' is not finite: {found}")
    return found


def _optional(given: Any) -> float | None:
    try:
        found = float(given)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _words(given: Any) -> tuple[str, ...]:
    if given is None or given == "":
        return ()
    # A single value is one word, several are a MultiValue; a str is never taken letter by letter.
    return (str(given),) if isinstance(given, str | int | float) else tuple(str(x) for x in given)
