from __future__ import annotations

import pytest

from node.dicom import deid_content, deid_table
from node.dicom.attributes import VR_BY_TAG, tag_of
from node.steps.anonymize import profile
from node.steps.anonymize.actions import Do
from node.steps.anonymize.options import AVAILABLE
from tests import make

BASIC: frozenset[str] = frozenset()


def tag(keyword: str) -> int:
    found = tag_of(keyword)
    assert found is not None
    return found


def row(keyword: str) -> deid_table.Row:
    return deid_table.rows()[tag(keyword)]


@pytest.mark.parametrize(
    ("keyword", "by_type"),
    [
        # Table E.1-1a, for Type 3, 2C, 2, 1C and 1
        ("AcquisitionDate", (Do.REMOVE, Do.EMPTY, Do.EMPTY, Do.DUMMY, Do.DUMMY)),  # X/Z
        ("SeriesDate", (Do.REMOVE, Do.DUMMY, Do.DUMMY, Do.DUMMY, Do.DUMMY)),  # X/D
        ("DeviceSerialNumber", (Do.REMOVE, Do.EMPTY, Do.EMPTY, Do.DUMMY, Do.DUMMY)),  # X/Z/D
        ("ContentDate", (Do.EMPTY, Do.EMPTY, Do.EMPTY, Do.DUMMY, Do.DUMMY)),  # Z/D
        ("ReferencedImageSequence", (Do.KEEP,) * 5),  # X/Z/U*: with keyed UIDs always
        ("StudyInstanceUID", (Do.UID,) * 5),
        # X: from an IOD that may not be without it only its value can go
        ("StudyDescription", (Do.REMOVE, Do.REMOVE, Do.EMPTY, Do.REMOVE, Do.DUMMY)),
        ("PatientName", (Do.PATIENT,) * 5),
    ],
)
def test_a_compound_code_is_read_by_the_type(keyword: str, by_type: tuple[Do, ...]) -> None:
    kinds = ("3", "2C", "2", "1C", "1")
    assert tuple(profile.by_profile(row(keyword), BASIC, kind) for kind in kinds) == by_type


@pytest.mark.parametrize(
    ("keyword", "options", "action"),
    [
        ("StudyDate", {"retain_long_full_dates"}, Do.KEEP),
        ("StudyDate", {"retain_long_modified_dates"}, Do.SHIFT),
        ("AcquisitionDateTime", {"retain_long_modified_dates"}, Do.SHIFT),
        ("TimezoneOffsetFromUTC", {"retain_long_modified_dates"}, Do.SHIFT),
        ("DateOfLastCalibration", {"retain_device_identity"}, Do.KEEP),
        ("DateOfLastCalibration", {"retain_device_identity", "retain_long_modified_dates"}, Do.SHIFT),
        ("CertifiedTimestamp", {"retain_long_modified_dates"}, Do.REMOVE),  # OB: no date that could be moved
        ("PatientBirthDate", {"retain_long_modified_dates"}, Do.EMPTY),
        ("StudyDescription", {"clean_descriptors"}, Do.CLEAN),
        ("RequestAttributesSequence", {"clean_descriptors"}, Do.CLEAN),
        ("MakerNote", {"clean_descriptors"}, Do.REMOVE),  # OB: no text
        ("ReasonForTheAttributeModification", {"clean_descriptors"}, Do.DUMMY),  # CS: an enumerated value
        ("StationAETitle", {"retain_device_identity"}, Do.CLEAN),
        ("Allergies", {"retain_patient_characteristics"}, Do.CLEAN),
        ("ContentSequence", {"clean_structured_content"}, Do.CONTENT),
        ("AcquisitionContextSequence", {"clean_structured_content"}, Do.CONTENT),
        ("GraphicAnnotationSequence", {"clean_graphics"}, Do.CLEAN),
        ("UnformattedTextValue", {"clean_graphics"}, Do.CLEAN),
        ("UnformattedTextValue", {"clean_structured_content"}, Do.DUMMY),
    ],
)
def test_an_option_keeps_or_cleans_its_column(keyword: str, options: set[str], action: Do) -> None:
    assert profile.by_profile(row(keyword), frozenset(options), "3") is action


@pytest.mark.parametrize("option", AVAILABLE)
def test_an_option_changes_only_the_rows_of_its_column(option: str) -> None:
    for each in deid_table.rows().values():
        if option in each.keeps | each.cleans or (
            option == "clean_graphics" and each.tag == tag("UnformattedTextValue")
        ):
            continue
        for kind in ("1", "2", "3"):
            assert profile.by_profile(each, frozenset({option}), kind) is profile.by_profile(each, BASIC, kind)


