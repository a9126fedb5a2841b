"""A data set turned from one byte order into the other says the same, and turned back it is the same bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom.byte_order import swap, swapped
from node.dicom.content import header_difference
from node.dicom.elements import PIXEL_DATA
from node.dicom.encoding import EXPLICIT_BE, EXPLICIT_LE, Malformed
from tests.dicom import big_endian as big
from tests.dicom import datasets as made


@given(ds=made.datasets)
@settings(max_examples=60, deadline=None)
def test_a_data_set_becomes_what_pydicom_writes_in_the_other_order_and_comes_back(ds: Dataset) -> None:
    little, large = made.encoded(ds, made.EXPLICIT), made.encoded(ds, made.BIG_ENDIAN)
    assert swapped(little, EXPLICIT_LE) == large
    assert swapped(large, EXPLICIT_BE) == little


@given(ds=made.datasets, data=st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_bytes_are_malformed_or_come_back(ds: Dataset, data: st.DataObject) -> None:
    broken = made.mutated(data, made.encoded(ds, made.BIG_ENDIAN))
    try:
        turned = swapped(broken, EXPLICIT_BE)
        assert len(turned) == len(broken)
        assert swapped(turned, EXPLICIT_LE) == broken
    except Malformed:
        pass


@pytest.mark.parametrize("defined", [True, False])
def test_what_is_written_as_un_stays_as_it_is(defined: bool) -> None:
    inner = big.implicit(0x00280010, b"\2\0") + big.implicit(0x00081140, big.items(big.implicit(0x00081155, b"1.2\0")))
    content = big.items(inner, b"", inner, defined=defined)
    sequence = big.unknown_sequence(0x00082112, inner, b"", inner, defined=defined)
    rows, behind = big.element(0x00280010, "UN", b"\2\0"), big.element(0x00280011, "US", b"\0\2")
    turned = swapped(sequence + rows + behind, EXPLICIT_BE)
    length = None if defined else 0xFFFFFFFF
    assert turned == (
        made.explicit(0x00082112, "UN", content, length)
        + made.explicit(0x00280010, "UN", b"\2\0")
        + made.explicit(0x00280011, "US", b"\2\0")
    )
    assert swapped(turned, EXPLICIT_LE) == sequence + rows + behind


def test_un_in_the_items_of_a_sequence_stays_and_its_neighbours_turn() -> None:
    inner = big.element(0x00280010, "UN", b"\2\0") + big.element(0x00280011, "US", b"\0\2")
    item = struct.pack(">HHI", 0xFFFE, 0xE000, len(inner)) + inner
    little = made.explicit(0x00280010, "UN", b"\2\0") + made.explicit(0x00280011, "US", b"\2\0")
    turned = swapped(big.element(0x00082112, "SQ", item), EXPLICIT_BE)
    assert turned == made.explicit(0x00082112, "SQ", made.ITEM + struct.pack("<I", len(little)) + little)


@pytest.mark.parametrize(
    ("bits", "vr", "turned"),
    [(b"\0\x10", "OW", b"\2\1\4\3"), (b"\0\x20", "OW", b"\4\3\2\1"), (b"\0\x08", "OB", b"\1\2\3\4")],
)
def test_samples_turn_by_their_size(bits: bytes, vr: str, turned: bytes) -> None:
    data = big.element(0x00280100, "US", bits) + big.element(0x7FE00010, vr, b"\1\2\3\4")
    little = swapped(data, EXPLICIT_BE)
    assert little.endswith(turned)
    assert swapped(little, EXPLICIT_LE) == data


def test_the_bits_allocated_of_an_icon_are_its_own() -> None:
    icon = made.explicit(0x00280100, "US", b"\x10\0") + made.explicit(0x7FE00010, "OW", b"\1\2\3\4")
    sequence = made.explicit(0x00880200, "SQ", made.ITEM + struct.pack("<I", len(icon)) + icon)
    data = made.explicit(0x00280100, "US", b"\x20\0") + sequence + made.explicit(0x7FE00010, "OW", b"\1\2\3\4")
    turned = swapped(data, EXPLICIT_LE)
    assert b"\2\1\4\3" in turned
    assert turned.endswith(b"\4\3\2\1")


def test_fragments_are_little_endian_in_both_orders() -> None:
    content = made.ITEM + struct.pack("<I", 0) + made.ITEM + struct.pack("<I", 2) + b"\1\2" + made.SEQUENCE_END
    data = big.element(0x7FE00010, "OW", content, 0xFFFFFFFF)
    assert swapped(data, EXPLICIT_BE) == made.explicit(0x7FE00010, "OW", content, 0xFFFFFFFF)


def test_what_stands_before_it_and_zeros_behind_it_stay_and_pixels_need_not_be_read() -> None:
    rows, pixels = big.element(0x00280010, "US", b"\0\2"), big.element(0x7FE00010, "OW", b"\1\2")
    assert swapped(b"before" + rows + bytes(9), EXPLICIT_BE, start=6) == (
        b"before" + made.explicit(0x00280010, "US", b"\2\0") + bytes(9)
    )
    assert swapped(rows + pixels[:-1], EXPLICIT_BE, stop_at=PIXEL_DATA) == made.explicit(0x00280010, "US", b"\2\0")


def test_an_implicit_sequence_in_an_explicit_data_set_has_no_other_order() -> None:
    item = big.items(big.implicit(0x00280010, b"\2\0"))
    with pytest.raises(Malformed, match="no value representation"):
        swapped(made.explicit(0x00082112, "SQ", item), EXPLICIT_LE)


def test_what_is_left_over_behind_whole_words_stays() -> None:
    assert swap("OW", b"\1\2\3") == b"\2\1\3"
    assert swap("UN", b"\1\2\3\4") == swap("OB", b"\1\2\3\4", 4) == b"\1\2\3\4"


def test_a_turned_data_set_has_the_same_meaning() -> None:
    inner = big.implicit(0x00280010, b"\2\0")
    data = big.unknown_sequence(0x00082112, inner, defined=False) + big.element(0x00189087, "FD", struct.pack(">d", 1))
    assert header_difference(bytes(swapped(data, EXPLICIT_BE)), made.EXPLICIT, data, made.BIG_ENDIAN) == ()
