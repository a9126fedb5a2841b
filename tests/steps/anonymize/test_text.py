from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import decode_bytes, encode_string

from node.steps.anonymize.text import UnreadableTextError, decode, encodings, fallback_of, read, words
from node.steps.anonymize.vocabulary import folded

# The patient names of PS3.5 Annexes H to K.
_EXAMPLES = [
    (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (b"ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
    (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
]


@pytest.mark.parametrize(("declared", "value", "expected"), _EXAMPLES)
def test_the_examples_of_the_standard_decode(declared: bytes, value: bytes, expected: str) -> None:
    assert decode(value, encodings(declared)) == expected


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.strip(" \0") == text and "\x1b" not in text))
def test_text_reads_as_pydicom_wrote_it(text: str) -> None:
    assert decode(encode_string(text, ["utf8"]), ["utf8"]) == decode_bytes(text.encode(), ["utf8"], set())


@pytest.mark.parametrize("declared", [b"ISO_IR 999", b"latin-99", b"\\ISO 2022 IR 0", b"\xff"])
def test_an_unknown_term_is_never_guessed(declared: bytes) -> None:
    with pytest.raises(UnreadableTextError, match="unknown"):
        encodings(declared)


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        (b"ISO-IR 192", "Jérôme".encode()),
        (b"UTF-8", "Jérôme".encode()),
        (b"iso_ir 100 ", b"J\xe9r\xf4me"),
        (b"latin1", b"J\xe9r\xf4me"),
    ],
)
def test_a_term_is_known_in_the_spellings_of_devices(spelled: bytes, value: bytes) -> None:
    assert decode(value, encodings(spelled)) == "Jérôme"


@pytest.mark.parametrize(("declared", "value", "expected"), _EXAMPLES)
@pytest.mark.parametrize("wrong", [b"", b"ISO_IR 6", b"ISO_IR 999"])
def test_what_the_peer_is_said_to_write_counts_where_nothing_is_declared_or_nothing_known(
    declared: bytes, value: bytes, expected: str, wrong: bytes
) -> None:
    by = encodings(wrong, fallback_of(declared.decode()))
    assert decode(value, by) == expected
    assert decode(value, encodings(wrong, by[1:])) == expected, "in the items of its sequences too"


def test_what_is_declared_and_reads_is_not_read_by_the_peers() -> None:
    by = encodings(b"ISO_IR 192", fallback_of("ISO_IR 100"))
    assert read("Jérôme".encode(), by) == ("Jérôme", by[0])
    assert read("Jérôme".encode("latin-1"), by) == ("Jérôme", by[1])
    by = encodings(b"ISO_IR 100", fallback_of("ISO_IR 192"))
    assert read("Jérôme".encode(), by) == ("Jérôme", by[1]), "that it is no Latin 1 shows"
    assert fallback_of("") == ()


@pytest.mark.parametrize(
    ("declared", "value"),
    [(b"", b"M\xfcller"), (b"ISO_IR 6", b"M\xfcller"), (b"ISO_IR 100", "Kopf für Jürgen Weiß".encode())],
)
def test_text_in_another_set_than_is_declared_is_not_read(declared: bytes, value: bytes) -> None:
    """Of nothing declared only ASCII is, and Latin 1, by which all decodes, is not UTF-8."""
    with pytest.raises(UnreadableTextError):
        decode(value, encodings(declared))


def test_a_korean_name_without_its_second_escape_sequence_is_read() -> None:
    by = encodings(b"\\ISO 2022 IR 149")
    assert decode(b"Hong^Gildong=\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7", by) == "Hong^Gildong=洪^吉洞"


@pytest.mark.parametrize(("declared", "value"), [(b"ISO_IR 192", b"\xff"), (b"ISO_IR 100", b"\x1b$Zx")])
def test_what_does_not_decode_is_never_replaced(declared: bytes, value: bytes) -> None:
    with pytest.raises(UnreadableTextError):
        decode(value, encodings(declared))


def test_words_are_found_whole_in_any_case_and_short_ones_are_not_looked_for() -> None:
    found = words("Mustermann^Li", "0815/4711")
    assert found is not None
    assert found.search("for MUSTERMANN, Li")
    assert found.search("id_0815/4711_x")
    assert not found.search("Mustermannson Li 0815")


@pytest.mark.parametrize("written", ["MULLER", "Mueller", "müller-x", "LUDENSCHEIDT, A", "luedenscheidt_chest", "Ánna"])
def test_a_name_is_found_as_it_is_spelled_without_its_accents_too(written: str) -> None:
    found = words("Müller-Lüdenscheidt^Ánna", "")
    assert found is not None
    assert found.search(written)


def test_a_spelling_that_is_short_is_not_looked_for() -> None:
    found = words("Bøe^Gaal", "")  # boe, gal
    assert found is not None
    assert not found.search("boe gal")
    assert words("L", "17") is None


@pytest.mark.parametrize(("value", "hit"), [("May", True), ("B30\\May ", True), ("MAY", False), ("May be", False)])
def test_a_short_part_is_found_where_it_is_a_whole_value_written_as_a_name(value: str, hit: bool) -> None:
    found = words("MAY", "17")
    assert found is not None
    assert bool(found.search(value)) is hit


@pytest.mark.parametrize("written", ["Bo Li", "LI^BO", "li_bo", "seen: Li, Bo."])
def test_two_short_parts_are_looked_for_beside_each_other(written: str) -> None:
    found = words("Li^Bo", "17")
    assert found is not None
    assert found.search(written)
    assert not found.search("Li and Bo, bo, Lib o")


@pytest.mark.parametrize("written", ["ZwybelquistOphelchen", "ophelchenzwybelquist_v1", "zwybelquistophelchen"])
def test_two_long_parts_are_found_run_together(written: str) -> None:
    found = words("Zwybelquist^Ophelchen", "")
    assert found is not None
    assert found.search(written)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Wang^XiaoDong=王^小东", "患者王小东胸部平扫"),
        ("Wang^XiaoDong=王^小东", "王 小东 胸部"),
        ("王^伟", "患者王伟胸部"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田太郎様の胸部検査"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田様"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "胸部ヤマダ様"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "환자홍길동님 흉부"),
        ("สมชาย^ใจดี", "ผู้ป่วยสมชายใจดีปอด"),
    ],
)
def test_in_scripts_without_spaces_a_name_is_found_in_the_middle_of_a_text(name: str, written: str) -> None:
    found = words(name, "")
    assert found is not None
    assert found.search(written) or found.search(folded(written))


def test_of_scripts_without_spaces_a_part_of_one_character_is_not_looked_for_alone() -> None:
    found = words("王^小东=か^な", "")
    assert found is not None
    assert not found.search("国王 东 かばん")
