"""What dciodvfy and dcentvfy say becomes kinds: who, where and what is wrong stays, values and numbers go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian

from benchmarks import verifiers
from tests import make

needs_them = pytest.mark.skipif(not verifiers.installed(), reason="dciodvfy (dicom3tools) is not installed")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "Error - </PatientBirthDate(0010,0030)> - Missing attribute for Type 2 Required - Module=<Patient>",
            "Error - </PatientBirthDate(0010,0030)> - Missing attribute for Type 2 Required - Module=<Patient>",
        ),
        (
            "Error - </RequestAttributesSequence(0040,0275)[1]/ScheduledProcedureStepID(0040,0009)[1]> - "
            "Value invalid for this VR [SH] = <A B> - Length invalid for this VR = 17, expected <= 16",
            "Error - </RequestAttributesSequence(0040,0275)/ScheduledProcedureStepID(0040,0009)> - "
            "Value invalid for this VR [SH] = <> - Length invalid for this VR = #, expected <= #",
        ),
        (
            "(0x7fe0,0x0010) OX Pixel Data  - Error - Bad Value Length - not a multiple of 2 - VL is 0x5997bdf5",
            "(0x7fe0,0x0010) OX Pixel Data - Error - Bad Value Length - not a multiple of # - VL is #",
        ),
        (
            "Error - Numeric string attribute has different value - Element=<SeriesNumber> IE=<Series> for file "
            "</tmp/a/8.dcm> versus </tmp/a/9.dcm> Value 1 <8> versus <9>",
            "Error - Numeric string attribute has different value - Element=<SeriesNumber> IE=<Series> for file "
            "<> versus <> Value # <> versus <>",
        ),
        (
            "Error - Duplicate SOPInstanceUID - 1.2.840.10008.7 within Series for file <a> versus <b>",
            "Error - Duplicate SOPInstanceUID - # within Series for file <> versus <>",
        ),
    ],
)
def test_a_kind_is_a_message_without_values(message: str, kind: str) -> None:
    assert verifiers.kind(message) == kind
    assert verifiers.kind(kind.replace("#", "7")) == kind


@given(st.from_regex(r"[A-Za-z0-9 ^.\\-]{0,20}", fullmatch=True), st.integers(1, 9999))
def test_no_value_and_no_place_in_a_sequence_makes_another_kind(value: str, item: int) -> None:
    def message(value: str, item: int) -> str:
        return f"Error - </PatientName(0010,0010)[{item}]> - Value invalid for this VR [PN] = <{value}> - at {item}"

    assert verifiers.kind(message(value, item)) == verifiers.kind(message("Doe^Jane", 1))


def test_warnings_are_no_errors() -> None:
    output = "CTImage\nWarning - </A(0008,0005)> - Retired attribute\nError - one\nAbort - File open failed\n"
    assert verifiers.errors(output) == {"Error - one", "Abort - File open failed"}


@needs_them
def test_an_attribute_that_is_missing_is_told_of_by_name(tmp_path: Path) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    before = verifiers.of_instance(make.write(ds, tmp_path / "whole.dcm"))
    del ds.PatientID
    new = verifiers.of_instance(make.write(ds, tmp_path / "without.dcm")) - before
    assert [kind for kind in new if "PatientID(0010,0020)" in kind and "Type 2" in kind]


@needs_them
def test_a_deflated_object_is_read_like_any_other(tmp_path: Path) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    plain = verifiers.of_instance(make.write(ds, tmp_path / "plain.dcm"))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert verifiers.of_instance(make.write(ds, tmp_path / "deflated.dcm")) == plain


@needs_them
def test_files_of_one_study_that_disagree_are_told_of(tmp_path: Path) -> None:
    found = make.ct_series(2, rows=8, columns=8)
    paths = make.write_all(found, tmp_path / "agree")
    found[1].PatientSex = "F" if found[0].PatientSex != "F" else "M"
    others = make.write_all(found, tmp_path / "disagree")
    new = verifiers.of_study(others) - verifiers.of_study(paths)
    assert [kind for kind in new if "Element=<PatientSex>" in kind]
