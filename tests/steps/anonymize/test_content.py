"""Structured content and graphics (PS3.15 E.3.3, E.3.4), through the step."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.dicom import deid_content
from node.steps.anonymize.actions import Do
from node.steps.anonymize.content import action_of, concept_of, is_referred_to_by_place
from node.steps.anonymize.plain import Plain
from tests import make
from tests.steps.anonymize.driver import result, why_held

CONTENT = ("clean_structured_content",)
TEXTS = (*CONTENT, "clean_descriptors")


def code(value: str, scheme: str = "DCM", meaning: str = "a concept") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def item(value_type: str, concept: Sequence, **values: object) -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ValueType, made.ConceptNameCodeSequence = "CONTAINS", value_type, concept
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


FINDING, ACCESSION, SCAN_DATE, OBSERVER = code("121071"), code("121022"), code("126201"), code("121008")


def report(*items: Dataset) -> FileDataset:
    ds = make.report()
    ds.PatientName, ds.PatientID = "Mustermann^Anna", "4711-X"
    ds.ContentSequence = Sequence(items)
    return ds


def test_a_report_is_held_unless_its_content_is_cleaned(tmp_path: Path) -> None:
    ds = report(item("TEXT", FINDING, TextValue="a nodule"))
    assert "the option clean_structured_content cleans that" in why_held(ds, tmp_path)
    assert "structured report" in why_held(ds, tmp_path, options=("clean_descriptors",))
    assert result(ds, tmp_path, options=CONTENT).ContentSequence


def test_items_go_by_their_concept(tmp_path: Path) -> None:
    ds = report(
        item("TEXT", FINDING, TextValue="Nodule of Mustermann, left lung"),
        item("TEXT", ACCESSION, TextValue="ACC-77"),
        item("DATE", SCAN_DATE, Date="20200315"),
        item("PNAME", OBSERVER, PersonName="Gruber^Eva"),
        item(
            "CONTAINER",
            code("121070"),
            ContentSequence=Sequence([item("TEXT", FINDING, TextValue="seen by Eva Gruber")]),
        ),
    )
    after = result(ds, tmp_path, options=TEXTS)
    assert not [word for word in ("Mustermann", "ACC-77", "20200315", "Gruber", "Eva") if word in str(after)]
    texts = [each.TextValue for each in after.ContentSequence if each.ValueType == "TEXT"]
    assert texts == ["Nodule of left lung"]
    assert after.ContentSequence[-1].ContentSequence[0].TextValue == "seen by"
    assert "DATE" not in [each.ValueType for each in after.ContentSequence]


def test_without_clean_descriptors_text_is_replaced_and_measurements_stay(tmp_path: Path) -> None:
    number = item("NUM", code("410668003", "SCT", "Length"))
    number.MeasuredValueSequence = Sequence([Dataset()])
    number.MeasuredValueSequence[0].NumericValue = "7"
    number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = code("mm", "UCUM", "millimeter")
    after = result(report(item("TEXT", FINDING, TextValue="Nodule"), number), tmp_path, options=CONTENT)
    assert [each.ValueType for each in after.ContentSequence] == ["TEXT", "NUM"]
    assert after.ContentSequence[0].TextValue == "ANONYMIZED"
    assert after.ContentSequence[1].MeasuredValueSequence[0].NumericValue == 7
    assert after.ContentSequence[1].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeMeaning == "millimeter"


def age(number: str, unit: str = "a", *, concept: Sequence | None = None) -> Dataset:
    made = item("NUM", concept or code("121033", meaning="Subject Age"))
    made.MeasuredValueSequence = Sequence([Dataset()])
    made.MeasuredValueSequence[0].NumericValue = number
    made.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = code(unit, "UCUM", "unit")
    return made


def test_an_age_over_89_goes_from_content_and_others_stay_with_the_patients_characteristics(tmp_path: Path) -> None:
    of_loinc = code("30525-0", "LN", "Age")
    ages = [age("97"), age("45"), age("1100", "mo"), age("300", "mo"), age("97", concept=of_loinc), age("97", "d")]
    ds = report(*ages, age("97", concept=code("410668003", "SCT", "Length")))
    after = result(ds, tmp_path, options=(*TEXTS, "retain_patient_characteristics"))
    assert [str(each.MeasuredValueSequence[0].NumericValue) for each in after.ContentSequence] == [
        "45", "300", "97", "97",
    ]  # fmt: skip


def test_an_age_in_an_acquisition_context_has_its_number_in_itself(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    items = [item("NUM", code("121033"), NumericValue=number) for number in ("91", "45")]
    ds.AcquisitionContextSequence = Sequence(items)
    after = result(ds, tmp_path, options=(*CONTENT, "retain_patient_characteristics"))
    assert [str(each.NumericValue) for each in after.AcquisitionContextSequence] == ["45"]


@pytest.mark.parametrize(
    ("option", "kept"), [("retain_long_full_dates", True), ("retain_long_modified_dates", False), (None, None)]
)
def test_dates_in_the_content_go_as_the_others(tmp_path: Path, option: str | None, kept: bool | None) -> None:
    ds = report(item("TEXT", FINDING, TextValue="Nodule"), item("DATE", SCAN_DATE, Date="20200315"))
    after = result(ds, tmp_path, options=(*CONTENT, *([option] if option else [])))
    dates = [each.Date for each in after.ContentSequence if each.ValueType == "DATE"]
    assert [date == "20200315" for date in dates] == ([] if kept is None else [kept])


def test_uids_in_the_content_become_what_the_instances_became(tmp_path: Path) -> None:
    image = make.ct_series(1)[0]
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    ds = report(
        item("IMAGE", code("113795"), ReferencedSOPSequence=Sequence([reference])),
        item("UIDREF", code("110180"), UID=image.StudyInstanceUID),
    )
    after = result(ds, tmp_path, options=(*CONTENT, "retain_long_full_dates"))
    (tmp_path / "image").mkdir()
    became = result(image, tmp_path / "image")
    assert after.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == became.SOPInstanceUID
    assert became.StudyInstanceUID == after.ContentSequence[1].UID


def test_content_of_which_nothing_is_left_goes_whole(tmp_path: Path) -> None:
    """A Content Sequence may not be empty (PS3.3 Table C.17.3-3: one or more items)."""
    assert "ContentSequence" not in result(
        report(item("TEXT", ACCESSION, TextValue="ACC-77")), tmp_path, options=CONTENT
    )


def test_an_item_that_is_counted_stays_in_its_place(tmp_path: Path) -> None:
    by_place = Dataset()
    by_place.RelationshipType, by_place.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 2]
    finding = item("TEXT", FINDING, TextValue="Nodule", ContentSequence=Sequence([by_place]))
    after = result(report(item("TEXT", ACCESSION, TextValue="ACC-77"), finding), tmp_path, options=TEXTS)
    assert [each.TextValue for each in after.ContentSequence] == ["ANONYMIZED", "Nodule"]


def test_an_item_that_must_go_and_is_counted_holds_the_report(tmp_path: Path) -> None:
    scheme, value, _ = next(
        concept for concept, row in deid_content.rows().items() if concept[2] == "NUM" and not row.keeps
    )
    by_place = Dataset()
    by_place.RelationshipType, by_place.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 2]
    finding = item("TEXT", FINDING, TextValue="Nodule", ContentSequence=Sequence([by_place]))
    ds = report(item("NUM", code(value, scheme)), finding)
    assert "counted by a reference" in why_held(ds, tmp_path, options=TEXTS)


def test_text_in_the_context_of_an_acquisition_is_content_too(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientName = "Mustermann^Anna"
    ds.AcquisitionContextSequence = Sequence([item("TEXT", code("123456", "99LOCAL"), TextValue="Anna fasting")])
    assert "AcquisitionContextSequence" not in result(ds, tmp_path)
    kept = result(ds, tmp_path, options=TEXTS).AcquisitionContextSequence[0]
    assert kept.TextValue == "fasting"
    assert kept.ConceptNameCodeSequence[0].CodeMeaning == "ANONYMIZED"


def test_graphics_keep_their_shapes_and_their_text_is_cleaned(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientName = "Mustermann^Anna"
    shape, words, layer = Dataset(), Dataset(), Dataset()
    shape.GraphicType, shape.GraphicData = "POLYLINE", [1.0, 2.0, 3.0, 4.0]
    words.UnformattedTextValue = "Lesion of Anna Mustermann"
    layer.GraphicLayer = "LAYER1"
    layer.GraphicObjectSequence, layer.TextObjectSequence = Sequence([shape]), Sequence([words])
    ds.GraphicAnnotationSequence = Sequence([layer])
    after = result(ds, tmp_path, options=("clean_graphics",)).GraphicAnnotationSequence[0]
    assert after.GraphicObjectSequence[0].GraphicData == [1.0, 2.0, 3.0, 4.0]
    assert after.TextObjectSequence[0].UnformattedTextValue == "Lesion of"
    basic = result(ds, tmp_path).GraphicAnnotationSequence[0]
    assert basic.TextObjectSequence[0].UnformattedTextValue == "ANONYMIZED"


def test_text_in_a_cleaned_sequence_is_cleaned_and_its_codes_stay(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PatientName = "Mustermann^Anna"
    ds.AdmittingDiagnosesCodeSequence = code("254637007", "SCT", "Lung cancer")
    request = Dataset()
    request.ScheduledProcedureStepDescription = "CT thorax, Anna"
    request.ScheduledProcedureStepID, request.ReasonForTheRequestedProcedure = "STEP-7", "Nodule, Frau Mustermann"
    ds.RequestAttributesSequence = Sequence([request])
    after = result(ds, tmp_path, options=("clean_descriptors",))
    assert after.AdmittingDiagnosesCodeSequence[0].CodeMeaning == "Lung cancer"
    assert after.AdmittingDiagnosesCodeSequence[0].CodeValue == "254637007"
    assert after.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "CT thorax"
    assert after.RequestAttributesSequence[0].ReasonForTheRequestedProcedure == "Nodule"
    assert "STEP-7" not in str(after)


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm"])
def test_real_reports_are_cleaned(tmp_path: Path, name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert path is not None
    after = result(Path(str(path)), tmp_path, options=TEXTS)
    assert after.ContentSequence
    assert after.PatientIdentityRemoved == "YES"


def test_a_concept_is_read_and_one_without_a_row_goes_by_its_value_type() -> None:
    plan = {("DCM", "1", "TEXT"): Do.REMOVE, ("", "", "TEXT"): Do.CLEAN}
    assert action_of(("DCM", "1", "TEXT"), plan) is Do.REMOVE
    assert action_of(("DCM", "2", "TEXT"), plan) is Do.CLEAN
    assert action_of(("DCM", "2", "NUM"), plan) is Do.KEEP
    assert concept_of(Plain(Dataset())) == ("", "", "")
    assert not is_referred_to_by_place(Plain(Dataset()))
