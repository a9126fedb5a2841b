from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.dicom.elements import (
    ITEM,
    ITEM_END,
    PIXEL_DATA,
    SEQUENCE_END,
    Place,
    fragments,
    is_encapsulated,
    walk,
)
from node.dicom.encoding import (
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    UNDEFINED,
    Encoding,
    Malformed,
    Truncated,
    encoding_of,
)
from tests.data import real_folders
from tests.dicom import datasets as made

EXPLICIT_SYNTAXES = (made.IMPLICIT, made.EXPLICIT, made.BIG_ENDIAN)


def tags(data: bytes, encoding: Encoding = EXPLICIT_LE, **options: Any) -> list[tuple[int, str]]:
    return [(tag, vr) for tag, vr, *_ in walk(data, encoding, **options)]


def flattened(ds: Dataset) -> list[tuple[int, str]]:
    """What walk should give for a data set, by pydicom's own object."""
    out: list[tuple[int, str]] = []
    for element in ds:
        out.append((int(element.tag), element.VR))
        if element.VR == "SQ":
            for item in element.value:
                out += [(ITEM, ""), *flattened(item), (ITEM_END, "")]
            out.append((SEQUENCE_END, ""))
    return out


@pytest.mark.parametrize("syntax", EXPLICIT_SYNTAXES)
@given(ds=made.datasets)
@settings(max_examples=40, deadline=None)
def test_every_element_is_given_once_and_in_order(syntax: str, ds: Dataset) -> None:
    assert tags(made.encoded(ds, syntax), encoding_of(syntax)) == flattened(ds)


@given(ds=made.datasets)
@settings(max_examples=40, deadline=None)
def test_places_cover_every_byte_without_a_gap(ds: Dataset) -> None:
    data = made.encoded(ds)
    position = 0
    for _, vr, start, value, end in walk(data, EXPLICIT_LE):
        assert start == position
        position = value if vr in ("", "SQ") else end
    assert position == len(data)


@pytest.mark.parametrize("defined", [True, False])
def test_sequences_may_have_either_kind_of_length(defined: bool) -> None:
    places = list(walk(made.nested(1, defined=defined), EXPLICIT_LE))
    assert [p[0] for p in places] == [0x0040A730, ITEM, 0x00080060, ITEM_END, SEQUENCE_END]
    assert (places[0][4] == UNDEFINED) is not defined


def test_unknown_vr_of_undefined_length_is_a_sequence_in_implicit_encoding() -> None:
    inner = struct.pack("<HHI", 0x0008, 0x0060, 2) + b"CT"
    item = made.ITEM + struct.pack("<I", len(inner)) + inner
    data = made.explicit(0x00091001, "UN", item + made.SEQUENCE_END, UNDEFINED) + made.explicit(0x00100020, "LO", b"A1")
    assert tags(data)[0] == (0x00091001, "SQ")
    assert (0x00080060, "CS") in tags(data)
    assert tags(data)[-1] == (0x00100020, "LO")


def test_unknown_vr_whose_items_go_on_in_explicit_is_read_all_the_same() -> None:
    inner = made.explicit(0x00080060, "CS", b"CT")
    item = made.ITEM + struct.pack("<I", len(inner)) + inner
    data = made.explicit(0x00091001, "UN", item + made.SEQUENCE_END, UNDEFINED)
    assert tags(data)[2] == (0x00080060, "CS")


def test_a_known_sequence_that_is_written_as_unknown_is_looked_into() -> None:
    inner = struct.pack("<HHI", 0x0008, 0x1155, 4) + b"1.2\0"
    item = made.ITEM + struct.pack("<I", len(inner)) + inner
    assert (0x00081155, "UI") in tags(made.explicit(0x00081140, "UN", item))


def test_bytes_that_are_no_items_stay_unknown() -> None:
    assert tags(made.explicit(0x00081140, "UN", b"whatever")) == [(0x00081140, "UN")]


