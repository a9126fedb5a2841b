"""Which words are no evidence of a person."""

from __future__ import annotations

import re

import pytest
from pydicom.sr._concepts_dict import concepts

from node.dicom.attributes import VR_BY_TAG, name_of
from node.leaks.words import PLACEHOLDERS, counts_alone, ordinary


@pytest.mark.parametrize("word", ["head", "long", "may", "young", "hand", "klein", "petit", "rojo", "flair", "siemens"])
def test_words_that_people_are_called_are_ordinary(word: str) -> None:
    assert ordinary(word)
    assert not counts_alone(word)


@pytest.mark.parametrize("name", ["smith", "johnson", "schmidt", "garcia", "nguyen", "okonkwo", "dubois", "kowalczyk"])
def test_frequent_surnames_that_say_nothing_else_are_evidence(name: str) -> None:
    assert counts_alone(name)


def test_every_word_in_the_name_of_an_attribute_is_ordinary() -> None:
    words = {word.lower() for tag in VR_BY_TAG for word in re.findall(r"[A-Za-z]{2,}", name_of(tag))}
    assert sorted(word for word in words if not ordinary(word)) == []


def test_every_word_of_a_code_meaning_that_is_written_small_is_ordinary() -> None:
    meanings = [meaning for scheme in concepts.values() for codes in scheme.values() for meaning, _ in codes.values()]
    words = {word for meaning in meanings for word in re.findall(r"(?<![A-Za-z'])[a-z]{3,}(?![A-Za-z'])", meaning)}
    assert sorted(word for word in words if not ordinary(word)) == []


@pytest.mark.parametrize("word", ["li", "ng", "kim", "ray"])
def test_short_parts_are_no_evidence_alone(word: str) -> None:
    assert not counts_alone(word)


def test_ideographs_and_syllables_count_from_two_and_kana_from_three() -> None:
    assert counts_alone("山田")
    assert counts_alone("길동")
    assert counts_alone("やまだ")
    assert not counts_alone("山")
    assert not counts_alone("やま")


@pytest.mark.parametrize("word", ["neuroradiologie", "kinderchirurgie", "universitatsklinikum", "radiologicum"])
def test_departments_are_known_by_their_endings(word: str) -> None:
    assert ordinary(word) is (word != "radiologicum")


def test_what_stands_for_no_name_is_no_evidence() -> None:
    assert {"anonymized", "unknown", "von", "dr"} <= PLACEHOLDERS
    assert not any(counts_alone(word) for word in PLACEHOLDERS)