def test_the_iod_of_the_instance_decides_at_the_top() -> None:
    serial = tag("DeviceSerialNumber")
    assert profile.at_top(BASIC, make.CT_IMAGE)[serial] is Do.REMOVE
    assert profile.at_top(BASIC, make.ENHANCED_MR_IMAGE)[serial] is Do.DUMMY
    assert profile.at_top(BASIC, "1.2.3")[serial] is Do.DUMMY


def test_an_attribute_that_an_iod_needs_stays_in_it_without_its_value() -> None:
    created, state = tag("PresentationCreationDate"), "1.2.840.10008.5.1.4.1.1.11.1"
    assert profile.at_top(BASIC, state)[created] is Do.DUMMY
    assert profile.at_top(BASIC, make.CT_IMAGE)[created] is profile.at_top(BASIC, "1.2.3")[created] is Do.REMOVE
    described, photo = tag("PatientSetupPhotoDescription"), tag("ReferencedPatientSetupPhotoSequence")
    assert profile.in_named_items(BASIC, make.CT_IMAGE)[photo, described] is Do.EMPTY
    assert (photo, described) not in profile.in_named_items(BASIC)
    assert profile.in_items(BASIC)[described] is Do.REMOVE


def test_the_start_of_a_radiopharmaceutical_goes_from_a_pet_image_and_stays_as_a_dummy_in_an_enhanced_one() -> None:
    start = (tag("RadiopharmaceuticalInformationSequence"), tag("RadiopharmaceuticalStartDateTime"))
    assert start not in profile.in_named_items(BASIC, "1.2.840.10008.5.1.4.1.1.128")  # Type 3, PS3.3 C.8.9.2
    assert profile.in_named_items(BASIC, "1.2.840.10008.5.1.4.1.1.130")[start] is Do.DUMMY  # Type 1, C.8.22.5


def test_the_sequence_decides_within_it() -> None:
    institution = tag("InstitutionName")
    physician = tag("ReferringPhysicianIdentificationSequence")
    equipment = tag("ContributingEquipmentSequence")
    strictest, named = profile.in_items(BASIC)[institution], profile.in_named_items(BASIC)
    assert named.get((physician, institution), strictest) is Do.DUMMY  # Type 1C, PS3.3 Table 10-1
    assert named[equipment, institution] is Do.REMOVE  # Type 3, PS3.3 C.12.1


def test_every_name_of_a_person_is_replaced_also_where_no_table_names_it() -> None:
    for each, vr in VR_BY_TAG.items():
        if vr == "PN":
            assert profile.in_items(BASIC)[each] is not Do.KEEP


@pytest.mark.parametrize(
    "keyword",
    [
        "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar", "PatientAlternativeCalendar",
        "PlacerOrderNumberProcedure", "FillerOrderNumberProcedure", "PlacerOrderNumberImagingServiceRequestRetired",
        "FillerOrderNumberImagingServiceRequestRetired", "CommentsOnTheScheduledProcedureStep", "RetrieveURL",
        "NTPSourceAddress", "OwnerID", "DeviceID", "ExtendedCodeMeaning",
    ],
)  # fmt: skip
def test_what_tells_of_a_patient_or_a_site_goes_where_no_table_names_it(keyword: str) -> None:
    assert profile.at_top(BASIC, make.MR_IMAGE)[tag(keyword)] is Do.REMOVE
    assert profile.in_items(BASIC)[tag(keyword)] is Do.REMOVE


@pytest.mark.parametrize(
    "keyword",
    [
        "MultiFrameSourceSOPInstanceUID", "SOPInstanceUIDOfConcatenationSource", "TargetFrameOfReferenceUID",
        "RadiopharmaceuticalAdministrationEventUID", "VolumeFrameOfReferenceUID", "TableFrameOfReferenceUID",
        "EquipmentFrameOfReferenceUID", "ReferencedFiducialUID", "VolumetricPresentationInputSetUID", "AssertionUID",
        "ReferencedAssertionUID", "ModelGroupUID", "FindingsGroupUIDTrial", "ReferencedFindingsGroupUIDTrial",
        "ReferencedColorPaletteInstanceUID", "SelectorUIValue", "RetrieveLocationUID", "RepositoryUniqueID",
        "HomeCommunityID",
    ],
)  # fmt: skip
def test_a_uid_of_an_instance_or_a_place_is_replaced_where_no_table_names_it(keyword: str) -> None:
    for actions in (profile.at_top, lambda options, _: profile.in_items(options)):
        assert actions(BASIC, make.MR_IMAGE)[tag(keyword)] is Do.UID
        assert tag(keyword) not in actions(frozenset({"retain_uids"}), make.MR_IMAGE)


