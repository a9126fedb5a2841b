"""Each attribute before and after, with the rule that decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from node.certificate.actions import Done
from node.errors import CannotSucceed
from node.steps.anonymize import Anonymize
from node.steps.anonymize.instance import HoldError
from node.steps.anonymize.preview import Line, preview
from tests import make
from tests.steps.anonymize import planted
from tests.steps.anonymize import ultrasound as us
from tests.steps.anonymize.driver import SECRET, output
from tests.steps.anonymize.test_content import FINDING, item, report

RECIPE = """FORMAT dicom
%header
KEEP StudyDate
REPLACE InstitutionName SITE
ADD ClinicalTrialSponsorName ACME
KEEP (0019,"SIEMENS MR HEADER",0C)
REMOVE (0019,"SIEMENS MR HEADER",0E)
REMOVE SequenceName
"""


def lines(ds: FileDataset, tmp_path: Path, recipe: str = "", **options: object) -> dict[str, list[Line]]:
    """By the name of the attribute, in order."""
    if recipe:
        options["recipe"] = tmp_path / "site.dicom"
        (tmp_path / "site.dicom").write_text(recipe)
    source = make.write(ds, tmp_path / "in.dcm")
    found: dict[str, list[Line]] = {}
    for line in preview(Anonymize(**options), source, tmp_path / "out.dcm", {"secret": SECRET}):  # type: ignore[arg-type]
        found.setdefault(line.attribute, []).append(line)
    return found


def one(ds: FileDataset, attribute: str, tmp_path: Path, recipe: str = "", **options: object) -> Line:
    (line,) = lines(ds, tmp_path, recipe, **options)[attribute]
    return line


def ct() -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.InstitutionName, ds.SequenceName, ds.DeviceSerialNumber = "Hospital", "fl3d", "4711"
    return ds


@pytest.mark.parametrize(
    ("attribute", "done", "rule"),
    [
        ("(0010,0010) Patient's Name", Done.REPLACED, "profile: Z, by the patient's pseudonym"),
        ("(0008,0020) Study Date", Done.EMPTIED, "profile: Z"),
        ("(0008,0018) SOP Instance UID", Done.UID, "profile: U"),
        ("(0018,1000) Device Serial Number", Done.REMOVED, "profile: X/Z/D, X by Type 3"),
        ("(0008,0080) Institution Name", Done.REMOVED, "profile: X/Z/D, X by Type 3"),
        ("(0018,0024) Sequence Name", Done.KEPT, "in no row of Table E.1-1"),
        ("(0012,0062) Patient Identity Removed", Done.ADDED, "says what was done, PS3.15 E.1.1"),
        ("(7FE0,0010) Pixel Data", Done.KEPT, "in no row of Table E.1-1"),
    ],
)
def test_the_row_of_the_profile_is_named(attribute: str, done: Done, rule: str, tmp_path: Path) -> None:
    line = one(ct(), attribute, tmp_path)
    assert (line.done, line.rule) == (done, rule)


def test_an_option_is_named_where_it_keeps(tmp_path: Path) -> None:
    options = ("retain_device_identity", "retain_long_full_dates", "retain_uids")
    for attribute, option in (
        ("(0018,1000) Device Serial Number", "retain_device_identity"),
        ("(0008,0020) Study Date", "retain_long_full_dates"),
        ("(0008,0018) SOP Instance UID", "retain_uids"),
    ):
        line = one(ct(), attribute, tmp_path, options=options)
        assert (line.done, line.rule) == (Done.KEPT, f"option {option}: K")


@pytest.mark.parametrize(
    ("attribute", "done", "number"),
    [
        ("(0008,0020) Study Date", Done.KEPT, 3),
        ("(0008,0080) Institution Name", Done.REPLACED, 4),
        ("(0012,0010) Clinical Trial Sponsor Name", Done.ADDED, 5),
        ("(0019,100C) Private", Done.KEPT, 6),
        ("(0019,100E) Private", Done.REMOVED, 7),
        ("(0018,0024) Sequence Name", Done.REMOVED, 8),
    ],
)
def test_the_line_of_the_recipe_is_named(attribute: str, done: Done, number: int, tmp_path: Path) -> None:
    ds = ct()
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0E, "FD", 0.5)
    line = one(ds, attribute, tmp_path, RECIPE)
    assert (line.done, line.rule) == (done, f"recipe: site.dicom:{number}")


def test_private_attributes_are_told_by_what_kept_or_removed_them(tmp_path: Path) -> None:
    ds = ct()
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    ds.private_block(0x0019, "SIEMENS MR HEADER").add_new(0x0E, "LO", "seen by Weber")
    ds.private_block(0x0019, "SOMEBODY", create=True).add_new(0x01, "LO", "text")
    found = lines(ds, tmp_path, options=("retain_safe_private",))
    rules = {name: line.rule for name, (line, *_) in found.items() if name.startswith("(0019")}
    assert rules == {
        "(0019,0010) Private Creator": "names the block of what is kept, PS3.5 7.8.1",
        "(0019,0011) Private Creator": "profile: row of private attributes, X",
        "(0019,100C) Private": "option retain_safe_private: Table E.3.10-1",
        "(0019,100E) Private": "precaution: not as its row of Table E.3.10-1 has it, or it says who somebody is",
        "(0019,1101) Private": "profile: row of private attributes, X",
    }


def test_a_code_that_is_a_sentence_is_told_of(tmp_path: Path) -> None:
    ds = ct()
    ds[0x00180015] = RawDataElement(Tag(0x00180015), "CS", 16, b"seen by Dr Weber", 0, False, True)
    line = one(ds, "(0018,0015) Body Part Examined", tmp_path)
    assert (line.done, line.rule) == (Done.REPLACED, "precaution: it says the patient's name or id, or is no code")


def test_a_precaution_of_the_node_is_named_as_one(tmp_path: Path) -> None:
    ds = ct()
    ds.PatientName, ds.SequenceName = "Mustermann^Erika", "fl3d mustermann"
    ds.ProcedureCodeSequence = Sequence([Dataset()])
    local = ds.ProcedureCodeSequence[0]
    local.CodeValue, local.CodingSchemeDesignator, local.CodeMeaning = "7", "99LOCAL", "CT"
    ds.CodingSchemeIdentificationSequence = Sequence([Dataset()])
    ds.CodingSchemeIdentificationSequence[0].CodingSchemeUID = ds.StudyInstanceUID
    ds.PersonIdentificationCodeSequence = Sequence([Dataset()])
    person = ds.PersonIdentificationCodeSequence[0]
    person.CodeValue, person.CodingSchemeDesignator, person.CodeMeaning = "4711", "SCT", "Smith"
    ds.add_new(0x60000022, "LO", "region")
    rules = {name: line.rule for name, (line, *_) in lines(ds, tmp_path).items()}
    assert rules["(0018,0024) Sequence Name"] == "precaution: it says the patient's name or id"
    assert rules["(0008,1032) > (0008,0104) Code Meaning"].startswith("precaution: meaning of a code that no published")
    assert rules["(0008,0110) > (0008,010C) Coding Scheme UID"] == "precaution: one of the instance's own UIDs"
    assert rules["(0040,1101) > (0008,0104) Code Meaning"] == "precaution: text in an item that stands for a sequence"
    assert rules["(6000,0022) Overlay Description"] == "precaution: what describes an overlay goes with it"


def test_values_are_shown_as_text_and_nothing_in_them_steers_a_terminal(tmp_path: Path) -> None:
    ds = ct()
    ds.InstitutionName = "\x1b[2J\nHospital"
    ds.PatientName = "Müster^Jürgen"
    found = lines(ds, tmp_path)
    assert found["(0008,0080) Institution Name"][0].before == "\\x1b[2J\\nHospital"
    assert found["(0010,0010) Patient's Name"][0].before == "Müster^Jürgen"
    assert found["(0028,0010) Rows"][0].before == found["(0028,0010) Rows"][0].after == str(ds.Rows)
    assert found["(7FE0,0010) Pixel Data"][0].before == "(untouched)"
    assert found["(0018,0024) Sequence Name"][0].before == "fl3d"


def test_an_item_is_read_by_its_own_character_set(tmp_path: Path) -> None:
    ds = ct()
    ds.SpecificCharacterSet = "ISO_IR 100"
    inner = Dataset()
    inner.SpecificCharacterSet, inner.StudyDescription = "ISO_IR 192", "Größe"
    ds.ReferencedStudySequence = Sequence([inner, Dataset()])
    ds.RelatedSeriesSequence = Sequence([inner])
    found = lines(ds, tmp_path)
    (line,) = found["(0008,1250) > (0008,1030) Study Description"]
    assert (line.before, line.done) == ("Größe", Done.REMOVED)


def test_lines_are_in_the_order_of_the_tags_each_sequence_before_its_items(tmp_path: Path) -> None:
    ds, _ = planted.everywhere()
    source = make.write(ds, tmp_path / "in.dcm")
    told = preview(Anonymize(), source, tmp_path / "out.dcm", {"secret": SECRET})
    tops = [line.path[0] for line in told]
    assert tops == sorted(tops)
    seen = set()
    for line in told:
        assert len(line.path) == 1 or line.path[:-1] in seen, f"{line.attribute} comes before its sequence"
        seen.add(line.path)


def test_the_preview_writes_what_the_step_writes(tmp_path: Path) -> None:
    ds = ct()
    source = make.write(ds, tmp_path / "in.dcm")
    preview(Anonymize(), source, tmp_path / "preview.dcm", {"secret": SECRET})
    assert (tmp_path / "preview.dcm").read_bytes() == output(source, tmp_path).read_bytes()


def test_what_would_be_held_is_held_here_too(tmp_path: Path) -> None:
    ds = ct()
    ds.BurnedInAnnotation = "YES"
    with pytest.raises(HoldError, match="Burned In Annotation"):
        lines(ds, tmp_path)
    with pytest.raises(CannotSucceed, match="unknown option"):
        lines(ct(), tmp_path, options=("retain_everything",))


SITE_RULES: tuple[dict[str, Any], ...] = (
    {"keep": ("StudyDescription", '(0019,"SIEMENS MR HEADER",0C)')},
    {"replace": "InstitutionName", "with": "Trial 7"},
    {"hash": "RequestAttributesSequence.RequestedProcedureID"},
    {"shift": "StudyDate"},
)


@pytest.mark.parametrize(
    ("attribute", "done", "rule"),
    [
        ("(0008,1030) Study Description", Done.KEPT, "rules[0]: keep StudyDescription"),
        ("(0019,100C) Private", Done.KEPT, 'rules[0]: keep (0019,"SIEMENS MR HEADER",0C)'),
        ("(0008,0080) Institution Name", Done.REPLACED, "rules[1]: replace InstitutionName"),
        (
            "(0040,0275) > (0040,1001) Requested Procedure ID", Done.HASHED,
            "rules[2]: hash RequestAttributesSequence.RequestedProcedureID",
        ),
        ("(0008,0020) Study Date", Done.SHIFTED, "rules[3]: shift StudyDate"),
        ("(0018,0024) Sequence Name", Done.REMOVED, "recipe: site.dicom:8"),
    ],
)  # fmt: skip
def test_the_rule_of_the_site_is_named_and_counts_before_the_recipe(
    attribute: str, done: Done, rule: str, tmp_path: Path
) -> None:
    ds = ct()
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    ds.RequestAttributesSequence = Sequence([Dataset()])
    ds.RequestAttributesSequence[0].RequestedProcedureID, ds.StudyDescription = "P-17", "CT chest"
    recipe = RECIPE + "KEEP RequestAttributesSequence\n"
    line = one(ds, attribute, tmp_path, recipe, rules=SITE_RULES)
    assert (line.done, line.rule) == (done, rule)


def test_an_option_is_named_where_it_cleans_or_moves_and_where_nothing_could_stay(tmp_path: Path) -> None:
    ds = ct()
    ds.PatientName, ds.StudyDescription, ds.ImageComments = "Mustermann^Erika", "CT Mustermann", "Mustermann"
    ds.AcquisitionDate, ds.TextComments = "20260229", "CT"
    found = lines(ds, tmp_path, options=("clean_descriptors", "retain_long_modified_dates"))
    rules = {name: (line.done, line.rule) for name, (line, *_) in found.items()}
    assert rules["(0008,1030) Study Description"] == (Done.CLEANED, "option clean_descriptors: C")
    assert rules["(0008,0020) Study Date"] == (Done.SHIFTED, "option retain_long_modified_dates: C")
    gone = "nothing of it could stay, so the profile's X"
    assert rules["(0020,4000) Image Comments"] == (Done.REMOVED, f"option clean_descriptors: C; {gone}")
    assert rules["(0008,0022) Acquisition Date"][1].startswith("option retain_long_modified_dates: C; nothing of it")


def test_items_of_a_report_are_told_by_their_table(tmp_path: Path) -> None:
    ds = report(item("TEXT", FINDING, TextValue="a nodule of Mustermann"))
    line = one(
        ds, "(0040,A730) > (0040,A160) Text Value", tmp_path, options=("clean_structured_content", "clean_descriptors")
    )
    assert line.done is Done.CLEANED
    assert line.rule == "option clean_structured_content: Table E.3.4-1, by its concept name and value type"


def test_what_was_done_to_pixels_names_the_rule_for_them(tmp_path: Path) -> None:
    found = lines(us.image(), tmp_path, options=("clean_pixel_data",))
    assert found["(7FE0,0010) Pixel Data"][0].done is Done.MASKED
    assert found["(7FE0,0010) Pixel Data"][0].rule == "option clean_pixel_data: ultrasound regions"
    assert found["(0028,0301) Burned In Annotation"][0].rule == "option clean_pixel_data: says how the pixels are now"
    assert found["(0028,0010) Rows"][0].rule == "in no row of Table E.1-1"


def test_an_age_over_89_is_a_precaution(tmp_path: Path) -> None:
    ds = ct()
    ds.PatientAge = "093Y"
    line = one(ds, "(0010,1010) Patient's Age", tmp_path, options=("retain_patient_characteristics",))
    assert (line.before, line.after, line.rule) == ("093Y", "090Y", "precaution: an age over 89")


def test_a_descriptor_that_no_row_names_is_cleaned_by_the_option(tmp_path: Path) -> None:
    ds = ct()
    ds.PatientName, ds.AccessionNumber, ds.ContentDescription = "Mustermann^Erika", "AC48291", "CT made for AC48291"
    line = one(ds, "(0070,0081) Content Description", tmp_path, options=("clean_descriptors",))
    assert (line.done, line.after) == (Done.CLEANED, "CT made for")
    assert line.rule == "option clean_descriptors: text that somebody writes, in no row of Table E.1-1"
