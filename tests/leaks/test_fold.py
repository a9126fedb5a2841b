"""One spelling to search in, and the spellings that a name is looked for in."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.leaks.fold import fold, spellings

ALIKE = [
    ("Müller", ("MULLER", "Mueller", "mu\u0308ller", "MÜLLER")),
    ("Mueller", ("Müller", "mueller")),
    ("Großmann", ("GROSSMANN", "Grossmann")),
    ("Ørsted", ("Oersted", "Orsted")),
    ("Łukasiewicz", ("LUKASIEWICZ",)),
    ("İnönü", ("Inonu", "INÖNÜ")),
    ("O'Brien", ("OBRIEN", "O’Brien")),
    ("Nguyễn", ("Nguyen",)),
    ("Иванов", ("ИВАНОВ", "Ivanov", "Iwanow")),
    ("Ivanov", ("Иванов",)),
    ("Чайковский", ("Tchaikovsky", "Tschaikowskij", "Chaykovskiy")),
    ("Παπαδόπουλος", ("ΠΑΠΑΔΟΠΟΥΛΟΣ", "Papadopoulos")),
    ("Γεωργοπούλου", ("Georgopoulou", "ΓΕΩΡΓΟΠΟΥΛΟΥ")),
    ("ヤマダ", ("やまだ", "ﾔﾏﾀﾞ", "Yamada", "ＹＡＭＡＤＡ")),
    ("きょうこ", ("Kyoko", "Kyouko")),
    ("山田", ("山田",)),
    ("홍길동", ("홍길동",)),
]


@pytest.mark.parametrize(("name", "others"), ALIKE, ids=[name for name, _ in ALIKE])
def test_a_name_is_found_in_every_way_that_it_is_written(name: str, others: tuple[str, ...]) -> None:
    looked_for = spellings(name)
    for other in (name, *others):
        assert fold(other) in looked_for, (other, sorted(looked_for))


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    once = fold(unicodedata.normalize("NFKC", text))
    assert fold(once) == once


@given(st.text(max_size=30))
def test_case_and_composition_make_no_difference(text: str) -> None:
    assert fold(text.upper()) == fold(text.upper().lower())
    assert fold(unicodedata.normalize("NFD", text)) == fold(text)


@given(st.text(st.characters(codec="latin-1", categories=("Lu", "Ll")), min_size=1, max_size=15))
def test_a_name_is_always_found_as_it_stands(name: str) -> None:
    assert fold(name) in spellings(name) or not fold(name)


def test_digits_of_other_scripts_are_digits() -> None:
    assert fold("٢٠١٧-०८-２３") == "2017-08-23"
