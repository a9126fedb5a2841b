from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.attributes import VR_BY_TAG, tag_of
from node.steps.anonymize.known import ROLES, Known, Role, initials, known, spellings
from node.steps.anonymize.vocabulary import folded, shipped


def tag(keyword: str) -> int:
    found = tag_of(keyword)
    assert found is not None
    return found


def test_every_name_of_a_person_has_a_role() -> None:
    assert {each for each, vr in VR_BY_TAG.items() if vr == "PN"} <= ROLES.keys()
    assert set(ROLES.values()) == set(Role)


def test_values_are_taken_by_their_role() -> None:
    found = known(
        [
            (tag("PatientName"), "Smith^John"),
            (tag("OperatorsName"), "Bee\\Cee"),
            (tag("PatientID"), "4711"),
            (tag("InstitutionName"), "St. Agnes"),
            (tag("PatientBirthDate"), "19610405"),
            (tag("StudyDescription"), "CT"),
            (tag("AccessionNumber"), " "),
        ],
        frozenset(),
    )
    assert found == Known(
        names=frozenset({"Smith^John", "Bee", "Cee"}),
        numbers=frozenset({"4711"}),
        places=frozenset({"St. Agnes"}),
        institutions=frozenset({"St. Agnes"}),
        births=frozenset({"19610405"}),
    )


@pytest.mark.parametrize(
    ("option", "keyword"),
    [("retain_institution_identity", "InstitutionName"), ("retain_device_identity", "StationName")],
)
def test_what_an_option_retains_may_stand_in_texts_too(option: str, keyword: str) -> None:
    assert known([(tag(keyword), "CTAW7")], frozenset()).places == {"CTAW7"}
    assert known([(tag(keyword), "CTAW7")], frozenset({option})) == Known()


def test_particles_and_initials_are_no_names() -> None:
    found = Known(names=frozenset({"von der Heide^J^Dr."})).words(shipped())
    assert "heide" in found
    assert not {"von", "der", "dr", "j"} & found


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("Müller", "MUELLER"),
        ("Mueller", "Müller"),
        ("Østergård", "Oestergaard"),
        ("Weiß", "WEISS"),
        ("Łukasz", "lukasz"),
    ],
)
def test_a_word_and_its_other_spelling_meet(word: str, other: str) -> None:
    assert spellings(word) & spellings(other)
    assert folded(other) in spellings(word)


def test_of_a_place_go_the_words_that_are_no_plain_ones_and_its_acronym() -> None:
    found = Known(places=frozenset({"Saint Zebulon Hospital of Radiology"})).words(shipped())
    assert "zebulon" in found
    assert "hospital" not in found
    assert "szhr" in found
    assert initials("CT 7") == ""


@given(
    st.from_regex(r"[0-9]{4,10}", fullmatch=True),
    st.lists(st.sampled_from(["", "-", " ", "."]), min_size=9, max_size=9),
)
def test_a_number_is_found_with_zeros_and_separators_and_not_within_a_longer_one(
    number: str, between: list[str]
) -> None:
    if not number.strip("0"):
        return
    pattern = Known(numbers=frozenset({number})).phrases(keep_dates=False)
    if len(number.lstrip("0")) < 3:
        assert pattern is None
        return
    assert pattern is not None
    assert pattern.search(number)
    assert pattern.search("000" + number)
    assert not pattern.search(number + "7")
    if len(number.lstrip("0")) > 3:
        assert pattern.search("".join(digit + mark for digit, mark in zip(number, [*between, ""], strict=False)))


def test_a_number_that_is_a_term_is_not_looked_for() -> None:
    assert Known(numbers=frozenset({"PHANTOM", "17"})).phrases(keep_dates=False) is None


@pytest.mark.parametrize("text", ["19610405", "5.4.1961", "05/04/61", "1961-4-5", "4/5/1961"])
def test_the_day_of_birth_is_found_in_any_order_where_dates_are_kept(text: str) -> None:
    births = Known(births=frozenset({"19610405"}))
    assert births.phrases(keep_dates=False) is None
    pattern = births.phrases(keep_dates=True)
    assert isinstance(pattern, re.Pattern)
    assert pattern.fullmatch(text)


def test_a_place_is_found_as_a_whole_unless_it_names_somebody() -> None:
    """Whoever types a name where a place belongs types other things there too."""
    names = frozenset({"Gruber^Eva", "de la Cruz"})
    pattern = Known(names=names, places=frozenset({"Chest Clinic de la Ville", "chest Eva Gruber"})).phrases(
        keep_dates=False
    )
    assert pattern is not None
    assert pattern.search("at chest clinic, de la ville")
    assert not pattern.search("chest eva gruber")


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("seen by gruber", True), ("grubers", False), ("an 123-456 a", True), ("an 123", False), ("head of eva", False),
        ("head", False), ("muller", True), ("mueller", True), ("grubereva t1", True), ("evagruber", True),
        ("grubereval", False), ("headmax", True),
    ],
)  # fmt: skip
def test_a_text_is_about_somebody_by_a_long_name_or_a_long_number(text: str, about: bool) -> None:
    known = Known(names=frozenset({"Gruber^Eva", "Head^Max", "Müller"}), numbers=frozenset({"123456", "123"}))
    pattern = known.people()
    assert pattern is not None
    assert bool(pattern.search(text)) is about


def test_a_text_without_spaces_is_about_whose_name_stands_in_the_middle_of_it() -> None:
    pattern = Known(names=frozenset({"Wang^XiaoDong=王^小东", "ﾔﾏﾀﾞ^ﾀﾛｳ", "洪^길동"})).people()
    assert pattern is not None
    for text in ("患者王小东胸部", "王 小东", "ヤマダ様", "환자길동님"):
        assert pattern.search(folded(text)), text
    assert not pattern.search(folded("国王 胸部"))


def test_of_a_number_with_a_name_in_it_the_digits_are_found_and_its_other_words_are_not() -> None:
    pattern = Known(names=frozenset({"Gruber^Eva"}), numbers=frozenset({"chest Eva Gruber AC-4711"})).phrases(
        keep_dates=False
    )
    assert pattern is not None
    assert pattern.search("for ac 4711")
    assert not pattern.search("chest")
    assert not pattern.search("chest eva gruber")


@pytest.mark.parametrize(
    "text", ["made at Klinikum Auental", "klinikum  auental", "KLINIKUM_AUENTAL 1", "born 5.4.1961"]
)
def test_an_institution_as_a_whole_and_a_birth_date_make_a_text_one_of_somebody(text: str) -> None:
    found = known([(tag("InstitutionName"), "Klinikum Auental"), (tag("PatientBirthDate"), "19610405")], frozenset())
    pattern = found.people()
    assert pattern is not None
    assert pattern.search(folded(text))


@pytest.mark.parametrize(
    "text", ["klinikum", "Auental", "City CT 4", "version 61.4.5", "V1961.0405", "6145", "19610406"]
)
def test_one_word_of_an_institution_and_what_may_be_a_version_do_not(text: str) -> None:
    places = [(tag("InstitutionName"), "Klinikum Auental\\City CT"), (tag("PatientBirthDate"), "19610405")]
    pattern = known(places, frozenset()).people()
    assert pattern is not None
    assert pattern.search(folded(text)) is None


def test_an_institution_that_an_option_retains_does_not_either() -> None:
    assert known([(tag("InstitutionName"), "Klinikum Auental")], frozenset({"retain_institution_identity"})) == Known()
