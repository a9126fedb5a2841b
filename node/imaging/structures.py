"""An RT Structure Set (PS3.3 A.19) as values: its regions, their contours, and the series that they were drawn on.

Points are read from the bytes of Contour Data, for a value of pydicom's for each of millions of numbers takes minutes.
What is wrong with one contour stays with that contour.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE
from node.dicom.dataset import read
from node.dicom.references import RT_STRUCTURE_SET
from node.errors import CannotSucceed
from node.imaging.geometry import Floats

CLOSED, CLOSED_XOR = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"
"""Contour Geometric Type (3006,0042) of those that have an inside, PS3.3 C.8.8.6.1."""

_CONTOUR_DATA = 0x30060050
_FARTHEST = 1e6
"""Millimetres: what is farther is no place in a patient, and arithmetic on it could overflow."""
_NOTHING: Floats = np.empty((0, 3))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contour:
    """One item of Contour Sequence (3006,0040)."""

    kind: str
    points: Floats = field(default_factory=lambda: _NOTHING)
    """(n, 3) float64, LPS, mm; none where `fault` says why."""
    images: tuple[str, ...] = ()
    """SOP Instance UIDs of Contour Image Sequence (3006,0016): the images it was drawn on."""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """One region of interest, and all of its contours."""

    number: int
    name: str
    """ROI Name (3006,0026), may be empty. Free text: never log it."""
    algorithm: str = ""
    """ROI Generation Algorithm (3006,0036): AUTOMATIC, SEMIAUTOMATIC, MANUAL or empty."""
    interpreted: str = ""
    """RT ROI Interpreted Type (3006,00A4): ORGAN, PTV, EXTERNAL, ... or empty."""
    frame_of_reference: str = ""
    """Referenced Frame of Reference UID (3006,0024), or empty."""
    contours: tuple[Contour, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSet:
    sop_instance: str
    series: str
    series_number: int
    date: str
    time: str
    """Structure Set Date and Time (3006,0008/0009) as they stand."""
    referenced: tuple[str, ...]
    """Series Instance UIDs of RT Referenced Series Sequence (3006,0014)."""
    rois: tuple[Roi, ...]
    """In order of Structure Set ROI Sequence (3006,0020)."""


def read_structures(path: Path) -> StructureSet:
    """Read an RT Structure Set. Raises CannotSucceed when the file is none, or its regions cannot be told apart."""
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")  # pydicom's warnings carry the value, which no log may
        try:
            return _structures(read(file))
        except UNREADABLE as error:
            raise CannotSucceed(f"not readable as an RT Structure Set ({type(error).__name__})") from error


def _structures(ds: Dataset) -> StructureSet:
    if ds.get("SOPClassUID") != RT_STRUCTURE_SET:
        raise CannotSucceed("not an RT Structure Set")
    drawn: dict[int, list[Contour]] = {}
    for item in _items(ds, "ROIContourSequence"):
        drawn.setdefault(int(item.ReferencedROINumber), []).extend(_contours(item))
    interpreted = {
        int(item.ReferencedROINumber): str(item.get("RTROIInterpretedType") or "").upper()
        for item in _items(ds, "RTROIObservationsSequence")
        if item.get("ReferencedROINumber") is not None
    }
    named = {int(item.ROINumber): item for item in _items(ds, "StructureSetROISequence")}
    twice = [
        n for n, count in Counter(int(i.ROINumber) for i in _items(ds, "StructureSetROISequence")).items() if count > 1
    ]
    if twice:
        raise CannotSucceed(f"several regions have the ROI Number {twice[0]}")
    rois = [
        Roi(
            number=number, name=_name(item.get("ROIName")),
            algorithm=str(item.get("ROIGenerationAlgorithm") or "").upper(), interpreted=interpreted.get(number, ""),
            frame_of_reference=str(item.get("ReferencedFrameOfReferenceUID") or ""),
            contours=tuple(drawn.pop(number, ())),
        )
        for number, item in named.items()
    ]  # fmt: skip
    # Contours of a region that Structure Set ROI Sequence does not have: drawn as well, without a name.
    rois += [Roi(number=n, name="", contours=tuple(found)) for n, found in drawn.items()]
    return StructureSet(
        sop_instance=str(ds.get("SOPInstanceUID") or ""), series=str(ds.get("SeriesInstanceUID") or ""),
        series_number=max(int(ds.get("SeriesNumber") or 0), 0), date=str(ds.get("StructureSetDate") or ""),
        time=str(ds.get("StructureSetTime") or ""), referenced=tuple(dict.fromkeys(_referenced(ds))), rois=tuple(rois),
    )  # fmt: skip


def _referenced(ds: Dataset) -> Iterator[str]:
    for frame in _items(ds, "ReferencedFrameOfReferenceSequence"):
        for study in _items(frame, "RTReferencedStudySequence"):
            for series in _items(study, "RTReferencedSeriesSequence"):
                yield str(series.get("SeriesInstanceUID") or "")


def _contours(roi: Dataset) -> Iterator[Contour]:
    for item in _items(roi, "ContourSequence"):
        kind = str(item.get("ContourGeometricType") or "").upper()
        images = tuple(str(i.get("ReferencedSOPInstanceUID") or "") for i in _items(item, "ContourImageSequence"))
        try:
            points = _points(item)
        except CannotSucceed as error:
            yield Contour(kind=kind, images=images, fault=str(error))
        else:
            yield Contour(kind=kind, points=points, images=images)


def _points(item: Dataset) -> Floats:
    element: Any = item.get_item(_CONTOUR_DATA)
    value = getattr(element, "value", None)
    texts: Sequence[Any] = value.split(b"\\") if isinstance(value, bytes) else value or ()
    try:
        numbers = np.array(list(texts) if len(texts) > 1 else [], np.float64)
    except (ValueError, TypeError):
        raise CannotSucceed("'Contour Data' has what is no number") from None
    if not np.isfinite(numbers).all():
        raise CannotSucceed("'Contour Data' has what is no number")
    if np.abs(numbers).max(initial=0.0) > _FARTHEST:
        raise CannotSucceed("'Contour Data' has a coordinate beyond a kilometre")
    if len(numbers) % 3:
        raise CannotSucceed("'Contour Data' is no list of points with three coordinates")
    said = item.get("NumberOfContourPoints")
    if said is not None and int(said) != len(numbers) // 3:
        raise CannotSucceed("'Number of Contour Points' is not the number of points there are")
    return numbers.reshape(-1, 3)


def _name(value: Any) -> str:
    """Of a region. A backslash in it has made several values of one text."""
    return (value if isinstance(value, str) else "\\".join(str(part) for part in value or ())).strip()


def _items(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    found: Sequence[Dataset] | None = ds.get(keyword)
    return found or ()
