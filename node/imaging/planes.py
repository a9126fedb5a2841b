"""Every frame as its header describes it, also where that is incomplete or cannot be: what a check looks at.

`attributes.Frame` is for what will be a volume, and refuses what is not fit for one; here nothing is refused.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from node.imaging.functional import FrameAttributes, number_of, numbers_of, value_of
from node.imaging.layout import Layout
from node.imaging.rescale import fault_of

PLANAR = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{end}"
    for end in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130", "481.2")
)
"""CT, MR, PET and RT Dose, classic, enhanced and legacy converted: IODs with an Image Plane (PS3.3 C.7.6.2) or its
functional groups in every image."""

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One frame."""

    member: int
    """Index of its instance in the caller's list."""
    frame: int
    """Frame number in the instance, from 0."""
    planar: bool
    """Its SOP class has a plane in the patient."""
    kind: tuple[Hashable, ...]
    """What splits a series on purpose: image type, echo, component, stack."""
    size: tuple[int, int]
    """(rows, columns)"""
    pixel: tuple[Hashable, ...]
    """(photometric interpretation, samples, bits allocated, bits stored, signed)"""
    position: tuple[float, float, float] | None
    """LPS, mm."""
    orientation: tuple[float, ...] | None
    """Cosines of the row direction (3), then of the column direction (3)."""
    spacing: tuple[float, float] | None
    """Between rows, between columns, mm."""
    thickness: float | None
    between: float | None
    """Spacing Between Slices, mm."""
    location: float | None
    """Slice Location, mm from somewhere."""
    number: int | None
    """Instance Number."""
    rescale: tuple[float, float] | None
    """(slope, intercept); None without Rescale Slope."""
    unscaled: str
    """What is wrong with its rescale, "" for nothing."""
    modality: str
    reference: str
    """Frame of Reference UID."""
    moment: tuple[Hashable, ...]
    """What tells images at one position apart: times, b-value, gradient, trigger, acquisition."""


def planes_of(ds: Dataset, layout: Layout, member: int) -> list[Plane]:
    """All frames of an instance; none of a segmentation, whose frames are where its segments are, gaps and all.

    Values that are absent, not of their VR or not finite are None.
    """
    if str(value_of(ds, "SOPClassUID") or "") in _SEGMENTATIONS:
        return []
    return [_plane(ds, FrameAttributes(ds, n), layout, member, n) for n in range(layout.frames)]


def _plane(ds: Dataset, has: FrameAttributes, layout: Layout, member: int, frame: int) -> Plane:
    measures = "PixelMeasuresSequence"
    position = _of_length(has.get("PlanePositionSequence", "ImagePositionPatient"), 3)
    spacing = _of_length(has.get(measures, "PixelSpacing"), 2)
    given = [has.get("PixelValueTransformationSequence", keyword) for keyword in ("RescaleSlope", "RescaleIntercept")]
    slope, intercept = map(number_of, given)
    # At the top of an object of many frames it is of the first one; only dose says where the others are.
    offset = None if has.enhanced or layout.frames == 1 else _dose_offset(ds, layout, frame)
    single = has.enhanced or layout.frames == 1 or offset is not None
    number = number_of(value_of(ds, "InstanceNumber"))
    orientation = _of_length(has.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    if position and orientation and offset:
        normal = np.cross(orientation[:3], orientation[3:])
        position = tuple(float(x) for x in np.array(position) + offset * normal)
    return Plane(
        member=member,
        frame=frame,
        planar=str(value_of(ds, "SOPClassUID") or "") in PLANAR and not _mosaic(ds),
        kind=_kind(ds, has),
        size=(layout.rows, layout.columns),
        pixel=(layout.photometric, layout.samples, layout.allocated, layout.stored, layout.signed),
        position=(position[0], position[1], position[2]) if position and single else None,
        orientation=orientation,
        spacing=(spacing[0], spacing[1]) if spacing else None,
        thickness=number_of(has.get(measures, "SliceThickness")),
        between=number_of(has.get(measures, "SpacingBetweenSlices")),
        location=number_of(value_of(ds, "SliceLocation")) if layout.frames == 1 else None,
        number=None if number is None else int(number),
        rescale=None if slope is None else (slope, intercept or 0.0),
        unscaled=fault_of(given[0], given[1], str(value_of(ds, "SOPClassUID") or "")),
        modality=str(value_of(ds, "Modality") or ""),
        reference=str(value_of(ds, "FrameOfReferenceUID") or ""),
        moment=_moment(ds, has),
    )


def _kind(ds: Dataset, has: FrameAttributes) -> tuple[Hashable, ...]:
    frame_type = next(
        (found for group in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
         if (found := has.item(group)) is not None),
        Dataset(),
    )  # fmt: skip
    return (
        words(value_of(ds, "ImageType")),
        words(value_of(frame_type, "FrameType")),
        number_of(has.get("MREchoSequence", "EffectiveEchoTime")),
        number_of(has.top("EchoTime")),
        words(has.top("EchoNumbers")),
        words(has.get("MRImageFrameTypeSequence", "ComplexImageComponent")),
        words(has.get("FrameContentSequence", "StackID")),
    )


def _moment(ds: Dataset, has: FrameAttributes) -> tuple[Hashable, ...]:
    direction = has.get("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    gradient = value_of(direction[0], "DiffusionGradientOrientation") if direction else None
    content = "FrameContentSequence"
    return (
        *(words(has.get(content, keyword)) for keyword in ("TemporalPositionIndex", "TemporalPositionIdentifier")),
        *(
            words(has.top(keyword))
            for keyword in ("AcquisitionNumber", "AcquisitionTime", "ContentTime", "TriggerTime")
        ),
        words(has.get(content, "FrameAcquisitionDateTime")),
        number_of(has.get("MRDiffusionSequence", "DiffusionBValue")),
        words(gradient if gradient is not None else has.top("DiffusionGradientOrientation")),
        words(has.get("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")),
    )


def _dose_offset(ds: Dataset, layout: Layout, frame: int) -> float | None:
    """mm along the normal, of a frame of RT Dose from its first one (PS3.3 C.8.8.3.2): both ways to write them differ
    by a constant."""
    vector = numbers_of(value_of(ds, "GridFrameOffsetVector"))
    return vector[frame] - vector[0] if len(vector) == layout.frames else None


def _mosaic(ds: Dataset) -> bool:
    """Many slices in one image: what its header calls the position is of the sheet, not of a slice."""
    return "MOSAIC" in (word.upper() for word in words(value_of(ds, "ImageType")))


def _of_length(value: Any, count: int) -> tuple[float, ...] | None:
    found = numbers_of(value)
    return found if len(found) == count else None


def words(value: Any) -> tuple[str, ...]:
    """One value or several as text; a text is never taken letter by letter."""
    if value is None:
        return ()
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return (str(value),)
    return tuple(str(x) for x in value)
