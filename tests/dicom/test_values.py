from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.text import character_set
from node.dicom.values import LIMIT, may_be_kept, value_of

UTF8 = character_set(["ISO_IR 192"])


def value(vr: str, raw: bytes, big_endian: bool = False) -> object:
    return value_of(vr, raw, UTF8, big_endian, LIMIT)[0]


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("CS", b"ORIGINAL\\PRIMARY ", ["ORIGINAL", "PRIMARY"]),
        ("CS", b" CT ", ["CT"]),
        ("CS", b"", []),
        ("LO", b"  ", []),
        ("LO", b"a\\\\b", ["a", "", "b"]),
        ("PN", b" Leading^Space ", [" Leading^Space"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("LT", b"one\\text ", ["one\\text"]),
        ("UR", b"http://a/b ", ["http://a/b"]),
        ("DS", b"1.50\\-2e1 ", [1.5, -20.0]),
        ("DS", b"1,5", ["1,5"]),
        ("DS", b"1_0", ["1_0"]),
        ("DS", b"nan", ["nan"]),
        ("IS", b" 12\\-3", [12, -3]),
        ("IS", b"3.0", [3]),
        ("IS", b"3.5", [3.5]),
        ("IS", b"1_0", ["1_0"]),
        ("IS", b"many", ["many"]),
        ("US", b"\1\0\0\1", [1, 256]),
        ("SS", b"\xff\xff", [-1]),
        ("SL", b"\xfe\xff\xff\xff", [-2]),
        ("FD", struct.pack("<d", 0.25), [0.25]),
        ("FL", struct.pack("<f", float("inf")), None),
        ("US", b"\1", None),
        ("AT", b"\x10\0\x20\0", ["00100020"]),
        ("OB", b"\1\2", None),
        ("UN", b"text", None),
    ],
)
def test_values_by_representation(vr: str, raw: bytes, expected: object) -> None:
    assert value(vr, raw) == expected
    assert not isinstance(expected, list) or [type(v) for v in expected] == [type(v) for v in value(vr, raw)]


def test_big_endian_numbers_and_tags() -> None:
    assert value("US", b"\1\0", big_endian=True) == [256]
    assert value("AT", b"\0\x10\0\x20", big_endian=True) == ["00100020"]


@pytest.mark.parametrize(
    ("vr", "raw", "kept"),
    [
        ("LO", b"x" * 64, True),
        ("LO", b"x" * 65, False),
        ("LO", "長".encode() * 64, True),
        ("LO", "長".encode() * 65, False),
        ("CS", b"\\".join([b"A" * 16] * 10), True),
        ("CS", b"\\".join([b"A" * 65, b"B"]), False),
        ("PN", b"=".join([b"N" * 60] * 3), True),
        ("PN", b"=".join([b"N" * 60, b"N" * 65]), False),
        ("UT", b"x" * 65, False),
        ("UT", b"x" * 64, True),
        ("US", bytes(64), True),
        ("US", bytes(66), False),
        ("UN", bytes(2), False),
    ],
)
def test_long_values_are_not_kept(vr: str, raw: bytes, kept: bool) -> None:
    assert (may_be_kept(vr, len(raw), LIMIT) and value(vr, raw) is not None) is kept


@given(
    vr=st.sampled_from(["CS", "DS", "IS", "LO", "PN", "UT", "US", "FD", "AT", "SV", "UN"]), raw=st.binary(max_size=200)
)
def test_what_need_not_be_read_has_no_value_and_any_bytes_give_one(vr: str, raw: bytes) -> None:
    given_value = value(vr, raw)
    assert given_value is None or isinstance(given_value, list)
    if not may_be_kept(vr, len(raw), LIMIT):
        assert given_value is None or vr not in ("US", "FD", "AT", "SV", "UN")
