from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.text import character_set, folded, known_term

# PS3.5 Annexes H, I, J and K: the standard's own examples.
YAMADA_KANJI = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
HONG = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
WANG_UTF8 = b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1="
WANG_GB18030 = b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        (["ISO_IR 100"], b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (["ISO_IR 144"], b"\xbb\xee\xda\xe1\xd5\xdc\xd1\xe3\xe0\xd3", "Л\u044eк\u0441\u0435мб\u0443\u0440г"),
        (["", "ISO 2022 IR 87"], YAMADA_KANJI, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], HONG, "Hong^Gildong=洪^吉洞=홍^길동"),
        (["ISO_IR 192"], WANG_UTF8, "Wang^XiaoDong=王^小東="),
        (["GB18030"], WANG_GB18030, "Wang^XiaoDong=王^小东="),
        (["ISO_IR 13"], b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (["ISO 2022 IR 100", "ISO 2022 IR 144"], b"\xe9\x1b-L\xd2^\xe9", "éв^é"),
    ],
)
def test_the_examples_of_the_standard_are_read(terms: list[str], raw: bytes, text: str) -> None:
    assert character_set(terms).decode(raw) == (text, True)


def test_a_second_byte_that_is_a_backslash_is_no_delimiter() -> None:
    for charset, raw in (
        (character_set(["GB18030"]), b"\x81\x5c\\A"),
        (character_set(["", "ISO 2022 IR 87"]), b"\x1b$B\x3d\x5c\x1b(B\\A"),
    ):
        text, right = charset.decode(raw)
        assert right
        assert [len(value) for value in text.split("\\")] == [1, 1]


def test_text_is_in_one_normal_form() -> None:
    assert character_set(["ISO_IR 192"]).decode("Mu\u0308ller".encode())[0] == "M\u00fcller"


@pytest.mark.parametrize(
    ("terms", "declared"), [([], None), ([""], None), (["ISO_IR 6"], "ascii"), (["NONSENSE"], None)]
)
def test_a_peers_charset_is_taken_where_none_fits(terms: list[str], declared: str | None) -> None:
    charset = character_set(terms, "ISO_IR 100")
    assert charset.codec == declared
    assert charset.decode(b"M\xfcller") == ("Müller", False)
    assert charset.decode(b"Muller") == ("Muller", True)


def test_a_wrong_declaration_is_noticed_and_utf_8_recognised() -> None:
    assert character_set(["ISO_IR 6"]).decode("Müller".encode()) == ("Müller", False)
    assert character_set(["ISO_IR 192"], "ISO_IR 100").decode(b"M\xfcller") == ("Müller", False)
    text, right = character_set(["ISO_IR 192"]).decode(b"M\xfcller")
    assert (text, right) == ("M\ufffdller", False)


@pytest.mark.parametrize(
    "spelling", ["ISO_IR 100", "ISO-IR 100", "ISO_IR_100", "iso_ir 100", "ISO 2022 IR 100", "latin1"]
)
def test_spellings_that_devices_use_are_understood(spelling: str) -> None:
    assert known_term(spelling)
    assert character_set([spelling]).decode(b"\xe9") == ("é", True)


def test_a_word_that_is_no_character_set_is_not_known() -> None:
    assert not known_term("ISO_IR 999")


@given(
    raw=st.binary(max_size=60),
    term=st.sampled_from(["", "ISO_IR 100", "ISO_IR 192", "GB18030", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO_IR 13"]),
    escape=st.sampled_from([b"", b"\x1b$B", b"\x1b(J", b"\x1b$)C", b"\x1b$(D", b"\x1b-L", b"\x1b$)A", b"\x1bZ"]),
)
def test_any_bytes_give_text(raw: bytes, term: str, escape: bytes) -> None:
    text, right = character_set([term, "ISO 2022 IR 87"]).decode(raw[:20] + escape + raw[20:])
    assert isinstance(text, str)
    assert right in (True, False)


@given(st.text(max_size=12))
def test_an_identifier_is_one_in_every_spelling(identifier: str) -> None:
    once = folded(identifier)
    assert folded(f"  {identifier} ") == once
    assert folded(unicodedata.normalize("NFD", identifier)) == once


def test_identifiers_that_differ_in_more_than_spelling_stay_two() -> None:
    assert folded("abc-1 ") == folded("ABC-1") == "ABC-1"
    assert len({folded(one) for one in ("1", "01", "1 1", "1-1", "11")}) == 5
