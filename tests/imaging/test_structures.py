"""Structure sets as values: what vendors write, and what is wrong with one contour stays with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as File

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset

from node.errors import CannotSucceed
from node.imaging.structures import read_structures
from tests import make
from tests.contouring import Path, in_patient, square, structure_set
from tests.data import real


def a_set(change: Callable[[Dataset], None] = lambda ds: None) -> Dataset:
    ds = structure_set(
        make.ct_series(3), {"Lung_L": [Path(k=0, corners=square(1, 4)), Path(k=1, corners=square(2, 5))], "Heart": []}
    )
    change(ds)
    return ds


def first_contour(ds: Dataset) -> Dataset:
    found: Dataset = ds.ROIContourSequence[0].ContourSequence[0]
    return found


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"], ids=["implicit", "explicit"])
def test_regions_contours_and_the_referenced_series_are_read(tmp_path: File, syntax: str) -> None:
    def encode(ds: Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = syntax

    found = read_structures(make.write(a_set(encode), tmp_path / "rt.dcm"))
    images = make.ct_series(3)
    assert [(roi.number, roi.name, len(roi.contours)) for roi in found.rois] == [(1, "Lung_L", 2), (2, "Heart", 0)]
    assert [(roi.algorithm, roi.interpreted) for roi in found.rois] == [("MANUAL", "ORGAN")] * 2
    assert found.referenced == (images[0].SeriesInstanceUID,)
    assert (found.date, found.time) == ("20200103", "1112")
    contour = found.rois[0].contours[1]
    assert contour.images == (images[1].SOPInstanceUID,)
    assert np.allclose(contour.points, in_patient(images[1], square(2, 5)), atol=1e-9)


def test_contours_of_a_region_without_a_name_are_there(tmp_path: File) -> None:
    def unnamed(ds: Dataset) -> None:
        ds.ROIContourSequence[0].ReferencedROINumber = 7

    found = read_structures(make.write(a_set(unnamed), tmp_path / "rt.dcm"))
    assert [(roi.number, roi.name, len(roi.contours)) for roi in found.rois] == [
        (1, "Lung_L", 0), (2, "Heart", 0), (7, "", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "points", "fault"),
    [
        (b"1\\2\\x", 1, "'Contour Data' has what is no number"),
        (b"1\\2\\nan ", 1, "'Contour Data' has what is no number"),
        (b"1\\2\\", 1, "'Contour Data' has what is no number"),
        (b"1\\2\\1e300 ", 1, "'Contour Data' has a coordinate beyond a kilometre"),
        (b"1\\2\\3\\4 ", 1, "'Contour Data' is no list of points with three coordinates"),
        (b"1\\2\\3 ", 4, "'Number of Contour Points' is not the number of points there are"),
    ],
)
def test_a_broken_contour_says_why_and_the_others_are_read(
    tmp_path: File, data: bytes, points: int, fault: str
) -> None:
    ds = a_set()
    contour = first_contour(ds)
    contour.NumberOfContourPoints = points
    contour.ContourData = [f"{n}.5" for n in range(len(data) // 2)]
    path = make.write(ds, tmp_path / "rt.dcm")  # type: ignore[arg-type]
    whole = path.read_bytes()
    written = b"\\".join(b"%d.5" % n for n in range(len(data) // 2))
    padded = written + b" " * (len(written) % 2)
    assert whole.count(padded) == 1
    path.write_bytes(whole.replace(padded, (data + b" " * len(padded))[: len(padded)]))
    found = read_structures(path).rois[0].contours
    assert [c.fault for c in found] == [fault, ""]


def test_a_contour_without_data_has_no_points(tmp_path: File) -> None:
    def empty(ds: Dataset) -> None:
        del first_contour(ds).ContourData
        first_contour(ds).NumberOfContourPoints = 0

    contour = read_structures(make.write(a_set(empty), tmp_path / "rt.dcm")).rois[0].contours[0]
    assert (contour.fault, contour.points.shape) == ("", (0, 3))


def test_two_regions_with_one_number_are_refused(tmp_path: File) -> None:
    def twice(ds: Dataset) -> None:
        ds.StructureSetROISequence[1].ROINumber = 1

    with pytest.raises(CannotSucceed, match="several regions have the ROI Number 1"):
        read_structures(make.write(a_set(twice), tmp_path / "rt.dcm"))


def test_what_is_no_structure_set_is_refused(tmp_path: File) -> None:
    with pytest.raises(CannotSucceed, match="not an RT Structure Set"):
        read_structures(make.write(make.ct_series(1)[0], tmp_path / "ct.dcm"))
    (tmp_path / "text").write_text("no DICOM")
    with pytest.raises(CannotSucceed, match="not readable"):
        read_structures(tmp_path / "text")


def test_pydicoms_own_structure_set_is_read(tmp_path: File) -> None:
    path = get_testdata_file("rtstruct.dcm")
    assert path
    ds = dcmread(path, force=True)  # it has no file meta information, which the spool always has
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    found = read_structures(make.write(ds, tmp_path / "rt.dcm"))
    assert [len(roi.contours) for roi in found.rois] == [3, 1, 1]


def test_a_clinical_structure_set_is_read() -> None:
    found = read_structures(real("rt_rtss") / "rtss.dcm")
    assert len(found.rois) == 10
    assert not [c.fault for roi in found.rois for c in roi.contours if c.fault]
    assert len(found.referenced) == 1


def test_a_backslash_in_a_name_is_a_part_of_it(tmp_path: File) -> None:
    def rename(ds: Dataset) -> None:
        ds.StructureSetROISequence[0].ROIName = "left\\lung"

    assert read_structures(make.write(a_set(rename), tmp_path / "rt.dcm")).rois[0].name == "left\\lung"
