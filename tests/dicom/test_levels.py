from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom import levels
from node.dicom.elements import ITEM, ITEM_END, SEQUENCE_END, walk
from node.dicom.encoding import EXPLICIT_LE, IMPLICIT_LE, Encoding, Malformed, Parse, Truncated
from node.dicom.levels import EXPLICIT, IMPLICIT, Level
from tests.dicom import datasets as made
from tests.dicom.datasets import explicit

_WAYS = [(made.EXPLICIT, EXPLICIT, EXPLICIT_LE), (made.IMPLICIT, IMPLICIT, IMPLICIT_LE)]


def flat(data: bytes, level: Level, parse: Parse, depth: int = 0) -> list[tuple[int, int, int]]:
    """(tag, start, value) of all there is, as elements.walk gives it, without delimiters."""
    found = []
    for tag, vr, start, value, end, items in level.values():
        found.append((tag, start, value))
        named = {each[0]: each[1] for each in walk(data[start:end], EXPLICIT_LE if parse is EXPLICIT else IMPLICIT_LE)}
        if vr == "SQ" or items is not None or named[tag] == "SQ":
            for item in levels.items(data, (tag, vr, start, value, end, items), parse, depth):
                found.append((ITEM, item.start - 8, item.start))
                found += flat(data, levels.level(data, item, depth + 1), item.parse, depth + 1)
    return found


@settings(max_examples=60, deadline=None)
@given(made.datasets, st.sampled_from(_WAYS))
def test_the_levels_together_are_what_walk_gives(ds: Dataset, way: tuple[str, Parse, Encoding]) -> None:
    syntax, parse, encoding = way
    data = made.encoded(ds, syntax)
    places = [place[0:1] + place[2:4] for place in walk(data, encoding) if place[0] not in (ITEM_END, SEQUENCE_END)]
    assert flat(data, levels.top(data, 0, parse), parse) == places


def test_a_sequence_of_defined_length_is_not_looked_into_before_it_is_asked_for() -> None:
    data = explicit(0x00082218, "SQ", b"no items") + explicit(0x00100010, "PN", b"AB")
    found = levels.top(data, 0, EXPLICIT)
    assert list(found) == [0x00082218, 0x00100010]
    with pytest.raises(Malformed, match="no item"):
        levels.items(data, found[0x00082218], EXPLICIT, 0)


@pytest.mark.parametrize("defined", [True, False])
def test_every_element_ends_behind_its_delimiter(defined: bool) -> None:
    data = made.nested(5, defined=defined) + explicit(0x00700080, "CS", b"AB")
    tree, label = levels.top(data, 0, EXPLICIT).values()
    assert tree[4] == label[2]
    assert label[4] == len(data)
    assert (tree[5] is None) == defined


def test_elements_come_in_order_and_the_last_of_two_is_the_one() -> None:
    parts = [
        explicit(0x00100020, "LO", b"OLD "),
        explicit(0x00100010, "PN", b"AB"),
        explicit(0x00100020, "LO", b"NEW "),
    ]
    data = b"".join(parts)
    found = levels.top(data, 0, EXPLICIT)
    assert list(found) == [0x00100010, 0x00100020]
    assert data[found[0x00100020][3] : found[0x00100020][4]] == b"NEW "


def test_encapsulated_pixel_data_are_one_value_with_their_delimiter() -> None:
    fragments = made.ITEM + struct.pack("<I", 0) + made.ITEM + struct.pack("<I", 4) + b"\xfe\xff\xdd\xe0"
    data = explicit(0x7FE00010, "OB", fragments + made.SEQUENCE_END, 0xFFFFFFFF) + explicit(0xFFFCFFFC, "OB", b"\0\0")
    _, _, _, value, end, items = levels.top(data, 0, EXPLICIT)[0x7FE00010]
    assert data[value:end] == fragments + made.SEQUENCE_END
    assert items is None


