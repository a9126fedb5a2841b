from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom.content import VOLATILE, header_difference, pixel_bytes_equal_when_native
from node.dicom.encoding import Malformed
from node.dicom.part10 import read_meta
from tests.data import real
from tests.dicom import datasets as made


def difference(a: bytes, b: bytes) -> tuple[str, ...]:
    return header_difference(a, made.EXPLICIT, b, made.EXPLICIT)


@pytest.mark.parametrize("syntax", made.UNCOMPRESSED)
@given(ds=made.datasets)
@settings(max_examples=30, deadline=None)
def test_a_data_set_equals_itself_in_every_uncompressed_syntax(syntax: str, ds: Dataset) -> None:
    assert header_difference(made.encoded(ds), made.EXPLICIT, made.encoded(ds, syntax), syntax) == ()


@given(ds=made.datasets, other=made.datasets)
@settings(max_examples=60, deadline=None)
def test_data_sets_differ_exactly_where_pydicom_says_so(ds: Dataset, other: Dataset) -> None:
    found = difference(made.encoded(ds), made.encoded(other))
    expected = {
        f"{int(tag):08X}"
        for tag in ds.keys() | other.keys()
        if tag not in ds or tag not in other or ds[tag] != other[tag]
    }
    assert {path[:8] for path in found} == expected
    assert list(found) == sorted(found)


def test_a_difference_in_an_item_has_its_path() -> None:
    def study(uid: bytes) -> bytes:
        inner = made.explicit(0x00081155, "UI", uid)
        item = made.ITEM + struct.pack("<I", len(inner)) + inner
        return made.explicit(0x00081110, "SQ", item + item)

    assert difference(study(b"1.22"), study(b"1.23")) == ("00081110[0].00081155", "00081110[1].00081155")


def test_an_empty_sequence_and_none_differ() -> None:
    assert difference(made.explicit(0x00081110, "SQ", b""), b"") == ("00081110",)


def test_text_is_compared_as_it_reads() -> None:
    latin = made.explicit(0x00080005, "CS", b"ISO_IR 100") + made.explicit(0x00100010, "PN", b"M\xfcller")
    utf8 = made.explicit(0x00080005, "CS", b"ISO_IR 192") + made.explicit(0x00100010, "PN", "Müller ".encode())
    assert difference(latin, utf8) == ()
    assert difference(latin, utf8.replace(b"ller", b"LLER")) == ("00100010",)


def test_numbers_in_text_are_compared_as_numbers() -> None:
    assert difference(made.explicit(0x00180050, "DS", b"1.0 "), made.explicit(0x00180050, "DS", b"1 ")) == ()
    assert difference(made.explicit(0x00180050, "DS", b"1.0 "), made.explicit(0x00180050, "DS", b"1.01")) != ()


def test_private_elements_are_compared_byte_by_byte() -> None:
    creator = made.explicit(0x00090010, "LO", b"SOMEBODY")
    a, b = (creator + made.explicit(0x00091001, "LO", value) for value in (b"x", b"x "))
    assert difference(a, b) == ("00091001",)
    assert difference(a, creator + made.explicit(0x00091001, "UN", b"x")) == ()


@pytest.mark.parametrize("tag", sorted(VOLATILE | {0x00080000, 0x7FE00010}))
def test_where_an_instance_lies_does_not_matter(tag: int) -> None:
    with_it = made.explicit(tag, "OB" if tag >> 16 > 0x7000 else "LO", b"STORE1")
    assert difference(with_it, b"") == ()


def test_long_values_are_compared_to_their_end() -> None:
    a, b = (made.explicit(0x00282000, "OB", bytes(100_000) + end) for end in (b"\0\0", b"\0\1"))
    assert difference(a, a) == ()
    assert difference(a, b) == ("00282000",)


def test_native_pixels_are_compared_whatever_their_byte_order() -> None:
    little = made.explicit(0x00080060, "CS", b"CT") + made.explicit(0x7FE00010, "OW", b"\1\2\3\4" * 400_000)
    big = struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 1_600_000) + b"\2\1\4\3" * 400_000
    other = little[:-1] + b"\5"
    assert pixel_bytes_equal_when_native(little, made.EXPLICIT, big, made.BIG_ENDIAN) is True
    assert pixel_bytes_equal_when_native(little, made.EXPLICIT, other, made.EXPLICIT) is False
    shorter = made.explicit(0x7FE00010, "OW", b"\1\2\3\4")
    assert pixel_bytes_equal_when_native(little, made.EXPLICIT, shorter, made.EXPLICIT) is False


def test_what_is_written_as_un_is_little_endian_in_a_big_endian_data_set() -> None:
    """PS3.5 6.2.2 note 2, at the top, in items and of pixel data."""

    def big(tag: int, value: bytes) -> bytes:
        return struct.pack(">HH2sHI", tag >> 16, tag & 0xFFFF, b"UN", 0, len(value)) + value

    inner = struct.pack("<HHI", 0x0028, 0x0010, 2) + b"\2\0"
    item = made.ITEM + struct.pack("<I", len(inner)) + inner
    rows, pixels = made.explicit(0x00280010, "US", b"\2\0"), made.explicit(0x7FE00010, "OW", b"\1\2\3\4")
    in_item = made.ITEM + struct.pack("<I", len(rows)) + rows
    little = made.explicit(0x00082112, "SQ", in_item) + rows + pixels
    as_un = big(0x00082112, item) + big(0x00280010, b"\2\0") + big(0x7FE00010, b"\1\2\3\4")
    assert header_difference(little, made.EXPLICIT, as_un, made.BIG_ENDIAN) == ()
    assert pixel_bytes_equal_when_native(little, made.EXPLICIT, as_un, made.BIG_ENDIAN) is True


def test_copies_of_a_real_image_in_two_byte_orders_say_the_same() -> None:
    folder = real("ct_16ts")
    implicit, big = (
        folder / f"CTImage.dcm_{name}.dcm"
        for name in (
            "LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2",
            "BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2",
        )
    )
    ours, theirs = (path.read_bytes()[read_meta(path).dataset_offset :] for path in (implicit, big))
    assert header_difference(ours, made.IMPLICIT, theirs, made.BIG_ENDIAN) == ()


def test_encapsulated_or_absent_pixels_are_not_judged() -> None:
    native = made.explicit(0x7FE00010, "OB", b"\1\2")
    fragments = made.ITEM + struct.pack("<I", 0) + made.SEQUENCE_END
    encapsulated = made.explicit(0x7FE00010, "OB", fragments, 0xFFFFFFFF)
    for other in (encapsulated, made.explicit(0x00080060, "CS", b"CT"), b""):
        assert pixel_bytes_equal_when_native(native, made.EXPLICIT, other, made.EXPLICIT) is None


@given(ds=made.datasets, choices=st.data(), syntax=st.sampled_from(made.UNCOMPRESSED))
@settings(max_examples=60, deadline=None)
def test_damaged_data_sets_are_compared_or_malformed(ds: Dataset, choices: st.DataObject, syntax: str) -> None:
    whole = made.encoded(ds, syntax)
    with contextlib.suppress(Malformed):
        header_difference(whole, syntax, made.mutated(choices, whole), syntax)