def test_an_implicit_sequence_copied_into_an_explicit_data_set_is_read() -> None:
    inner = struct.pack("<HHI", 0x0008, 0x1155, 4) + b"1.2\0"
    item = made.ITEM + struct.pack("<I", len(inner)) + inner
    data = made.explicit(0x00081140, "SQ", item) + made.explicit(0x00100020, "LO", b"A1")
    assert (0x00081155, "UI") in tags(data)


def test_private_elements_are_known_by_their_creator() -> None:
    def implicit(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value

    ours = implicit(0x00190010, b"SIEMENS MR HEADER ") + implicit(0x0019100C, b"1000")
    assert tags(ours, IMPLICIT_LE) == [(0x00190010, "LO"), (0x0019100C, "IS")]
    last_block = implicit(0x001900FF, b"SIEMENS MR HEADER ") + implicit(0x0019FF0C, b"1000")
    assert tags(last_block, IMPLICIT_LE)[1] == (0x0019FF0C, "IS")
    nobody = implicit(0x00190010, b"NOBODY") + implicit(0x0019100C, b"1000")
    assert tags(nobody, IMPLICIT_LE)[1] == (0x0019100C, "UN")


def test_a_private_creator_counts_only_in_its_own_item() -> None:
    def implicit(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value

    inner = implicit(0x0019100C, b"1000")
    item = made.ITEM + struct.pack("<I", len(inner)) + inner
    data = implicit(0x00190010, b"SIEMENS MR HEADER ") + implicit(0x00081140, item)
    # (0008,1140) is behind (0019,0010) here, which no sorted data set has; the scope is what matters.
    assert (0x0019100C, "UN") in tags(data, IMPLICIT_LE)


def test_fragments_of_encapsulated_pixel_data_are_given_without_reading_them() -> None:
    parts = [b"", b"\xff\xd8abcd", b"ef"]
    body = b"".join(made.ITEM + struct.pack("<I", len(p)) + p for p in parts) + made.SEQUENCE_END
    data = made.explicit(0x7FE00010, "OB", body, UNDEFINED) + made.explicit(0xFFFCFFFC, "OB", b"\0\0")
    pixels, padding = walk(data, EXPLICIT_LE)
    assert is_encapsulated(data, pixels)
    assert not is_encapsulated(data, padding)
    assert [data[a:b] for a, b in fragments(data, pixels)] == parts


def test_reading_stops_at_pixel_data_that_need_not_be_there() -> None:
    data = made.explicit(0x00080060, "CS", b"CT") + made.explicit(0x7FE00010, "OW", b"", 10**9)
    *_, last = walk(data, EXPLICIT_LE, stop_at=PIXEL_DATA)
    assert last[0] == 0x7FE00010
    with pytest.raises(Truncated):
        tags(data)


def test_zeros_behind_the_last_element_are_padding() -> None:
    data = made.explicit(0x00080060, "CS", b"CT")
    assert tags(data + bytes(1)) == tags(data + bytes(500)) == tags(data)


def test_sixty_levels_are_fine_and_more_than_256_are_refused() -> None:
    assert len(tags(made.nested(60))) == 60 * 4 + 1
    assert len(tags(made.nested(256, defined=True))) == 256 * 4 + 1
    for depth in (257, 1000):
        with pytest.raises(Malformed, match="more than 256 deep"):
            tags(made.nested(depth))


def test_a_hundred_thousand_elements_are_read_in_a_moment() -> None:
    data = made.explicit(0x00091001, "LO", b"x ") * 100_000
    begin = time.perf_counter()
    assert sum(1 for _ in walk(data, EXPLICIT_LE)) == 100_000
    assert time.perf_counter() - begin < 2
    with pytest.raises(Malformed, match="more than 1000 elements"):
        tags(data, max_elements=1000)


def test_a_wrong_length_is_named_with_its_place_and_attribute() -> None:
    good = made.explicit(0x00080060, "CS", b"CT")
    with pytest.raises(Truncated, match=r"at byte 18: \(0008,1030\) Study Description says 600 bytes, 4 are left"):
        tags(good + made.explicit(0x00081030, "LO", b"HEAD", 600))
    with pytest.raises(Malformed, match="at byte 10: there is no value representation"):
        tags(good[:-2] + b"CTCTCT" + good)


@pytest.mark.parametrize(
    "data",
    [
        made.SEQUENCE_END,
        made.ITEM_END,
        made.ITEM + bytes(4),
        made.explicit(0x0040A730, "SQ", made.explicit(0x00080060, "CS", b"CT")),
        made.explicit(0x0040A730, "SQ", made.ITEM_END, UNDEFINED),
        made.explicit(0x00100020, "UT", b"", UNDEFINED),
        made.explicit(0x7FE00010, "OB", b"no fragments", UNDEFINED),
        made.explicit(0x7FE00010, "OB", made.ITEM + b"\0\0\0\x7f", UNDEFINED),
    ],
)
def test_structure_that_cannot_be_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        tags(data + made.explicit(0x00080060, "CS", b"CT"))


def test_an_element_may_not_reach_beyond_its_item() -> None:
    item = made.ITEM + struct.pack("<I", 10) + made.explicit(0x00080060, "CS", b"CT", 4)
    data = made.explicit(0x0040A730, "SQ", item) + made.explicit(0x00100020, "LO", b"A1")
    with pytest.raises(Truncated, match="says 4 bytes, 2 are left"):
        tags(data)


@given(cut=st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_cut_off_data_are_truncated_at_an_offset_within_them(cut: int) -> None:
    whole = made.nested(8) + made.explicit(0x00100020, "LO", b"A1")
    data = whole[:cut]
    if len(data) in _element_ends(whole):
        assert tags(data) == tags(whole)[: len(tags(data))]
        return
    with pytest.raises(Malformed) as caught:
        tags(data)
    assert 0 <= caught.value.offset <= len(data)


def _element_ends(data: bytes) -> set[int]:
    """Where a cut leaves whole elements at the top."""
    depth, ends = 0, {0}
    for tag, vr, _, value, end in walk(data, EXPLICIT_LE):
        depth += 1 if vr == "SQ" else -1 if tag == SEQUENCE_END else 0
        if depth == 0:
            ends.add(value if vr == "" else end)
    return ends


@pytest.mark.parametrize("encoding", [EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE])
@given(data=st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_malformed(encoding: Encoding, data: bytes) -> None:
    _read_or_malformed(data, encoding)


@given(ds=made.datasets, syntax=st.sampled_from(EXPLICIT_SYNTAXES), choices=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_data_sets_are_read_or_malformed(ds: Dataset, syntax: str, choices: st.DataObject) -> None:
    _read_or_malformed(made.mutated(choices, made.encoded(ds, syntax)), encoding_of(syntax))


def _read_or_malformed(data: bytes, encoding: Encoding) -> None:
    places: list[Place] = []
    try:
        for place in walk(data, encoding, max_elements=100_000):
            places.append(place)
            assert place[4] == UNDEFINED or place[4] <= len(data)
    except Malformed as error:
        places.append((0, "", error.offset, error.offset, error.offset))
    assert all(0 <= start <= value <= len(data) for _, _, start, value, _ in places)


@pytest.mark.parametrize("folder", real_folders()[::6], ids=lambda p: p.name)
def test_memoryview_and_bytes_give_the_same_places(folder: Path) -> None:
    path = next(p for p in sorted(folder.rglob("*")) if p.is_file())
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    encoding = encoding_of(ds.file_meta.TransferSyntaxUID)
    data = path.read_bytes()
    start = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
    assert list(walk(memoryview(data), encoding, start=start)) == list(walk(data, encoding, start=start))
