from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from node.dicom.uids import IMPLEMENTATION_CLASS_UID
from node.errors import CannotSucceed
from node.steps.anonymize import Anonymize
from tests import make
from tests.steps.anonymize.driver import SECRET, output, result, run, why_held
from tests.steps.run_step import batch_of, run_step


def test_the_same_input_gives_the_same_bytes_in_another_process_too(tmp_path: Path) -> None:
    here = output(make.ct_series(1)[0], tmp_path).read_bytes()
    (tmp_path / "again").mkdir()
    code = (
        "import sys; from pathlib import Path; from tests.steps.anonymize.driver import output;"
        "sys.stdout.buffer.write(output(Path(sys.argv[1]), Path(sys.argv[2])).read_bytes())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "in.dcm"), str(tmp_path / "again")],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[3],
    ).stdout
    assert there == here


def test_a_repeat_overwrites_and_changes_nothing(tmp_path: Path) -> None:
    first = output(make.ct_series(1)[0], tmp_path)
    before = first.read_bytes()
    again = output(tmp_path / "in.dcm", tmp_path)
    assert (again, again.read_bytes()) == (first, before)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_series_stays_a_series_of_one_patient(tmp_path: Path) -> None:
    paths = []
    for number, ds in enumerate(make.ct_series(3)):
        paths.append(tmp_path / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    batch = run_step(Anonymize(), batch_of(paths), tmp_path, {"secret": SECRET})
    after = [dcmread(item.path) for item in batch.items]
    assert [item.path.name for item in batch.items] == ["0.dcm", "1.dcm", "2.dcm"]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert len({str(ds[keyword].value) for ds in after}) == 1
    assert len({ds.SOPInstanceUID for ds in after}) == 3


def test_patient_and_uids_are_replaced_and_the_pixels_are_not(tmp_path: Path) -> None:
    before = make.ct_series(1)[0]
    after = result(before, tmp_path)
    assert after.PatientName == after.PatientID
    assert len(after.PatientID) == 16
    assert after.PatientBirthDate == after.AccessionNumber == after.StudyDate == ""
    assert "StudyDescription" not in after
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID != before.SOPInstanceUID
    assert after.PixelData == before.PixelData
    assert (after.Rows, after.KVP, after.ImagePositionPatient) == (before.Rows, before.KVP, before.ImagePositionPatient)


def test_the_output_says_what_was_done(tmp_path: Path) -> None:
    after = result(make.ct_series(1)[0], tmp_path, options=("retain_patient_characteristics", "retain_long_full_dates"))
    assert after.PatientIdentityRemoved == "YES"
    assert after.DeidentificationMethod[0] == "dicom-node: PS3.15 2026d Basic Profile"
    assert all(len(value) <= 64 for value in after.DeidentificationMethod)
    assert [item.CodeValue for item in after.DeidentificationMethodCodeSequence] == ["113100", "113106", "113108"]
    assert after.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert after.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert result(make.ct_series(1)[0], tmp_path).LongitudinalTemporalInformationModified == "REMOVED"


def test_an_anonymized_instance_can_be_anonymized_again(tmp_path: Path) -> None:
    once = output(make.ct_series(1)[0], tmp_path)
    (tmp_path / "second").mkdir()
    twice = result(once, tmp_path / "second")
    first = dcmread(once)
    assert {element.tag for element in twice} == {element.tag for element in first}
    assert len(twice.DeidentificationMethodCodeSequence) == 1


def test_what_a_reference_names_is_what_the_instance_became(tmp_path: Path) -> None:
    first, second = make.ct_series(2)
    second.ReferencedImageSequence = Sequence([Dataset()])
    second.ReferencedImageSequence[0].ReferencedSOPClassUID = first.SOPClassUID
    second.ReferencedImageSequence[0].ReferencedSOPInstanceUID = first.SOPInstanceUID
    second.RelatedSeriesSequence = Sequence([Dataset()])
    second.RelatedSeriesSequence[0].StudyInstanceUID = first.StudyInstanceUID
    became = result(first, tmp_path).SOPInstanceUID
    after = result(second, tmp_path)
    assert after.ReferencedImageSequence[0].ReferencedSOPInstanceUID == became
    assert after.ReferencedImageSequence[0].ReferencedSOPClassUID == make.CT_IMAGE
    assert after.RelatedSeriesSequence[0].StudyInstanceUID == after.StudyInstanceUID


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "after"),
    [
        ("BodyPartExamined", "CS", "SMITHSON", "ANONYMIZED"),
        ("ScanOptions", "CS", "FAST\\T_4711XYZ", "FAST\\ANONYMIZED"),
        ("SliceThickness", "DS", "1.5", "1.5"),
        ("BodyPartExamined", "CS", "HAND", "HAND"),
    ],
)  # fmt: skip
def test_a_code_that_says_the_patients_name_or_id_is_replaced(
    tmp_path: Path, keyword: str, vr: str, value: str, after: str
) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientName, ds.PatientID = "Smithson^Robert", "4711XYZ"
    raw = value.encode() + b" " * (len(value) % 2)
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, vr, len(raw), raw, 0, False, True)
    found = result(ds, tmp_path)[keyword].value
    assert "\\".join(found if isinstance(found, MultiValue) else [str(found)]) == after