def test_items_of_un_are_implicit_and_those_of_devices_that_go_on_in_explicit_are_not() -> None:
    for inner, parse in (
        (struct.pack("<HHI", 8, 0x60, 2) + b"MR", IMPLICIT),
        (explicit(0x00080060, "CS", b"MR"), EXPLICIT),
    ):
        data = explicit(0x00082218, "UN", made.ITEM + struct.pack("<I", len(inner)) + inner)
        (item,) = levels.items(data, levels.top(data, 0, EXPLICIT)[0x00082218], EXPLICIT, 0)
        assert item.parse is parse
        assert list(levels.level(data, item, 1)) == [0x00080060]


def test_implicit_items_within_explicit_are_seen_by_their_missing_representation() -> None:
    inner = struct.pack("<HHI", 8, 0x60, 2) + b"MR"
    data = explicit(0x00082218, "SQ", made.ITEM + struct.pack("<I", len(inner)) + inner)
    (item,) = levels.items(data, levels.top(data, 0, EXPLICIT)[0x00082218], EXPLICIT, 0)
    assert item.parse is IMPLICIT


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x10\0\x10\0PN\4", "middle of an element"),
        (explicit(0x00100010, "PN", b"AB") + b"\0", "middle of an element"),
        (explicit(0x00100010, "PN", b"AB") + bytes(8), "no value representation"),
        (explicit(0x00100010, "PN", b"AB", 4), "cut short"),
        (explicit(0x00281201, "OW", b"AB", 4), "cut short"),
        (explicit(0x00100010, "PN", b"AB") + made.ITEM_END, "has no place"),
        (explicit(0x00100010, "PN", b"AB") + made.SEQUENCE_END, "has no place"),
        (made.nested(2)[:-8], "a sequence has no end"),
        (made.nested(1)[:-16], "an item has no end"),
        (explicit(0x00082218, "SQ", made.ITEM + b"\xff" * 4 + b"\0" * 8, 0xFFFFFFFF), "there is no tag"),
        (explicit(0x7FE00010, "OW", made.ITEM + bytes(4), 0xFFFFFFFF), "have no end"),
        (explicit(0x00100010, "PN", b"AB")[:4] + b"XX\0\0\0\0\0\0", "no value representation of PS3.5"),
        (b"\x10\0\x10\0UT\0\0\xff\xff\xff\xff", "has no length"),
        (made.nested(70), "nested more than 64 deep"),
    ],
)  # fmt: skip
def test_what_has_no_certain_end_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        levels.top(data, 0, EXPLICIT)


def test_items_of_defined_length_must_fill_their_sequence() -> None:
    whole = made.ITEM + struct.pack("<I", 4) + b"ABCD"
    for value, error in (
        (whole[:-1], Truncated),
        (whole + b"\0\0", Truncated),
        (whole + made.SEQUENCE_END + b"\0\0", Malformed),
    ):
        data = explicit(0x00082218, "SQ", value)
        with pytest.raises(error):
            levels.items(data, levels.top(data, 0, EXPLICIT)[0x00082218], EXPLICIT, 0)


def test_a_delimiter_at_the_end_of_a_defined_length_is_let_through() -> None:
    data = explicit(0x00082218, "SQ", made.ITEM + struct.pack("<I", 0) + made.SEQUENCE_END)
    assert len(levels.items(data, levels.top(data, 0, EXPLICIT)[0x00082218], EXPLICIT, 0)) == 1


@settings(max_examples=150, deadline=None)
@given(st.data(), made.datasets, st.sampled_from(_WAYS))
def test_damage_raises_malformed_and_nothing_else(
    data: st.DataObject, ds: Dataset, way: tuple[str, Parse, Encoding]
) -> None:
    syntax, parse, _ = way
    damaged = made.mutated(data, made.encoded(ds, syntax))
    try:
        for each in levels.top(damaged, 0, parse).values():
            assert each[2] < each[3] <= each[4] <= len(damaged)
            if each[1] == "SQ" or each[5] is not None:
                for item in levels.items(damaged, each, parse, 0):
                    assert each[3] <= item.start <= item.end <= each[4]
                    levels.level(damaged, item, 1)
    except Malformed:
        pass
