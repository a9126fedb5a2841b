"""Masks as a DICOM segmentation (PS3.3 A.51), binary, one segment for each region; they may overlap.

highdicom makes the object: its modules, its segments, and the first frame of it. The other frames are made after that
one here, because it takes 4 ms and all pixels of all segments at once for them, which is 10 GB for thirty regions on
300 slices.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from node import __version__
from node.dicom.uids import derived_uid
from node.errors import CannotSucceed
from node.imaging.grid import Grid
from node.imaging.raster import Patch

NO_DATE, NO_TIME = "19000101", "000000"
"""Content Date and Time must have a value (PS3.3 C.7.6.16) also where nothing says when it was drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One region to be written."""

    label: str
    algorithm: str
    """AUTOMATIC, SEMIAUTOMATIC, or anything else for MANUAL."""
    organ: bool
    slices: Mapping[int, Patch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the segmentation was made from; its UIDs and dates follow from it, so that a repeat is the same object."""

    sop_instance: str
    series_number: int
    date: str
    time: str

    @property
    def when(self) -> tuple[str, str]:
        """Content Date and Time."""
        if not re.fullmatch(r"[0-9]{8}", self.date):
            return NO_DATE, NO_TIME
        return self.date, self.time if re.fullmatch(r"[0-9]{6}(\.[0-9]{1,6})?", self.time) else NO_TIME


def write_segmentation(path: Path, segments: Sequence[Segment], grid: Grid, origin: Origin) -> None:
    """Write `path`. Patient and study are those of the images.

    Raises CannotSucceed for images with several frames, and when a segment or all of them have no pixel.
    """
    if any(len(image.frames) != 1 for image in grid.images):
        raise CannotSucceed("a segmentation of multi-frame images is not built; write masks")
    if not segments or not all(segment.slices for segment in segments):
        raise CannotSucceed("a segment without a pixel")
    places = sorted({k for segment in segments for k in segment.slices})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings carry the value, which no log may
        images = [dcmread(image.path, stop_before_pixels=True) for image in grid.images]
        found = _template(images[places[0]], segments, grid.shape, origin)
        _shared(found, images, grid)
        frames = [(n, k) for n, segment in enumerate(segments) for k in sorted(segment.slices)]
        found.PerFrameFunctionalGroupsSequence = Items(
            _functional_groups(found.PerFrameFunctionalGroupsSequence[0], frames, images)
        )
        found.NumberOfFrames = len(frames)
        packed = _packed(grid.shape, [segments[n].slices[k] for n, k in frames])
        found["PixelData"] = DataElement(0x7FE00010, "OB", bytes(packed), already_converted=True)
        found.save_as(path, enforce_file_format=True)


def _template(image: Dataset, segments: Sequence[Segment], shape: tuple[int, int], origin: Origin) -> Dataset:
    """The object with one frame for each segment, all on one slice."""
    # Here, for it takes most of a second that only who writes a segmentation should pay.
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr import CodedConcept as Code

    tissue = Code("85756007", "SCT", "Tissue")
    structure, organ = Code("123037004", "SCT", "Anatomical Structure"), Code("113343008", "SCT", "Organ")
    described = [
        SegmentDescription(
            segment_number=n, segment_label=segment.label, algorithm_type="MANUAL",
            segmented_property_category=structure if segment.organ else tissue,
            segmented_property_type=organ if segment.organ else tissue,
        )
        for n, segment in enumerate(segments, 1)
    ]  # fmt: skip
    made: Dataset = Segmentation(
        source_images=[image], pixel_array=np.ones((1, *shape, len(segments)), np.bool_), segmentation_type="BINARY",
        segment_descriptions=described, series_instance_uid=derived_uid("masks", "series", origin.sop_instance),
        series_number=max(origin.series_number, 1), instance_number=1,
        sop_instance_uid=derived_uid("masks", "instance", origin.sop_instance, str(image.SeriesInstanceUID)),
        manufacturer="dicom-node", manufacturer_model_name="masks", software_versions=__version__,
        device_serial_number="0", content_label="MASKS", series_description="masks",
    )  # fmt: skip
    for item, segment in zip(made.SegmentSequence, segments, strict=True):
        if segment.algorithm in ("AUTOMATIC", "SEMIAUTOMATIC"):  # PS3.3 C.8.20.4: then it has a name
            item.SegmentAlgorithmType, item.SegmentAlgorithmName = segment.algorithm, "not recorded"
    _steady(made, origin)
    return made


def _steady(made: Dataset, origin: Origin) -> None:
    """No time of day and no random UID: the same input gives the same object."""
    made.ContentDate, made.ContentTime = origin.when
    del made.InstanceCreationDate, made.InstanceCreationTime
    for equipment in made.get("ContributingEquipmentSequence") or ():
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
    organization = derived_uid("masks", "dimensions", origin.sop_instance)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization


def _shared(made: Dataset, images: Sequence[Dataset], grid: Grid) -> None:
    """What is said of all images, where the template knows one of them."""
    references = Items(_reference(image) for image in images)
    made.ReferencedSeriesSequence[0].ReferencedInstanceSequence = references
    if "SourceImageSequence" in made:
        made.SourceImageSequence = copy.deepcopy(references)
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = f"{grid.planes.step:.10g}"
    if not measures.get("SliceThickness"):
        measures.SliceThickness = measures.SpacingBetweenSlices


def _reference(image: Dataset) -> Dataset:
    found = Dataset()
    found.ReferencedSOPClassUID, found.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return found


def _functional_groups(
    template: Dataset, frames: Sequence[tuple[int, int]], images: Sequence[Dataset]
) -> Iterator[Dataset]:  # fmt: skip
    """Of each frame, (segment from 0, slice). Frames of one slice share what is said of the slice, and frames of one
    segment what is said of the segment; a writer does not mind."""
    places = sorted({k for _, k in frames})
    position = {k: n for n, k in enumerate(places, 1)}
    of_slice = {k: _of_slice(template, images[k]) for k in places}
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


def _of_slice(template: Dataset, image: Dataset) -> Dataset:
    derivation = template.DerivationImageSequence[0]
    source = _with(derivation.SourceImageSequence[0], ReferencedSOPInstanceUID=image.SOPInstanceUID)
    derivation = _with(derivation, SourceImageSequence=Items([source]))
    # As it stands in the image: a number written anew may be another one.
    place = _with(Dataset(), ImagePositionPatient=image.ImagePositionPatient)
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


def _packed(shape: tuple[int, int], patches: Sequence[Patch]) -> bytearray:
    """Frames one after the other, one bit for each pixel, the first in the lowest bit. Frames need not begin with a
    byte (PS3.5 8.1.1), but eight of them do."""
    size = shape[0] * shape[1]
    data = bytearray(-(-size * len(patches) // 16) * 2)
    eight = np.zeros((8, *shape), np.bool_)
    for begin in range(0, len(patches), 8):
        eight[:] = False
        for frame, patch in zip(eight, patches[begin:], strict=False):
            patch.put(frame)
        part = np.packbits(eight, bitorder="little").tobytes()
        at = begin // 8 * size
        data[at : at + size] = part[: len(data) - at]
    return data
