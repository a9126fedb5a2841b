"""Which series structure sets and segmentations name, in the headers that the index keeps."""

from __future__ import annotations

from pathlib import Path as File

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from node.dicom.header import read_header, read_header_of
from node.dicom.part10 import read_meta
from node.dicom.references import SEGMENTATION, Reference, references_of
from node.errors import CannotSucceed
from node.model import Header
from tests import make
from tests.contouring import Path, square, structure_set
from tests.data import real
from tests.kit import encoded


def header_of(ds: Dataset) -> Header:
    return read_header(*encoded(ds)).header


def a_set(images: list[FileDataset]) -> FileDataset:
    return structure_set(images, {"a": [Path(k=0, corners=square(1, 5))]})


def segmentation(images: list[FileDataset]) -> FileDataset:
    ds = make.instance(SEGMENTATION, series="seg")
    series, instance = Dataset(), Dataset()
    series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID = images[0].SeriesInstanceUID, images[1].SOPInstanceUID
    series.ReferencedInstanceSequence = Items([instance])
    ds.ReferencedSeriesSequence = Items([series])
    return ds


def test_a_structure_set_names_study_series_and_images() -> None:
    images = make.ct_series(3)
    assert references_of(header_of(a_set(images))) == (
        Reference(
            series=images[0].SeriesInstanceUID, study=images[0].StudyInstanceUID,
            instances=frozenset(ds.SOPInstanceUID for ds in images),
        ),
    )  # fmt: skip


def test_a_segmentation_names_series_and_images() -> None:
    images = make.ct_series(3)
    assert references_of(header_of(segmentation(images))) == (
        Reference(series=images[0].SeriesInstanceUID, instances=frozenset({images[1].SOPInstanceUID})),
    )


def test_a_series_that_is_named_twice_is_one_reference_and_two_are_two() -> None:
    one, other = make.ct_series(2), make.ct_series(2, series="other")
    ds = a_set(one)
    for images in (one[1:], other):
        ds.ReferencedFrameOfReferenceSequence.append(a_set(images).ReferencedFrameOfReferenceSequence[0])
    found = references_of(header_of(ds))
    assert [reference.series for reference in found] == [one[0].SeriesInstanceUID, other[0].SeriesInstanceUID]
    assert found[0].instances == {ds.SOPInstanceUID for ds in one}


def test_what_names_none_has_none() -> None:
    assert references_of(header_of(make.ct_series(1)[0])) == ()
    bare = a_set(make.ct_series(1))
    del bare.ReferencedFrameOfReferenceSequence
    assert references_of(header_of(bare)) == ()
    bare.ReferencedFrameOfReferenceSequence = Items([Dataset()])
    assert references_of(header_of(bare)) == ()


def test_a_header_that_was_too_long_for_them_says_so() -> None:
    header = dict(header_of(a_set(make.ct_series(1))))
    header["30060010"] = ["SQ", None]
    with pytest.raises(CannotSucceed, match="its header is too long"):
        references_of(header)


@pytest.mark.parametrize(("name", "images"), [("rt_rtss/rtss.dcm", 50), ("rt_small/rt.dcm", 2)])
def test_the_header_of_a_real_structure_set_keeps_them(name: str, images: int) -> None:
    folder, _, file = name.partition("/")
    path: File = real(folder) / file
    meta = read_meta(path)
    (found,) = references_of(read_header_of(path, meta.transfer_syntax, meta.dataset_offset).header)
    assert len(found.instances) >= images
    assert found.study
