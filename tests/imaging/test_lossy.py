"""An instance that lost something is a new one, and says what it was made from, how and how much."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from node.dicom.uids import valid_uid
from node.imaging.lossy import derive, mark
from node.imaging.targets import TARGETS
from tests import make
from tests.imaging.layouts import layout

TARGET = TARGETS["jpeg-2000-lossy"]


def derived(ds: Dataset, ratio: float = 10.2, level: str = "at least 10:1") -> Dataset:
    derive(ds, TARGET, ratio, level)
    return ds


def test_it_has_a_new_uid_that_is_the_same_for_a_repeat_and_another_for_another_level() -> None:
    before = make.ct_series(1)[0].SOPInstanceUID
    found = [derived(make.ct_series(1)[0], level=level).SOPInstanceUID for level in ("a", "a", "b")]
    assert found[0] == found[1]
    assert len({before, *found}) == 3
    assert all(valid_uid(uid) for uid in found)


def test_it_is_derived_and_names_its_source() -> None:
    before, ds = make.ct_series(1)[0], derived(make.ct_series(1)[0])
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert (ds.LossyImageCompression, ds.LossyImageCompressionMethod) == ("01", "ISO_15444_1")
    assert float(ds.LossyImageCompressionRatio) == 10.2
    assert ds.DerivationDescription == "Lossy compression: JPEG 2000, at least 10:1, ratio 10.2:1"
    assert [code.CodeValue for code in ds.DerivationCodeSequence] == ["113040"]
    (source,) = ds.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert source.ReferencedSOPClassUID == before.SOPClassUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320", "uncompressed predecessor"
    assert (ds.SeriesInstanceUID, ds.StudyInstanceUID) == (before.SeriesInstanceUID, before.StudyInstanceUID)


def test_what_was_derived_and_lossy_before_keeps_its_history() -> None:
    ds = make.ct_series(1)[0]
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 5
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.DerivationDescription = "cropped"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, "1.2.3"
    ds.SourceImageSequence = Items([item])
    derived(ds)
    assert [float(ratio) for ratio in ds.LossyImageCompressionRatio] == [5, 10.2]
    assert list(ds.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert ds.DerivationDescription.startswith("cropped; Lossy compression")
    assert next(source.ReferencedSOPInstanceUID for source in ds.SourceImageSequence) == "1.2.3"
    purpose = ds.SourceImageSequence[1].PurposeOfReferenceCodeSequence[0]
    assert purpose.CodeValue == "121322", "no uncompressed predecessor"


def test_a_description_that_grows_too_long_is_begun_anew() -> None:
    ds = make.ct_series(1)[0]
    ds.DerivationDescription = "x" * 1000
    assert derived(ds).DerivationDescription.startswith("Lossy compression")


def test_an_instance_without_image_type_gets_one() -> None:
    ds = make.ct_series(1)[0]
    del ds.ImageType
    assert list(derived(ds).ImageType) == ["DERIVED", "PRIMARY"]


def test_statistics_of_the_pixels_before_do_not_stay() -> None:
    ds = make.ct_series(1)[0]
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = 0, 4095
    assert "LargestImagePixelValue" not in derived(ds)


def test_all_frames_of_an_enhanced_image_are_derived() -> None:
    ds = derived(make.enhanced_mr())
    frame_types = [group.MRImageFrameTypeSequence[0].FrameType for group in ds.PerFrameFunctionalGroupsSequence]
    assert {frame_type[0] for frame_type in frame_types} == {"DERIVED"}
    (derivation,) = ds.SharedFunctionalGroupsSequence[0].DerivationImageSequence
    assert derivation.DerivationCodeSequence[0].CodeValue == "113040"
    assert derivation.SourceImageSequence[0].ReferencedSOPInstanceUID == make.enhanced_mr().SOPInstanceUID


def test_where_frames_have_a_derivation_of_their_own_each_gets_ours_too() -> None:
    ds = make.enhanced_mr()
    for group in ds.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence = Items([Dataset()])
    derived(ds)
    assert {len(group.DerivationImageSequence) for group in ds.PerFrameFunctionalGroupsSequence} == {2}
    assert "DerivationImageSequence" not in ds.SharedFunctionalGroupsSequence[0]


@pytest.mark.parametrize(
    ("syntax", "method"), [("50", "ISO_10918_1"), ("81", "ISO_14495_1"), ("91", "ISO_15444_1"), ("203", "ISO_15444_15")]
)
def test_what_a_decoder_undid_is_said_where_nothing_says_it(syntax: str, method: str) -> None:
    ds = make.ct_series(1)[0]
    mark(ds, layout((12, 10), f"1.2.840.10008.1.2.4.{syntax}"), 60)
    assert (ds.LossyImageCompression, ds.LossyImageCompressionMethod) == ("01", method)
    assert float(ds.LossyImageCompressionRatio) == 4
    assert next(iter(ds.ImageType)) == "ORIGINAL", "it is the same instance"


def test_what_the_sender_said_of_its_compression_stays() -> None:
    ds = make.ct_series(1)[0]
    ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 12
    ds.LossyImageCompressionMethod = "ISO_15444_1"
    mark(ds, layout((12, 10), "1.2.840.10008.1.2.4.50"), 60)
    assert (float(ds.LossyImageCompressionRatio), ds.LossyImageCompressionMethod) == (12, "ISO_15444_1")
