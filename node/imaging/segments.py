"""A DICOM segmentation (PS3.3 A.51, label maps A.88) as values: its segments, and where their frames lie.

Frames that are empty need not be there (PS3.3 C.8.20.2), so the slices between those that are there are found again
from their distance.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE
from node.dicom.references import LABEL_MAP_SEGMENTATION, SEGMENTATION
from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.geometry import Floats, affine_of, check_plane, tolerance_of, uniformity_of
from node.imaging.grid import Grid
from node.imaging.layout import Array
from node.imaging.pixels import Pixels, read_header
from node.imaging.stacked import KeptFrames
from node.imaging.volumes import Volume

SEGMENTATIONS = (SEGMENTATION, LABEL_MAP_SEGMENTATION)

_ROUNDED = 0.02
"""How far the distance of two neighbours may be from a whole number of steps, in steps."""


_MOST_SLICES = 32767
"""NIfTI-1 ends there, and a header of a few bytes may announce any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    number: int
    label: str
    """Segment Label (0062,0005). Free text: never log it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    sop_instance: str
    series: str
    series_number: int
    kind: str
    """Segmentation Type (0062,0001): BINARY, FRACTIONAL or LABELMAP."""
    maximum: int
    """Maximum Fractional Value (0062,000E); 1 where it is not fractional."""
    referenced: tuple[str, ...]
    """Series Instance UIDs of Referenced Series Sequence (0008,1115)."""
    segments: tuple[Segment, ...]
    frames: tuple[Frame, ...]
    of_segment: tuple[int, ...]
    """The segment of each frame; 0 in a label map, whose pixels say it."""
    between: float | None
    """Spacing Between Slices (0018,0088), mm."""
    pixels: Pixels

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.layout.rows, self.pixels.layout.columns

    def slices_of(self, segment: int, places: Sequence[int]) -> Mapping[int, Array]:
        """Slice number -> stored values (rows, columns) of one segment, 0 and 1 or 0 to `maximum`.

        places  the slice of each frame, as `places_in` or `own_grid` gives it

        Raises CannotSucceed when a segment has two frames on one slice, or a frame cannot be decoded.
        """
        wanted = [n for n, of in enumerate(self.of_segment) if of in (segment, 0)]
        if len({places[n] for n in wanted}) < len(wanted):
            raise CannotSucceed(f"segment {segment} has several frames on one slice")
        found = KeptFrames(self.shape)
        for n, frame in zip(wanted, self.pixels.frames(wanted), strict=True):
            found.keep(places[n], (frame == segment).astype(np.uint8) if self.kind == "LABELMAP" else frame)
        return found


def read_segmentation(path: Path) -> Segmentation:
    """Read the header of a segmentation. Raises CannotSucceed when it is none, or its frames have no place."""
    ds, pixels = read_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings carry the value, which no log may
        try:
            return _segmentation(ds, pixels)
        except UNREADABLE as error:
            raise CannotSucceed(f"not readable as a segmentation ({type(error).__name__})") from error


def own_grid(segmentation: Segmentation) -> tuple[Grid, list[int], list[str]]:
    """The smallest uniform grid that has all frames, the slice of each of them, and what was assumed.

    Raises CannotSucceed when the frames do not lie on one.
    """
    first, assumed = segmentation.frames[0], list[str]()
    check_plane(first.orientation, first.spacing)
    positions = np.array([frame.position for frame in segmentation.frames], np.float64)
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    heights = positions @ (normal / np.linalg.norm(normal))
    near = tolerance_of(first.spacing)
    order = np.argsort(heights, kind="stable")
    begins = np.insert(np.diff(heights[order]) > near, 0, True)
    levels = heights[order][begins]
    base, why = _base(segmentation, levels)
    assumed += [why] if why else []
    # Counted gap by gap: a distance that is rounded in the header is wrong by a slice after some hundred.
    counted = np.insert(np.cumsum(np.rint(np.diff(levels) / base)), 0, 0).astype(int)
    step = float(levels[-1] - levels[0]) / int(counted[-1]) if counted[-1] else base
    places = np.empty(len(heights), int)
    places[order] = counted[np.cumsum(begins) - 1]
    start = positions[order[0]]
    unit = normal / np.linalg.norm(normal) * step
    apart = np.linalg.norm(positions - (start + np.outer(places, unit)), axis=1)
    same = all(
        frame.orientation == first.orientation and frame.spacing == first.spacing for frame in segmentation.frames
    )
    if not same or float(apart.max()) > uniformity_of(first.spacing):
        raise CannotSucceed(f"its frames are on no uniform grid: one is {float(apart.max()):.3f} mm off its place")
    count = int(places.max()) + 1
    if count > _MOST_SLICES:
        raise CannotSucceed(f"its frames lie {count} slices apart, more than a volume may have")
    if count > len(levels):
        assumed.append(f"{count - len(levels)} slices between its frames have none, and so nothing in the mask")
    frames = tuple(
        Frame(
            instance=0, number=k, like=(), position=(float(p[0]), float(p[1]), float(p[2])),
            orientation=first.orientation, spacing=first.spacing, thickness=first.thickness, slope=1.0, intercept=0.0,
            order=None,
        )
        for k in range(count)
        for p in [start + k * unit]
    )  # fmt: skip
    affine = affine_of(start, unit, first.orientation, first.spacing)
    volume = Volume(
        frames=frames, slices=count, times=1, places=np.array([frame.position for frame in frames]), affine=affine
    )
    return Grid(volume=volume, shape=segmentation.shape), [int(k) for k in places], assumed


def _base(segmentation: Segmentation, levels: Floats) -> tuple[float, str]:
    """About the distance between slices, mm, and what was assumed to know it."""
    gaps = np.diff(levels)
    said, thickness = segmentation.between, segmentation.frames[0].thickness
    if said is not None and said > 0 and (np.abs(gaps / said - np.rint(gaps / said)) <= _ROUNDED).all():
        return said, ""
    if gaps.size:
        return float(gaps.min()), "no 'Spacing Between Slices' that fits: the smallest distance of its frames is used"
    if thickness is not None and thickness > 0:
        return thickness, f"one slice position: the slice thickness of {thickness:g} mm is its third dimension"
    raise CannotSucceed("one slice position and no slice thickness: the third dimension is unknown")


def _segmentation(ds: Dataset, pixels: Pixels | None) -> Segmentation:
    if ds.get("SOPClassUID") not in SEGMENTATIONS:
        raise CannotSucceed("not a segmentation")
    if pixels is None:
        raise CannotSucceed("no pixel data")
    if pixels.layout.samples != 1 or pixels.layout.keyword != "PixelData":
        raise CannotSucceed("a segmentation in colour")
    kind = str(ds.get("SegmentationType") or "").upper()
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise CannotSucceed("'Segmentation Type' is none that this node knows")
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or ()
    if len(per_frame) != pixels.layout.frames:
        raise CannotSucceed(f"{len(per_frame)} per-frame functional groups for {pixels.layout.frames} frames")
    shared = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = [(own, shared) for own in per_frame]
    segments = tuple(
        Segment(number=int(item.SegmentNumber), label=str(item.get("SegmentLabel") or "").strip())
        for item in ds.get("SegmentSequence") or ()
    )
    of_segment = tuple(
        0 if kind == "LABELMAP" else int(_value(g, "SegmentIdentificationSequence", "ReferencedSegmentNumber"))
        for g in groups
    )
    if unknown := set(of_segment) - {0} - {segment.number for segment in segments}:
        raise CannotSucceed(f"frames of a segment {min(unknown)} that 'Segment Sequence' does not have")
    between = _optional(_value(groups[0], "PixelMeasuresSequence", "SpacingBetweenSlices", None))
    return Segmentation(
        sop_instance=str(ds.get("SOPInstanceUID") or ""), series=str(ds.get("SeriesInstanceUID") or ""),
        series_number=max(int(ds.get("SeriesNumber") or 0), 0), kind=kind,
        maximum=int(ds.get("MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else 1,
        referenced=tuple(dict.fromkeys(_referenced(ds))), segments=segments,
        frames=tuple(_frame(g, n) for n, g in enumerate(groups)), of_segment=of_segment, between=between, pixels=pixels,
    )  # fmt: skip


def _referenced(ds: Dataset) -> Iterator[str]:
    for series in ds.get("ReferencedSeriesSequence") or ():
        yield str(series.get("SeriesInstanceUID") or "")


def _frame(groups: tuple[Dataset, Dataset], number: int) -> Frame:
    position = _numbers(groups, "PlanePositionSequence", "ImagePositionPatient", 3)
    spacing = _numbers(groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    return Frame(
        instance=0, number=number, like=(), position=(position[0], position[1], position[2]),
        orientation=_numbers(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6),
        spacing=(spacing[0], spacing[1]),
        thickness=_optional(_value(groups, "PixelMeasuresSequence", "SliceThickness", None)), slope=1.0, intercept=0.0,
        order=None,
    )  # fmt: skip


_REQUIRED = object()


def _value(groups: tuple[Dataset, Dataset], group: str, keyword: str, default: Any = _REQUIRED) -> Any:
    """From the frame's own functional group before the shared one (PS3.3 C.7.6.16)."""
    for level in groups:
        items = level.get(group)
        if items and items[0].get(keyword) is not None:
            return items[0].get(keyword)
    if default is _REQUIRED:
        raise CannotSucceed(f"a frame without '{keyword}'")
    return default


def _numbers(groups: tuple[Dataset, Dataset], group: str, keyword: str, count: int) -> tuple[float, ...]:
    found = tuple(float(x) for x in _value(groups, group, keyword))
    if len(found) != count or not np.isfinite(found).all():
        raise CannotSucceed(f"'{keyword}' is not {count} numbers")
    return found


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
