"""Text in tokens, and the keys of tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.leaks.fold import fold
from node.leaks.tokens import TOKEN, appended, joins, key_of


def tokens(text: str) -> list[str]:
    return [found.group() for found in TOKEN.finditer(fold(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CT of Anna_Müller2", ["ct", "of", "anna", "muller", "2"]),
        ("MRN00-47", ["mrn", "00", "47"]),
        ("see 1.2.840.113.5, and 2.25.123456789012", ["see", "1.2.840.113.5", "and", "2.25.123456789012"]),
        ("1.5", ["1", "5"]),
        ("山田太郎様", ["山", "田", "太", "郎", "様"]),
        ("홍길동", ["홍", "길", "동"]),
        ("שלום", ["שלום"]),
        ("48ed203f58fe4473.dcm", ["48ed203f58fe4473", "dcm"]),
        ("123e4567-e89b-12d3-a456-426614174000", ["123e4567-e89b-12d3-a456-426614174000"]),
        ("1234567890123456", ["1234567890123456"]),
    ],
)
def test_a_text_falls_into_letters_digits_uids_hashes_and_ideographs(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("MRN-0047113", "mrn 47113"), ("0047113", "47113"), ("12-345", "12345"), ("00", "0")],
)
def test_separators_and_leading_zeros_make_no_difference(one: str, other: str) -> None:
    assert key_of(tokens(one)) == key_of(tokens(other))


def test_zeros_within_a_number_do() -> None:
    assert key_of(tokens("12-0345")) == "120345" != key_of(tokens("12-345"))


@given(st.lists(st.from_regex(r"[a-z]{1,4}|[0-9]{1,5}", fullmatch=True), max_size=6))
def test_a_key_grows_token_by_token(parts: list[str]) -> None:
    key = ""
    for part in parts:
        longer = appended(key, part)
        assert longer.startswith(key)
        key = longer
    assert key == key_of(parts)


def test_what_may_stand_within_an_identifier() -> None:
    assert all(joins(between) for between in ("", " ", "-", ") ", ", ", " / "))
    assert not any(joins(between) for between in ("\n", "\\", "=", "    ", " | "))