@pytest.mark.parametrize("keyword", ["CodingSchemeUID", "ContextUID", "ReferencedSOPClassUID", "CreatorVersionUID"])
def test_a_uid_that_is_the_same_for_everybody_is_left(keyword: str) -> None:
    assert tag(keyword) not in profile.in_items(BASIC)


def test_every_date_goes_moves_or_stays_with_the_others_also_where_no_table_names_it() -> None:
    moved, full = frozenset({"retain_long_modified_dates"}), frozenset({"retain_long_full_dates"})
    for each in (tag for tag, vr in VR_BY_TAG.items() if vr in ("DA", "DT") and tag not in deid_table.rows()):
        assert profile.in_items(BASIC)[each] is not Do.KEEP
        assert profile.at_top(moved, make.MR_IMAGE)[each] in (Do.SHIFT, Do.REMOVE)
        assert each not in profile.at_top(full, make.MR_IMAGE)
    assert profile.in_items(moved)[tag("ExpiryDate")] is Do.SHIFT


def test_the_id_of_a_device_stays_with_its_identity() -> None:
    options = frozenset({"retain_device_identity"})
    for actions in (profile.at_top(options, make.MR_IMAGE), profile.in_items(options)):
        assert tag("DeviceID") not in actions
        assert actions[tag("ExtendedCodeMeaning")] is Do.REMOVE


def test_what_cannot_be_cleaned_falls_back_to_the_basic_profile_of_the_stricter_type() -> None:
    otherwise = profile.otherwise(make.CT_IMAGE)
    assert otherwise[tag("StudyDescription")] is Do.REMOVE
    assert otherwise[tag("RTPlanLabel")] is Do.DUMMY
    assert otherwise[tag("StudyDate")] is Do.EMPTY
    assert otherwise[tag("TextValue")] is Do.DUMMY  # Type 1C of its content item
    assert not {Do.SHIFT, Do.CLEAN, Do.CONTENT, Do.HASH} & set(otherwise.values())


ACCESSION, PROTOCOL, DATE, FINDING = (
    ("DCM", "121022", "TEXT"), ("DCM", "125203", "TEXT"), ("DCM", "126201", "DATE"), ("DCM", "113795", "IMAGE"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("concept", "options", "action"),
    [
        (ACCESSION, set(), Do.REMOVE),
        (ACCESSION, {"clean_descriptors"}, Do.REMOVE),
        (PROTOCOL, set(), Do.REMOVE),
        (PROTOCOL, {"clean_descriptors"}, Do.CLEAN),
        (DATE, set(), Do.REMOVE),
        (DATE, {"retain_long_full_dates"}, Do.KEEP),
        (DATE, {"retain_long_modified_dates"}, Do.SHIFT),
        (FINDING, set(), Do.KEEP),  # its UIDs are keyed as any
        (("", "", "TEXT"), set(), Do.DUMMY),
        (("", "", "TEXT"), {"clean_descriptors"}, Do.CLEAN),
        (("", "", "PNAME"), {"clean_descriptors"}, Do.DUMMY),
        (("", "", "DATETIME"), set(), Do.REMOVE),
        (("", "", "DATETIME"), {"retain_long_modified_dates"}, Do.SHIFT),
    ],
)
def test_content_items_go_by_their_concept_and_by_their_value_type(
    concept: deid_content.Concept, options: set[str], action: Do
) -> None:
    assert profile.of_content(frozenset(options))[concept] is action


def test_text_that_people_write_is_cleaned_though_no_row_names_it() -> None:
    described, beside = tag("ContentDescription"), tag("SequenceName")
    assert described not in deid_table.rows()
    for actions in (
        profile.at_top(frozenset({"clean_descriptors"}), ""),
        profile.in_items(frozenset({"clean_descriptors"})),
    ):
        assert actions[described] is actions[tag("SegmentDescription")] is Do.CLEAN
        assert beside not in actions
    assert described not in profile.at_top(BASIC, "")
    assert not profile.DESCRIPTORS & deid_table.rows().keys()
    assert tag("TextValue") not in profile.DESCRIPTORS, "that of a content item goes by its concept"
