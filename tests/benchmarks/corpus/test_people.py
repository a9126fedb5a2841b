"""Invented people are the same at every run, differ from one another, and can be written in their character sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, decode_bytes, encode_string

from benchmarks.corpus.people import REPERTOIRES, WORD_SURNAMES, patient, romanized, site

EVERYBODY = [patient(1, number) for number in range(64)]


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    assert [patient(1, number) for number in range(64)] == EVERYBODY
    assert not {one.patient_id for one in EVERYBODY} & {patient(2, number).patient_id for number in range(64)}
    assert site(1, 0) == site(1, 0) != site(1, 1)


def test_no_two_patients_share_what_identifies_them() -> None:
    for values in ([one.patient_id for one in EVERYBODY], [one.person.name for one in EVERYBODY]):
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("kind", REPERTOIRES)
def test_a_name_can_be_written_in_its_character_set_and_be_read_again(kind: str) -> None:
    repertoire = REPERTOIRES[kind]
    encodings = convert_encodings(list(repertoire.terms) or [""])
    for one in (one for one in EVERYBODY if one.repertoire is repertoire):
        for part in one.person.name.replace("=", "^").split("^"):
            assert decode_bytes(encode_string(part, encodings), encodings, set()) == part


def test_every_character_set_of_the_issue_is_there() -> None:
    terms = {repertoire.terms for repertoire in REPERTOIRES.values()}
    assert {("ISO_IR 100",), ("ISO_IR 144",), ("ISO_IR 192",), ("GB18030",)} <= terms
    assert {("", "ISO 2022 IR 87"), ("", "ISO 2022 IR 149"), ()} <= terms


def test_a_surname_that_is_a_word_identifies_nobody_by_itself() -> None:
    found = [one for one in EVERYBODY if one.person.name.split("^")[0] in WORD_SURNAMES]
    assert found
    assert not [one for one in found if set(one.tokens) & set(WORD_SURNAMES)]


def test_some_patients_are_over_89() -> None:
    assert {one.age > "089Y" for one in EVERYBODY} == {True, False}


def test_what_a_device_burns_in_has_only_letters_that_it_knows() -> None:
    assert all(one.person.burned.isascii() and len(one.person.burned) > 8 for one in EVERYBODY)
    assert romanized("Нулуве Вежижи") == "Nuluve Vezhizhi"
    assert romanized("Łułuță Śiłużo") == "Luluta Siluzo"


@given(st.integers(0, 10**6), st.integers(0, 10**4))
def test_anybody_can_be_invented(seed: int, number: int) -> None:
    one = patient(seed, number)
    assert len(one.patient_id) <= 64
    assert len(one.birth_date) == 8
    assert all(len(token) >= 2 for token in one.tokens)
