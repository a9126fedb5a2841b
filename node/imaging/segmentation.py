"""Masks as a DICOM segmentation (PS3.3 A.51), binary, one segment for each region; they may overlap.

highdicom makes the object: its modules, its segments, and the first frame of it. The other frames are made after that
one here, because it takes 4 ms and all pixels of all segments at once for them, which is 10 GB for thirty regions on
300 slices.
"""

from __future__ import annotations

import copy
import re
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from node import __version__
from node.dicom.uids import derived_uid
from node.errors import CannotSucceed
from node.imaging.grid import Grid
from node.imaging.raster import Patch
from node.imaging.segmentation_frames import Source, functional_groups, packed, pixel_bytes, sources_of
from node.imaging.transcode import LONGEST_VALUE

NO_DATE, NO_TIME = "19000101", "000000"
"""Content Date and Time must have a value (PS3.3 C.7.6.16) also where nothing says when it was drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """One region, to be a segment."""

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


def write_segmentation(path: Path, masks: Sequence[Mask], grid: Grid, origin: Origin) -> None:
    """Write `path`. Patient and study are those of the images.

    Raises CannotSucceed when a mask or all of them have no pixel, or more of them than one element holds, and for
    images without a frame of reference.
    """
    if not masks or not all(mask.slices for mask in masks):
        raise CannotSucceed("a segment without a pixel")
    places = sorted({k for mask in masks for k in mask.slices})
    frames = [(n, k) for n, mask in enumerate(masks) for k in sorted(mask.slices)]
    length = pixel_bytes(grid.shape, len(frames))
    if length > LONGEST_VALUE:
        raise CannotSucceed(f"{length} bytes of masks do not fit one element of {LONGEST_VALUE}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings carry the value, which no log may
        sources = sources_of(grid)
        try:
            found = _template(sources[places[0]], masks, grid, origin)
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # what highdicom finds wrong with the images
            raise CannotSucceed(f"the images are not fit for a segmentation ({type(error).__name__})") from error
        _shared(found, sources, grid)
        template = found.PerFrameFunctionalGroupsSequence[0]
        found.PerFrameFunctionalGroupsSequence = Items(functional_groups(template, frames, sources))
        found.NumberOfFrames = len(frames)
        del found.PixelData
        found.save_as(path, enforce_file_format=True)
    _append_pixels(path, length, packed(grid.shape, (masks[n].slices[k] for n, k in frames), len(frames)))


def _append_pixels(path: Path, length: int, chunks: Iterator[bytes]) -> None:
    """Pixel Data is the last element, so it is written as it is made: all of it may be some hundred MB."""
    written = 0
    with path.open("ab") as file:
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length))
        for chunk in chunks:
            written += file.write(chunk)
    if written != length:
        path.unlink()
        raise CannotSucceed(f"{written} bytes of masks were made, and the header says {length}")


def _template(source: Source, masks: Sequence[Mask], grid: Grid, origin: Origin) -> Dataset:
    """The object with one frame for each segment, all on one slice."""
    # Here, for it takes most of a second that only who writes a segmentation should pay.
    from highdicom.seg import Segmentation, SegmentDescription
    from highdicom.sr import CodedConcept as Code

    tissue = Code("85756007", "SCT", "Tissue")
    structure, organ = Code("123037004", "SCT", "Anatomical Structure"), Code("113343008", "SCT", "Organ")
    described = [
        SegmentDescription(
            segment_number=n, segment_label=mask.label, algorithm_type="MANUAL",
            segmented_property_category=structure if mask.organ else tissue,
            segmented_property_type=organ if mask.organ else tissue,
        )
        for n, mask in enumerate(masks, 1)
    ]  # fmt: skip
    made: Dataset = Segmentation(
        source_images=[source.alone(grid.planes.step)],
        pixel_array=np.ones((1, *grid.shape, len(masks)), np.bool_), segmentation_type="BINARY",
        segment_descriptions=described, series_instance_uid=derived_uid("masks", "series", origin.sop_instance),
        series_number=max(origin.series_number, 1), instance_number=1,
        sop_instance_uid=derived_uid("masks", "instance", origin.sop_instance, source.series),
        manufacturer="dicom-node", manufacturer_model_name="masks", software_versions=__version__,
        device_serial_number="0", content_label="MASKS", series_description="masks",
    )  # fmt: skip
    for item, mask in zip(made.SegmentSequence, masks, strict=True):
        if mask.algorithm in ("AUTOMATIC", "SEMIAUTOMATIC"):  # PS3.3 C.8.20.4: then it has a name
            item.SegmentAlgorithmType, item.SegmentAlgorithmName = mask.algorithm, "not recorded"
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


def _shared(made: Dataset, sources: Sequence[Source], grid: Grid) -> None:
    """What is said of all images, where the template knows one of them."""
    once = {source.sop_instance: source for source in sources}
    references = Items(source.reference() for source in once.values())
    made.ReferencedSeriesSequence[0].ReferencedInstanceSequence = references
    if "SourceImageSequence" in made:
        made.SourceImageSequence = copy.deepcopy(references)
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = f"{grid.planes.step:.10g}"
