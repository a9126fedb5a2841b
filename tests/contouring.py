"""Structure sets for tests: contours given in pixels of an image, and the masks that they should make.

The reference knows nothing of the node's filling: it asks every pixel of a slice on its own, by the even-odd rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from node.dicom.references import RT_STRUCTURE_SET
from tests import make

OBLIQUE = tuple(
    float(x)
    for x in np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0]]).ravel()  # exactly orthonormal in decimals
)


@dataclass(frozen=True, kw_only=True)
class Path:
    """One contour: corners in (column, row) of slice `k`, which may lie `off` mm beside it."""

    k: int
    corners: np.ndarray
    kind: str = "CLOSED_PLANAR"
    off: float = 0.0
    names_image: bool = True


def disc(column: float, row: float, radius: float, *, corners: int = 360, turned: bool = False) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    found = np.stack([column + radius * np.cos(turn), row + radius * np.sin(turn)], 1)
    return found[::-1] if turned else found


def square(low: float, high: float) -> np.ndarray:
    return np.array([[low, low], [high, low], [high, high], [low, high]], float)


def keyhole(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """One path: around the outside, in to the hole, around it the other way, back along the same line."""
    return np.vstack([outer, outer[:1], inner, inner[:1]])


def even_odd(paths: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre is enclosed an odd number of times, each asked on its own; float64."""
    column, row = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    found = np.zeros(shape, bool)
    for path in paths:
        for (ax, ay), (bx, by) in zip(path, np.roll(path, -1, axis=0), strict=True):
            if ay != by:
                crosses = (ay > row) != (by > row)
                found ^= crosses & (column > ax + (row - ay) * (bx - ax) / (by - ay))
    return found


Point = tuple[Fraction, Fraction]


def exactly(paths: Sequence[Sequence[Point]], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre is enclosed by an odd number of paths or lies on one of them, each asked on its own, in
    fractions, edge by edge."""
    found = np.zeros(shape, bool)
    edges = [edge for path in paths for edge in zip(path, [*path[1:], path[0]], strict=True)]
    for row in range(shape[0]):
        met = [(a, b) for a, b in edges if min(a[1], b[1]) <= row <= max(a[1], b[1])]
        columns = [x for edge in met for x, _ in edge]
        for column in range(shape[1]) if met else ():
            if min(columns) <= column <= max(columns):
                found[row, column] = _enclosed(met, column, row)
    return found


def _enclosed(edges: Sequence[tuple[Point, Point]], column: int, row: int) -> bool:
    """By a ray to the left."""
    inside = False
    for (ax, ay), (bx, by) in edges:
        across = (bx - ax) * (row - ay) - (by - ay) * (column - ax)
        if across == 0 and min(ax, bx) <= column <= max(ax, bx) and min(ay, by) <= row <= max(ay, by):
            return True
        if (ay > row) != (by > row) and ax + (row - ay) * (bx - ax) / (by - ay) <= column:
            inside = not inside
    return inside


def in_patient(image: Dataset, corners: np.ndarray, off: float = 0.0) -> np.ndarray:
    """PS3.3 C.7.6.2.1.1: (column, row) of an image to (x, y, z), mm; `off` mm along the normal."""
    row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    spacing = np.array(image.PixelSpacing, float)
    start = np.array(image.ImagePositionPatient, float) + off * np.cross(row, column)
    return start + np.outer(corners[:, 0] * spacing[1], row) + np.outer(corners[:, 1] * spacing[0], column)


def structure_set(
    images: Sequence[Dataset], rois: Mapping[str, Sequence[Path]], *, decimals: int = 10, series: str = "structures",
    number: int = 1,
) -> FileDataset:  # fmt: skip
    """Regions drawn on the slices of a series; ROI Numbers from 1 in the order given."""
    ds = make.instance(RT_STRUCTURE_SET, series=series, number=number)
    ds.Modality, ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "RTSTRUCT", "PLAN", "20200103", "1112"
    ds.StudyInstanceUID = images[0].StudyInstanceUID
    listed = Items([_image(image) for image in images])
    of_series = _with(SeriesInstanceUID=images[0].SeriesInstanceUID, ContourImageSequence=listed)
    study = _with(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=images[0].StudyInstanceUID,
        RTReferencedSeriesSequence=Items([of_series]),
    )  # fmt: skip
    frame = images[0].FrameOfReferenceUID
    ds.FrameOfReferenceUID = frame
    ds.ReferencedFrameOfReferenceSequence = Items(
        [_with(FrameOfReferenceUID=frame, RTReferencedStudySequence=Items([study]))]
    )
    named, drawn, observed = [], [], []
    for n, (name, paths) in enumerate(rois.items(), 1):
        named.append(
            _with(ROINumber=n, ReferencedFrameOfReferenceUID=frame, ROIName=name, ROIGenerationAlgorithm="MANUAL")
        )
        contours = Items([_contour(images, path, decimals) for path in paths])
        drawn.append(_with(ROIDisplayColor=[255, 0, 0], ReferencedROINumber=n, ContourSequence=contours))
        observed.append(
            _with(ObservationNumber=n, ReferencedROINumber=n, RTROIInterpretedType="ORGAN", ROIInterpreter="")
        )
    ds.StructureSetROISequence, ds.ROIContourSequence = Items(named), Items(drawn)
    ds.RTROIObservationsSequence = Items(observed)
    return ds


def _contour(images: Sequence[Dataset], path: Path, decimals: int) -> Dataset:
    points = in_patient(images[path.k], path.corners, path.off)
    found = _with(
        ContourGeometricType=path.kind, NumberOfContourPoints=len(points),
        ContourData=[f"{x:.{decimals}f}"[:16] for x in points.ravel()],
    )  # fmt: skip
    if path.names_image:
        found.ContourImageSequence = Items([_image(images[path.k])])
    return found


def _image(image: Dataset) -> Dataset:
    return _with(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)


def _with(**values: Any) -> Dataset:
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found
