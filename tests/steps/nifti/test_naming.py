"""Names by pattern: dcm2niix's letters, header keywords, and never more than one safe part of a path."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.nifti.naming import LETTERS, by_pattern, by_series, free, keywords, problems, vendor

FIELDS = {
    "ProtocolName": "T1 mprage",
    "SeriesNumber": "4",
    "StudyDate": "20200102",
    "StudyTime": "101112.500",
    "Manufacturer": "Philips Medical Systems",
    "EchoNumbers": "2",
}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("%p_%s_%t", "T1_mprage_4_20200102101112"),
        ("%v%s", "PH4"),
        ("{SeriesNumber}-e{EchoNumbers}", "4-e2"),
        ("100%%", "100"),
        ("%n", "volume"),
        ("%s.Report", "4_Report"),  # else its sidecar has the name of the report of 4
    ],
)
def test_a_pattern_becomes_a_name(pattern: str, name: str) -> None:
    assert by_pattern(pattern, FIELDS) == name


def test_what_a_pattern_wants_is_known_beforehand() -> None:
    assert keywords("%p_%t_{EchoNumbers}_%p") == ("ProtocolName", "StudyDate", "StudyTime", "EchoNumbers")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("%q", "none of"),
        ("{PatientNam}", "no attribute keyword"),
        ("%p/%s", "one part of a path"),
        ("50%", "single %"),
        ("{SeriesNumber", "brace"),
    ],
)
def test_a_wrong_pattern_is_named(pattern: str, words: str) -> None:
    (problem,) = problems(pattern)
    assert words in problem


def test_every_letter_is_a_known_attribute() -> None:
    assert problems("".join(f"%{letter}" for letter in LETTERS)) == ()


@given(st.text(), st.sampled_from(["%p", "{ProtocolName}_%s", "%p%p%p%p"]))
def test_whatever_a_header_holds_a_name_is_one_safe_part(value: str, pattern: str) -> None:
    name = by_pattern(pattern, {"ProtocolName": value})
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,119}", name)


def test_long_values_stay_apart() -> None:
    first, second = (by_pattern("%p", {"ProtocolName": "x" * 300 + end}) for end in "ab")
    assert first != second


def test_the_default_name_has_no_text_of_the_header() -> None:
    assert re.fullmatch(r"007_MR_[b-t]{8}_02", by_series(7, "MR", "1.2.3", 2))


def test_a_name_that_is_taken_gets_a_number_whatever_its_case() -> None:
    taken: set[str] = set()
    assert [free(name, taken) for name in ("a", "A", "a", "a_2")] == ["a", "A_2", "a_3", "a_2_2"]


def test_vendors_have_two_letters() -> None:
    assert [vendor(name) for name in ("SIEMENS", "GE MEDICAL SYSTEMS", "Acme", "")] == ["SI", "GE", "NA", "NA"]
