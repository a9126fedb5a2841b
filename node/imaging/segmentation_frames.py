"""The frames of a segmentation: their functional groups and their bits, and the images that they were drawn on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.config import RAISE
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.uid import MRImageStorage
from pydicom.valuerep import validate_value

from node.errors import CannotSucceed
from node.imaging.grid import Grid
from node.imaging.raster import Patch

_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID",
)  # fmt: skip
"""Type 2 of PS3.3 C.7.1.1 and C.7.2.1: images that lack one are common."""

_PLANE = (
    ("PlanePositionSequence", "ImagePositionPatient"), ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"), ("PixelMeasuresSequence", "SliceThickness"),
)  # fmt: skip
"""What places a slice, and the functional group that has it."""

_OF_MANY_FRAMES = (
    "NumberOfFrames", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "DimensionIndexSequence",
    "DimensionOrganizationSequence", "DimensionOrganizationType",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One slice, and the image that it is."""

    image: Dataset
    number: int | None
    """Frame number, from 0, of an image with functional groups; else None."""

    @property
    def sop_instance(self) -> str:
        return str(self.image.SOPInstanceUID)

    @property
    def series(self) -> str:
        return str(self.image.SeriesInstanceUID)

    def reference(self) -> Dataset:
        return _with(
            Dataset(), ReferencedSOPClassUID=self.image.SOPClassUID, ReferencedSOPInstanceUID=self.sop_instance
        )

    def plane(self, group: str, keyword: str) -> Any:
        """A value as it stands in the header: at the top, or in the frame's own group before the shared one."""
        if self.number is None:
            return self.image.get(keyword)
        shared = self.image.get("SharedFunctionalGroupsSequence") or [Dataset()]
        for level in (self.image.PerFrameFunctionalGroupsSequence[self.number], shared[0]):
            items = level.get(group)
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return None

    def alone(self, step: float) -> Dataset:
        """The slice as a classic image of one frame, with all that a segmentation takes from it.

        step  mm between slices, for the thickness of one that has none

        Raises CannotSucceed when it has no Frame of Reference UID, for then nothing in it has a place.
        """
        if not self.image.get("FrameOfReferenceUID"):
            raise CannotSucceed("the images have no 'Frame of Reference UID'")
        values: dict[str, Any] = {keyword: self.image.get(keyword, "") for keyword in _MAY_BE_EMPTY}
        for group, keyword in _PLANE:
            values[keyword] = self.plane(group, keyword)
        values["SpecificCharacterSet"] = "ISO_IR 192"  # text is decoded here, and names of regions may need more
        values["SliceThickness"] = values["SliceThickness"] or f"{step:.10g}"
        if self.number is not None:
            values["SOPClassUID"] = MRImageStorage  # any classic one: highdicom looks for frames by the class
        found = _with(self.image, **values)
        for keyword in _OF_MANY_FRAMES:
            if keyword in found:
                delattr(found, keyword)
        _leave_out_illegal(found)
        return found


def _leave_out_illegal(image: Dataset) -> None:
    """What an image says of the patient and is not legal, as an age of 0Y, is no reason to write it once more."""
    for element in list(image.group_dataset(0x0010)):
        texts = element.value if isinstance(element.value, MultiValue) else [element.value]
        try:
            for text in texts:
                validate_value(element.VR, str(text), RAISE)
        except ValueError:
            if element.keyword in _MAY_BE_EMPTY:
                setattr(image, element.keyword, "")
            else:
                del image[element.tag]


def sources_of(grid: Grid) -> list[Source]:
    """Of each slice. Each file is read once, without its pixels."""
    read: dict[Path, Dataset] = {}
    found = []
    for image, frame in zip(grid.images, grid.volume.frames, strict=True):
        if image.path not in read:
            read[image.path] = dcmread(image.path, stop_before_pixels=True)
        ds = read[image.path]
        found.append(Source(ds, frame.number if "PerFrameFunctionalGroupsSequence" in ds else None))
    return found


def functional_groups(
    template: Dataset, frames: Sequence[tuple[int, int]], sources: Sequence[Source]
) -> Iterator[Dataset]:  # fmt: skip
    """Of each frame, (segment from 0, slice). Frames of one slice share what is said of the slice, and frames of one
    segment what is said of the segment; a writer does not mind."""
    places = sorted({k for _, k in frames})
    position = {k: n for n, k in enumerate(places, 1)}
    of_slice = {k: _of_slice(template, sources[k]) for k in places}
    of_segment = {n: _of_segment(template, n + 1) for n in {n for n, _ in frames}}
    for n, k in frames:
        content = _with(Dataset(), DimensionIndexValues=[n + 1, position[k]])
        found = _with(Dataset(), FrameContentSequence=Items([content]))
        for element in (*of_slice[k], *of_segment[n]):
            found[element.tag] = element
        yield found


def _of_segment(template: Dataset, number: int) -> Dataset:
    identified = template.get("SegmentIdentificationSequence")
    if identified is None:  # there is one segment, and all frames share it
        return Dataset()
    return _with(Dataset(), SegmentIdentificationSequence=Items([_with(identified[0], ReferencedSegmentNumber=number)]))


def _of_slice(template: Dataset, source: Source) -> Dataset:
    derivation = template.DerivationImageSequence[0]
    named = {"ReferencedSOPClassUID": source.image.SOPClassUID, "ReferencedSOPInstanceUID": source.sop_instance}
    image = _with(derivation.SourceImageSequence[0], **named)
    if source.number is not None:
        image = _with(image, ReferencedFrameNumber=source.number + 1)
    derivation = _with(derivation, SourceImageSequence=Items([image]))
    # As it stands in the image: a number written anew may be another one.
    place = _with(Dataset(), ImagePositionPatient=source.plane("PlanePositionSequence", "ImagePositionPatient"))
    return _with(Dataset(), DerivationImageSequence=Items([derivation]), PlanePositionSequence=Items([place]))


def _with(item: Dataset, **values: Any) -> Dataset:
    """A copy of a data set with other values. Its elements are those of the original, so none is assigned to."""
    found = Dataset()
    for element in item:
        found[element.tag] = element
    for keyword, value in values.items():
        if keyword in found:
            del found[keyword]
        setattr(found, keyword, value)
    return found


def pixel_bytes(shape: tuple[int, int], count: int) -> int:
    """How many bytes `count` frames of one bit for each pixel take, filled up to a word."""
    return -(-shape[0] * shape[1] * count // 16) * 2


def packed(shape: tuple[int, int], patches: Iterable[Patch], count: int) -> Iterator[bytes]:
    """Frames one after the other, one bit for each pixel, the first in the lowest bit. Frames need not begin with a
    byte (PS3.5 8.1.1), but eight of them do, and so they come eight at a time.

    count  of the patches
    """
    left = pixel_bytes(shape, count)
    coming, eight = iter(patches), np.zeros((8, *shape), np.bool_)
    while some := list(islice(coming, 8)):
        eight[:] = False
        for frame, patch in zip(eight, some, strict=False):
            patch.put(frame)
        part = np.packbits(eight, bitorder="little").tobytes()[:left]
        left -= len(part)
        yield part
    yield bytes(left)
