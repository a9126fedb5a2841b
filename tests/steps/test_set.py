from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian

from node.dicom.dataset import read
from node.errors import CannotSucceed
from node.model import Batch
from node.steps.set import Set
from tests import make
from tests.dicom import big_endian as big
from tests.steps.run_step import batch_of, run_step


def _run(tmp_path: Path, ds: FileDataset | None = None, **options: Any) -> Batch:
    path = tmp_path / "in.dcm"
    (ds or make.ct_series(1)[0]).save_as(path, enforce_file_format=True)
    return run_step(Set(**options), batch_of([path]), tmp_path)


def _set(tmp_path: Path, ds: FileDataset | None = None, **options: Any) -> FileDataset:
    return dcmread(_run(tmp_path, ds, **options).items[0].path)


def test_values_are_assigned_by_their_representation(tmp_path: Path) -> None:
    assign = {"PatientID": "TRIAL-7", "KVP": "100", "(0008,0008)": "DERIVED\\PRIMARY", "TagAngleFirstAxis": "1.5"}
    after = _set(
        tmp_path, assign={**assign, "StudyID": "", "StudyDate": "20200101", "RecommendedDisplayFrameRate": "3"}
    )
    assert (after.PatientID, after.KVP, list(after.ImageType)) == ("TRIAL-7", 100, ["DERIVED", "PRIMARY"])
    assert (after.TagAngleFirstAxis, after.StudyID, after.StudyDate) == (1.5, "", "20200101")


def test_a_value_is_copied_as_it_was_received(tmp_path: Path) -> None:
    copy = {
        "StudyDescription": "SeriesDescription",
        "SeriesDescription": "StudyDescription",
        "StudyComments": "ImageComments",
    }
    after = _set(tmp_path, copy=copy)
    assert (after.StudyDescription, after.SeriesDescription) == ("invented series", "INVENTED CHEST")
    assert "StudyComments" not in after


def test_attributes_are_removed_by_keyword_tag_and_creator(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    block = ds.private_block(0x0019, "ACME", create=True)
    block.add_new(1, "LO", "gone")
    block.add_new(2, "LO", "stays")
    after = _set(tmp_path, ds, remove=("StudyDescription", "(0020,0010)", '(0019,"ACME",01)', '(0021,"NONE",01)'))
    assert "StudyDescription" not in after
    assert "StudyID" not in after
    assert [str(element.value) for element in after if element.tag.is_private] == ["ACME", "stays"]


def test_a_certificate_is_told_what_is_changed_without_values_and_creators() -> None:
    step = Set(assign={"KVP": "100"}, copy={"StudyDescription": "Modality"}, remove=('(0019,"SIEMENS MR HEADER",0C)',))
    assert step.changes() == {"(0018,0060)": "assigned", "(0008,1030)": "copied", "(0019,xx0C)": "removed"}


def test_nothing_else_changes(tmp_path: Path) -> None:
    before = make.ct_series(1)[0]
    after = _set(tmp_path, assign={"StudyID": "7"})
    assert after.PixelData == before.PixelData
    assert {e.tag for e in after} == {e.tag for e in before}
    assert [e.tag for e in after if e != before[e.tag]] == [0x00200010]
    assert after.file_meta.MediaStorageSOPInstanceUID == before.SOPInstanceUID


@pytest.mark.parametrize("defined", [True, False])
def test_nothing_else_changes_in_big_endian_either(tmp_path: Path, defined: bool) -> None:
    """Neither words, which pydicom leaves in the order of the file, nor what is written as UN, which it swaps."""
    others = {
        0x00082112: big.unknown_sequence(0x00082112, big.implicit(0x00280010, b"\2\0"), defined=defined),
        0x00281201: big.element(0x00281201, "UN", b"\1\2\3\4"),
    }
    path = big.file(tmp_path / "in.dcm", make.ct_series(1)[0], others)
    (item,) = run_step(Set(assign={"StudyID": "7"}), batch_of([path]), tmp_path).items
    with path.open("rb") as one, item.path.open("rb") as other:
        before, after = read(one), read(other)
    assert after.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    assert after.SourceImageSequence[0].Rows == 2
    assert after.PixelData == before.PixelData == make.ct_series(1)[0].PixelData
    assert [e.tag for e in after if e != before[e.tag]] == [0x00200010]
    assert {e.tag for e in after} == {e.tag for e in before}


def test_a_big_endian_file_that_is_cut_off_is_held(tmp_path: Path) -> None:
    path = big.file(tmp_path / "in.dcm", make.ct_series(1)[0])
    path.write_bytes(path.read_bytes()[:-1])
    batch = run_step(Set(assign={"StudyID": "7"}), batch_of([path]), tmp_path)
    assert "cannot be read and written with certainty" in batch.held[0].reason


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"assign": {"PatientNam": "x"}}, 'unknown attribute "PatientNam". Did you mean "PatientName"?'),
        ({"assign": {"SOPInstanceUID": "1.2.3"}}, "other instances refer to it"),
        ({"assign": {"FrameOfReferenceUID": "1.2.3"}}, "is a UID"),
        ({"assign": {"StudyDate": "yesterday"}}, "does not fit DA"),
        ({"assign": {"StudyID": "longer than sixteen"}}, "does not fit SH"),
        ({"assign": {"KVP": "high"}}, "does not fit DS"),
        ({"assign": {"PatientName": "Müster"}}, "ASCII"),
        ({"assign": {"Rows": "7"}}, "could not be read without it"),
        ({"assign": {"PixelData": "7"}}, "could not be read without it"),
        ({"assign": {"ReferencedStudySequence": "x"}}, "is SQ"),
        ({"assign": {'(0009,"CREATOR",01)': "x"}}, "is private"),
        ({"assign": {"(0002,0016)": "AE"}}, "not part of the data set"),
        ({"assign": {"(0018,FFF1)": "x"}}, "not in the data dictionary"),
        ({"copy": {"StudyDate": "StudyTime"}}, "does not fit"),
        ({"copy": {"StudyDescription": "Nothing"}}, "unknown attribute"),
        ({"remove": ("StudyInstanceUID",)}, "other instances refer to it"),
        ({"remove": ("StudyID",), "assign": {"(0020,0010)": "x"}}, "changed more than once"),
    ],
)
def test_a_wrong_option_is_named_when_rules_are_loaded(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    problems = Set(**options).problems()
    assert problem in "; ".join(problems)
    with pytest.raises(CannotSucceed):
        _run(tmp_path, **options)


def test_nobody_says_by_hand_that_pixels_are_clean() -> None:
    for keyword in ("BurnedInAnnotation", "RecognizableVisualFeatures"):
        assert "only be set to YES" in Set(assign={keyword: "NO"}).problems()[0]
        assert "only be set to YES" in Set(copy={keyword: "Laterality"}).problems()[0]
        assert Set(assign={keyword: "YES"}).problems() == ()


def test_an_instance_that_a_value_does_not_fit_is_held(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.StudyDescription = "more than sixteen characters"
    batch = _run(tmp_path, ds, copy={"StudyID": "StudyDescription"})
    assert batch.items == ()
    assert "does not fit (0020,0010)" in batch.held[0].reason
    assert "sixteen" not in batch.held[0].reason


def test_a_file_that_is_no_data_set_is_held(tmp_path: Path) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"nothing")
    batch = run_step(Set(assign={"StudyID": "7"}), batch_of([bad]), tmp_path)
    assert batch.held
    assert not list((tmp_path / "out").iterdir())
