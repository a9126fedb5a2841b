from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from node.dicom import deid_table, iod_types
from node.dicom.attributes import tag_of
from tests import make
from tests.dicom import iod_tables


def tag(keyword: str) -> int:
    found = tag_of(keyword)
    assert found is not None
    return found


DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.mark.parametrize(
    ("keyword", "sop_class", "kind"),
    [
        ("PatientName", make.CT_IMAGE, "2"),
        ("DeviceSerialNumber", make.CT_IMAGE, "3"),
        ("DeviceSerialNumber", make.ENHANCED_MR_IMAGE, "1"),  # Enhanced General Equipment, C.7.5.2
        ("ReferencedStudySequence", make.CT_IMAGE, "3"),
        ("ContentDate", make.CT_IMAGE, "2C"),  # General Image, C.7.6.1
        ("ContentDate", make.ENHANCED_MR_IMAGE, "1"),
        ("ContrastBolusAgent", make.CT_IMAGE, "2"),  # Contrast/Bolus, C.7.6.4: conditional module, Type 2
        ("ContrastBolusAgent", "1.2.840.10008.5.1.4.1.1.9.1.1", "3"),  # no module of the 12-lead ECG has it
        ("DetectorID", DX_IMAGE, "3"),
    ],
)
def test_the_type_at_the_top_is_that_of_the_iod(keyword: str, sop_class: str, kind: str) -> None:
    assert iod_types.type_at_top(tag(keyword), sop_class) == kind


def test_a_sop_class_that_no_table_names_is_given_the_strictest_type() -> None:
    assert iod_types.type_at_top(tag("SeriesDate"), "1.2.3.4") == "1"
    assert iod_types.type_at_top(tag("SeriesDate"), "1.2.840.10008.5.1.4.1.1.9999") == "1"


@pytest.mark.parametrize(
    ("sequence", "keyword", "kind"),
    [
        ("ReferringPhysicianIdentificationSequence", "InstitutionName", "1C"),  # Person Identification, Table 10-1
        ("OtherPatientIDsSequence", "PatientID", "1"),
        ("ReferencedSeriesSequence", "ReferencedImageSequence", "1"),
    ],
)
def test_within_a_sequence_the_sequence_decides(sequence: str, keyword: str, kind: str) -> None:
    assert iod_types.in_items()[tag(sequence), tag(keyword)] == kind


def test_a_sequence_that_no_table_names_is_given_the_strictest_type_of_any() -> None:
    assert iod_types.type_in_any_item(tag("InstitutionName")) in ("1", "1C")
    assert iod_types.type_in_any_item(tag("PatientComments")) == "3"


def test_what_the_table_removes_and_an_iod_needs_is_known_by_iod() -> None:
    state = iod_types.of_removed("1.2.840.10008.5.1.4.1.1.11.1")
    assert state[(tag("PresentationCreationTime"),)] == "1"  # C.11.10
    assert (tag("PresentationCreationTime"),) not in iod_types.of_removed(make.CT_IMAGE)
    assert iod_types.of_removed("1.2.3") == {}
    for place, kind in state.items():
        assert deid_table.rows()[place[-1]].basic == "X"
        assert kind in ("1", "2")


def test_every_compound_code_has_a_type_somewhere() -> None:
    for row in deid_table.rows().values():
        if "/" in row.basic:
            kinds = {iod_types.type_at_top(row.tag, uid) for uid in (make.CT_IMAGE, "1.2.3")}
            assert kinds <= set(iod_types.STRICTNESS)
            assert min(iod_types.type_at_top(row.tag, "1.2.3"), iod_types.type_in_any_item(row.tag)) != "3", row


def test_the_file_is_what_the_tables_of_highdicom_say() -> None:
    highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed here")
    ours = json.loads(files("node.dicom").joinpath("iod_types.json").read_text())
    assert iod_tables.made_from(Path(highdicom.__file__).parent / "_standard") == ours
