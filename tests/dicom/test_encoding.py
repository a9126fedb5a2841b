from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom.encoding import EXPLICIT_LE, Malformed, Truncated, element, encoding_of, inflate
from tests.dicom import datasets as made


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


@given(data=st.binary(max_size=2000))
def test_what_was_deflated_comes_back(data: bytes) -> None:
    assert inflate(deflated(data), 2000) == data


def test_a_bomb_is_not_inflated() -> None:
    bomb = deflated(bytes(50_000_000))
    with pytest.raises(Malformed, match="more than 1000 bytes"):
        inflate(bomb, 1000)
    assert inflate(bomb, 1000, whole=False) == bytes(1000)


def test_what_is_not_deflated_or_not_complete_is_malformed() -> None:
    with pytest.raises(Malformed):
        inflate(b"\xff\xff\xff not deflated", 1000)
    with pytest.raises(Truncated):
        inflate(deflated(b"some text, and more of it")[:-3], 1000)


@pytest.mark.parametrize(
    ("keyword", "value", "tag", "vr", "raw"),
    [
        ("StudyDescription", "HEAD1", 0x00081030, "LO", b"HEAD1"),
        ("SOPInstanceUID", "1.2.3", 0x00080018, "UI", b"1.2.3"),
        ("ICCProfile", b"\1\2\3\4", 0x00282000, "OB", b"\1\2\3\4"),
        ("TextValue", "long text", 0x0040A160, "UT", b"long text"),
    ],
)
def test_elements_are_written_as_pydicom_writes_them(
    keyword: str, value: object, tag: int, vr: str, raw: bytes
) -> None:
    ds = Dataset()
    setattr(ds, keyword, value)
    assert element(tag, vr, raw) == made.encoded(ds)


def test_a_value_too_long_for_its_length_field_is_not_written() -> None:
    with pytest.raises(ValueError, match="do not fit an element of LO"):
        element(0x00081030, "LO", b"x" * 65536)
    assert len(element(0x0040A160, "UT", b"x" * 65536)) == 65536 + 12


def test_a_transfer_syntax_outside_the_standard_is_read_as_explicit_little_endian() -> None:
    assert encoding_of("1.2.3.4.5") == EXPLICIT_LE
    assert not encoding_of(made.IMPLICIT).explicit
    assert encoding_of(made.BIG_ENDIAN).big_endian
