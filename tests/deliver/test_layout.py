from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.deliver.layout import Layout, marked, safe_part
from node.errors import ConfigurationError

LAYOUT = Layout("{PatientID}/{StudyInstanceUID}/{SeriesNumber}_{Modality}")

anything = st.text(st.characters(exclude_categories=()), max_size=200)


def test_the_values_of_the_header_become_the_path() -> None:
    fields = {"PatientID": "P1", "StudyInstanceUID": "1.2.3", "SeriesNumber": "4", "Modality": "CT"}
    assert LAYOUT.folder(fields) == PurePosixPath("P1/1.2.3/4_CT")


def test_empty_and_absent_values_are_unknown() -> None:
    assert LAYOUT.folder({"PatientID": " ", "Modality": "CT"}) == PurePosixPath("unknown/unknown/unknown_CT")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "unknown"),
        ("a/b\\c", "a_b_c"),
        ("a\0b\nc", "a_b_c"),
        (".incoming-x", "incoming-x"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("name. ", "name"),
        ("A\u0308rzte", "Ärzte"),
        ("evil\u202egnp.exe", "evil_gnp.exe"),
        ("\ud800", "_"),
        ("{PatientID}", "{PatientID}"),
    ],
)
def test_hostile_values_lose_what_makes_them_hostile(value: str, part: str) -> None:
    assert str(Layout("{PatientID}").folder({"PatientID": value})) == part


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["PatientID", "StudyInstanceUID", "SeriesNumber"], anything)))
def test_whatever_the_header_holds_the_path_has_its_parts_and_stays_inside(fields: dict[str, str]) -> None:
    path = LAYOUT.folder(fields)
    assert len(path.parts) == 3
    assert not path.is_absolute()
    for part in path.parts:
        assert part not in (".", "..")
        assert not part.startswith(".")
        assert not set(part) & set('<>:"/\\|?*')
        assert not any(unicodedata.category(character).startswith("C") for character in part)
        assert 1 <= len(part.encode()) <= 120
        assert unicodedata.is_normalized("NFC", part)


@given(anything)
@example(". ." + "x" * 150)
@example("x" * 111 + "..." + "x" * 30)
@example("\u00a0.\u2003a")
def test_a_safe_part_is_safe_already(text: str) -> None:
    assert safe_part(safe_part(text)) == safe_part(text)


def test_long_values_that_differ_at_the_end_stay_apart() -> None:
    assert safe_part("ü" * 200 + "a") != safe_part("ü" * 200 + "b")


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("", "needs a name"),
        ("a//b", "needs a name"),
        ("../{PatientID}", "needs a name"),
        ("/abs", "needs a name"),
        ("{Patient ID}", "no attribute keyword"),
        ("{0}", "no attribute keyword"),
        ("{}", "no attribute keyword"),
        ("{PatientID.__class__}", "no attribute keyword"),
        ("{PatientID!r}", "no attribute keyword"),
        ("{PatientID:>9}", "no attribute keyword"),
        ("{PatientID", "expected '}'"),
    ],
)
def test_a_template_that_is_not_plain_is_refused(template: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Layout(template)


def test_a_layout_names_what_it_needs_from_the_header() -> None:
    assert Layout("x/{Modality}/{PatientID}_{Modality}").keywords == ("Modality", "PatientID")


@pytest.mark.parametrize(
    ("name", "stem", "extension"),
    [("a.nii.gz", "a~", ".nii.gz"), ("1.2.3.dcm", "1.2.3~", ".dcm"), ("plain", "plain~", "")],
)
def test_the_mark_stands_before_the_extension(name: str, stem: str, extension: str) -> None:
    got = marked(name, "owner")
    assert got.startswith(stem)
    assert got.endswith(extension)
    assert got != marked(name, "another")
