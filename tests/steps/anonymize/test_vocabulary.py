from __future__ import annotations

import pytest

from node.steps.anonymize.vocabulary import folded, plain, shipped, unusable, with_words


def test_the_words_are_as_they_are_compared() -> None:
    assert len(shipped()) > 7000
    assert [word for word in shipped() if word != folded(word) or not word.isalnum()] == []


@pytest.mark.parametrize("word", ["thorax", "mprage", "schadel", "cerebrale", "flair", "metastasis", "scout", "femur"])
def test_clinical_and_protocol_words_are_there(word: str) -> None:
    assert word in shipped()


@pytest.mark.parametrize(
    "word",
    ["smith", "garcia", "muller", "klein", "januar", "march", "monday", "male", "female", "london", "berlin", "yakut"],
)
def test_names_months_days_sexes_and_places_are_not(word: str) -> None:
    assert word not in shipped()


@pytest.mark.parametrize(
    ("text", "low"), [("Grünewald", "grunewald"), ("STRASSE", "strasse"), ("Maße", "masse"), ("Ærø", "aero")]
)
def test_words_are_folded_without_accents(text: str, low: str) -> None:
    assert folded(text) == low


def test_an_accent_alone_folds_to_nothing() -> None:
    assert plain("\u0301") == ""


def test_a_sites_words_are_added_folded() -> None:
    assert with_words(frozenset({"HélixTrial"})) - shipped() == {"helixtrial"}


def test_a_sites_word_is_one_word() -> None:
    assert unusable(["HELIX2", "Über"]) == ()
    assert len(unusable(["two words", "a-b", ""])) == 3
