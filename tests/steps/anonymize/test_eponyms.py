from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.anonymize.eponyms import SURNAMES, eponyms_in
from node.steps.anonymize.vocabulary import folded, shipped


def names_in(text: str) -> list[str]:
    runs = list(re.finditer(r"[^\W_]+", text))
    found = eponyms_in(text, runs, [folded(run[0]) for run in runs])
    return [runs[here][0] for here in sorted(found)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Wilson disease", ["Wilson"]),
        ("WILSON'S DISEASE", ["WILSON", "S"]),
        ("Osgood-Schlatter disease", ["Osgood", "Schlatter"]),
        ("Sjögren syndrome", ["Sjögren"]),
        ("Foley catheter of Foley", ["Foley"]),
    ],
)
def test_a_name_before_its_noun_is_one_in_a_term(text: str, names: list[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize(
    "text", ["Wilson", "Wilson liver", "Wilson, disease", "Wilson\ndisease", "Smith disease", "Muster disease", "s", ""]
)
def test_a_name_alone_or_before_another_noun_is_not(text: str) -> None:
    assert names_in(text) == []


@given(st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    assert all(name in text for name in names_in(text))


def test_colours_are_words_of_the_vocabulary() -> None:
    assert shipped() >= SURNAMES
