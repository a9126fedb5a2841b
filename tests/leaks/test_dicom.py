"""What can be read in an instance, in which character sets, and where it stands."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from node.leaks.dicom import around, document, in_bytes, is_identifier, located, read_dicom, readings, texts
from node.leaks.parse import Value
from node.leaks.what import Place
from tests import make


def value(vr: str, raw: bytes, tag: int = 0x0008103E, charset: bytes = b"") -> Value:
    return Value((), tag, vr, 100, raw, charset)


def read(vr: str, raw: bytes, tag: int = 0x0008103E, charset: bytes = b"") -> list[tuple[str, Place]]:
    return list(texts(value(vr, raw, tag, charset)))


@pytest.mark.parametrize(
    ("vr", "place"),
    [("LO", Place.TEXT), ("PN", Place.PERSON), ("DA", Place.DATE), ("UI", Place.UID), ("IS", Place.NUMBER),
     ("CS", Place.TEXT), ("UT", Place.TEXT)],
)  # fmt: skip
def test_a_representation_says_what_kind_of_place_it_is(vr: str, place: Place) -> None:
    assert read(vr, b"one two ") == [("one two", place)]


def test_an_attribute_that_holds_identifiers_is_a_place_for_them() -> None:
    assert read("LO", b"7 ", 0x00100020) == [("7", Place.IDENTIFIER)]
    assert is_identifier(value("SH", b"7", 0x00200010))
    assert not is_identifier(value("LO", b"7"))


def test_several_values_are_read_one_by_one_and_long_text_is_one_value() -> None:
    assert [text for text, _ in read("LO", b"one\\two\\ ")] == ["one", "two"]
    assert [text for text, _ in read("LT", b"one\\two")] == ["one\\two"]


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        (b"ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 192", "Müller".encode(), "Müller"),
        (b"ISO_IR 144", "Иванов".encode("iso8859-5"), "Иванов"),
        (b"GB18030", "王小东".encode("gb18030"), "王小东"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf", "김희중"),
    ],
)
def test_text_is_read_in_its_character_set(charset: bytes, raw: bytes, text: str) -> None:
    assert text in readings(raw, charset)


def test_text_whose_character_set_lies_is_read_in_utf8_and_in_that_of_the_originals_too() -> None:
    assert "Müller" in readings("Müller".encode(), b"ISO_IR 100")
    assert "Müller" in readings("Müller".encode(), b"")
    assert "Иванов" in readings("Иванов".encode("iso8859-5"), b"ISO_IR 100", ("ISO_IR 144",))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"only text \0", [("only text", Place.TEXT)]),
        (b"\1\2some text\3\4", [("some text", Place.BYTES)]),
        (b"\1ab\2", []),
        (b"", []),
        (b"\1\2K\0o\0w\0a\0l\0\3", [("Kowal", Place.BYTES)]),
        (b"\1\2\0K\0o\0w\0a\0l\3", [("Kowal", Place.BYTES)]),
    ],
)
def test_text_in_binary_values_is_found(raw: bytes, expected: list[tuple[str, Place]]) -> None:
    assert set(expected) <= set(in_bytes(raw))
    if not expected:
        assert list(in_bytes(raw)) == []


def test_a_place_has_the_name_of_the_attribute_and_no_value() -> None:
    nested = Value((((), 0x0040A730, 2), 0x00081140, 1), 0x00081155, "UI", 1234, b"1.2.3", b"")
    assert located(nested) == (
        "(0040,A730)[2].(0008,1140)[1].(0008,1155) Referenced SOP Instance UID, byte 1234"
    )  # fmt: skip


def test_documents_of_bytes_are_not_read_and_those_of_text_are() -> None:
    assert document(value("OB", b"%PDF-1.7\n\x02\x03", 0x00420011))
    assert not document(value("OB", b"<xml>text</xml>\0", 0x00420011))
    assert not document(value("OB", b"\1\2\3\4"))


def saved(ds: FileDataset) -> bytes:
    buffer = BytesIO()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_pixels_are_no_text_and_zeros_behind_them_are_nothing() -> None:
    ds = make.ct_series(1)[0]
    ds.PixelData = b"Kowalczyk " * (len(ds.PixelData) // 10)
    assert list(around(read_dicom(saved(ds)))) == []
    ds = make.ct_series(1)[0]
    ds.PixelData += b"\0" * 50
    assert list(around(read_dicom(saved(ds)))) == []


def test_more_bytes_than_frames_are_text_where_they_can_be() -> None:
    ds = make.enhanced_mr()
    ds.PixelData += b"Kowalczyk."
    ((text, _, where),) = around(read_dicom(saved(ds)))
    assert text == "Kowalczyk."
    assert where.startswith("behind the last frame of Pixel Data, byte ")


def test_pixels_of_which_the_header_says_no_size_are_not_searched() -> None:
    ds = make.ct_series(1)[0]
    del ds.Rows
    ds.PixelData = b"Kowalczyk."
    assert list(around(read_dicom(saved(ds)))) == []