@pytest.mark.parametrize("name", ["Head^Anna", "HEAD PHANTOM", "Primary^Axial", "UNKNOWN"])
def test_a_term_of_the_standard_stays_where_it_is_also_a_name(tmp_path: Path, name: str) -> None:
    """Else every HEAD of Mr Head would be lost, and every image of a phantom."""
    ds = make.ct_series(1)[0]
    ds.PatientName = name
    ds.BodyPartExamined, ds.ImageType = "HEAD_PHANTOM", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesDescription = f"of {name.split('^')[0]}"
    after = result(ds, tmp_path)
    assert (after.BodyPartExamined, list(after.ImageType)) == ("HEAD_PHANTOM", ["ORIGINAL", "PRIMARY", "AXIAL"])
    assert name.split("^")[0] not in str(after.get("SeriesDescription", ""))


def test_a_number_that_equals_the_patient_id_stays(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientID = ds.InstanceNumber = "1000"
    assert result(ds, tmp_path).InstanceNumber == 1000


def test_an_own_uid_is_replaced_in_attributes_that_the_table_does_not_name(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PixelDataProviderURL = ""
    ds.CodingSchemeIdentificationSequence = Sequence([Dataset()])
    ds.CodingSchemeIdentificationSequence[0].CodingSchemeUID = [ds.StudyInstanceUID, "2.16.840.1.113883.6.96"]
    after = result(ds, tmp_path).CodingSchemeIdentificationSequence[0].CodingSchemeUID
    assert ds.StudyInstanceUID not in after
    assert after[1] == "2.16.840.1.113883.6.96"


def test_retained_uids_are_kept_everywhere(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    after = result(ds, tmp_path, options=("retain_uids",))
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert after.FrameOfReferenceUID == ds.FrameOfReferenceUID


def test_without_a_patient_id_the_study_is_the_patient(tmp_path: Path) -> None:
    ids = []
    for study in ("a", "b"):
        ds = make.ct_series(1, study=study)[0]
        ds.PatientID = ""
        ids.append(result(ds, tmp_path).PatientID)
    assert len(set(ids)) == 2


def test_code_meanings_stay_only_beside_published_codes(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.ProcedureCodeSequence = Sequence([Dataset(), Dataset(), Dataset()])
    for item, scheme in zip(ds.ProcedureCodeSequence, ("SCT", "99LOCAL", None), strict=True):
        item.CodeValue, item.CodeMeaning = "77477000", "CT of the chest"
        if scheme:
            item.CodingSchemeDesignator = scheme
    after = result(ds, tmp_path).ProcedureCodeSequence
    assert [item.CodeMeaning for item in after] == ["CT of the chest", "ANONYMIZED", "ANONYMIZED"]


def test_text_that_says_the_patient_is_replaced_where_the_table_leaves_it(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientName, ds.PatientID = "Mustermann^Li", "4711-X"
    ds.SequenceName, ds.ManufacturerModelName, ds.Manufacturer = "fl3d mustermann", "4711-X", "Mustermannson Li"
    ds.ProcedureCodeSequence = Sequence([Dataset()])
    item = ds.ProcedureCodeSequence[0]
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "77477000", "SCT", "CT of MUSTERMANN"
    after = result(ds, tmp_path)
    assert (after.SequenceName, after.ManufacturerModelName) == ("ANONYMIZED", "ANONYMIZED")
    assert after.Manufacturer == "Mustermannson Li"
    assert after.ProcedureCodeSequence[0].CodeMeaning == "ANONYMIZED"


def test_a_required_sequence_keeps_one_item_without_its_text(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PersonIdentificationCodeSequence = Sequence([Dataset(), Dataset()])
    for item in ds.PersonIdentificationCodeSequence:
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "4711", "SCT", "Smith"
    after = result(ds, tmp_path).PersonIdentificationCodeSequence
    assert [(item.CodeValue, item.CodeMeaning) for item in after] == [("ANONYMIZED", "ANONYMIZED")]


def test_a_number_that_a_device_writes_in_its_own_way_fails_nothing(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    path = tmp_path / "in.dcm"
    ds.SliceThickness = "2.5"
    ds.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"2.5 ", b"2,50"))
    assert b"2,50" in output(path, tmp_path).read_bytes()


@pytest.mark.parametrize("secret", [b"", b"x" * 31, "x" * 40])
def test_without_a_sufficient_secret_nothing_is_passed_on(tmp_path: Path, secret: bytes) -> None:
    with pytest.raises(CannotSucceed, match="at least 32 bytes"):
        run(make.ct_series(1)[0], tmp_path, secret=secret)


def test_options_that_cannot_be_kept_to_are_refused_with_the_reason() -> None:
    step = Anonymize(profile="full", options=("retain_uid", "retain_uids", "retain_uids"))
    assert step.problems() == (
        'unknown profile "full"; there is "basic"',
        'unknown option "retain_uid". Did you mean "retain_uids"?',
        'option "retain_uids" is given twice',
    )
    assert Anonymize(options=("retain_uids", "retain_safe_private")).problems() == ()


def test_a_step_with_problems_passes_nothing_on(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="retain_uid"):
        run(make.ct_series(1)[0], tmp_path, options=("retain_uid",))


def test_one_bad_member_is_held_and_the_rest_go_on(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.dcm", tmp_path / "bad.dcm"
    make.ct_series(1)[0].save_as(good, enforce_file_format=True)
    bad.write_bytes(b"no DICOM at all")
    batch = run_step(Anonymize(), batch_of([bad, good]), tmp_path, {"secret": SECRET})
    assert [item.path.name for item in batch.items] == ["good.dcm"]
    assert [held.sources for held in batch.held] == [batch_of([bad]).items[0].sources]


def test_a_held_instance_leaves_no_output_of_an_earlier_try(tmp_path: Path) -> None:
    output(make.ct_series(1)[0], tmp_path)
    ds = make.ct_series(1)[0]
    ds.BurnedInAnnotation = "YES"
    assert "Burned In Annotation" in why_held(ds, tmp_path)
