from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.anonymize.actions import Do
from node.steps.anonymize.changes import HASHED, Means, changed
from node.steps.anonymize.cleaning import cleaner_for
from node.steps.anonymize.known import Known
from node.steps.anonymize.pseudonyms import Pseudonyms
from node.steps.anonymize.text import UnreadableTextError
from node.steps.anonymize.vocabulary import with_words

PSEUDONYMS = Pseudonyms(b"a secret of thirty-two bytes or so")
CLEANER = cleaner_for(Known(names=frozenset({"Mustermann^Anna"})), with_words(frozenset()))
MEANS = Means(pseudonyms=PSEUDONYMS, cleaner=CLEANER, days=-400)
LATIN, UNICODE = ("latin_1",), ("utf8",)


def change(action: Do, vr: str, value: bytes, encodings: tuple[str, ...] = LATIN) -> bytes | None:
    return changed(action, vr, value, encodings, MEANS)


@pytest.mark.parametrize(
    ("vr", "value", "after"),
    [
        ("DA", b"20200315", b"20190209"),
        ("DA", b"20200315\\20200316", b"20190209\\20190210 "),
        ("TM", b"101530.5", b"101530.5"),
        ("DT", b"20200315101530+0100 ", b"20190209101530+0100 "),
        ("DA", b"tomorrow", None),
        ("DA", b"2020\xe403", None),
        ("LO", b"20200315", None),
        ("SH", b"+0100 ", b"+0100 "),  # Timezone Offset From UTC
        ("SH", b"Smith ", None),
    ],
)
def test_a_date_moves_and_what_is_none_comes_to_nothing(vr: str, value: bytes, after: bytes | None) -> None:
    assert change(Do.SHIFT, vr, value) == after


@pytest.mark.parametrize(
    ("vr", "value", "after"),
    [
        ("LO", b"CT Mustermann", b"CT"),
        ("LO", b"MUSTERMANN\\Anna ", None),
        ("SH", b"head\\anna", b"head\\ "),
        ("LT", "Schädel nativ, Anna".encode("latin-1"), "Schädel nativ".encode("latin-1") + b" "),
        ("PN", b"Mustermann^Anna ", None),
        ("OB", b"CT", None),
    ],
)
def test_text_is_cleaned_in_its_character_set(vr: str, value: bytes, after: bytes | None) -> None:
    assert change(Do.CLEAN, vr, value) == after


def test_text_that_switches_to_an_unknown_character_set_is_never_guessed() -> None:
    with pytest.raises(UnreadableTextError):
        change(Do.CLEAN, "LO", b"CT \x1b head")


def test_text_that_its_character_set_does_not_decode_is_never_guessed() -> None:
    with pytest.raises(UnreadableTextError):
        change(Do.CLEAN, "LO", b"Sch\xe4del", UNICODE)


def test_words_of_a_second_character_set_are_not_written() -> None:
    own = Means(pseudonyms=PSEUDONYMS, cleaner=cleaner_for(Known(), with_words(frozenset({"頭部"}))))
    value = "頭部".encode("iso2022_jp")
    assert changed(Do.CLEAN, "LO", value, ("ascii", "iso2022_jp"), own) is None


def test_without_a_cleaner_nothing_is_clean() -> None:
    assert changed(Do.CLEAN, "LO", b"CT", LATIN, Means(pseudonyms=PSEUDONYMS)) is None


def test_a_hash_is_keyed_and_the_same_for_equal_values() -> None:
    one = change(Do.HASH, "SH", b"4711")
    assert one is not None
    assert len(one) == 16
    assert change(Do.HASH, "LO", b"4711  ") == one
    assert change(Do.HASH, "SH", b"4712") != one
    assert changed(Do.HASH, "SH", b"4711", LATIN, Means(pseudonyms=Pseudonyms(b"x" * 32))) != one
    assert change(Do.HASH, "LO", b"4711\\\\4712") == one + b"\\\\" + (change(Do.HASH, "LO", b"4712") or b"")
    assert change(Do.HASH, "DA", b"20200101") is None


@pytest.mark.parametrize("action", [Do.SHIFT, Do.CLEAN, Do.HASH])
@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0"])
def test_an_empty_value_stays_empty(action: Do, value: bytes) -> None:
    assert change(action, "LO", value) == b""


def test_another_action_is_no_change_of_a_value() -> None:
    with pytest.raises(ValueError, match="REMOVE"):
        change(Do.REMOVE, "LO", b"x")


@given(
    st.sampled_from([Do.SHIFT, Do.CLEAN, Do.HASH]),
    st.sampled_from(sorted(HASHED | {"DA", "TM", "DT"})),
    st.text(st.characters(codec="utf-8", exclude_characters="\x1b"), max_size=40),
)
def test_what_is_written_is_of_even_length_and_decodes(action: Do, vr: str, value: str) -> None:
    after = change(action, vr, value.encode(), UNICODE)
    if after is not None:
        assert len(after) % 2 == 0
        after.decode()
