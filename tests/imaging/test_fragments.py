"""Frames are found in their fragments with a table, without one, and with one that lies."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended

from node.errors import CannotSucceed
from node.imaging.fragments import Fragments

SOI = b"\xff\xd8\xff\xe0"


class Counting(BytesIO):
    """How many bytes were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def item(data: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(data)) + data


END = b"\xfe\xff\xdd\xe0" + bytes(4)


def element(fragments: Sequence[bytes], table: Sequence[int] = ()) -> bytes:
    return item(struct.pack(f"<{len(table)}I", *table)) + b"".join(map(item, fragments)) + END


def read(data: bytes, frames: int, extended: bytes = b"") -> list[bytes]:
    found = Fragments(BytesIO(data), 0, frames, extended)
    return [found[n] for n in range(len(found))]


@given(
    frames=st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=1, max_size=6),
    table=st.booleans(),
)
def test_frames_of_many_fragments_come_back_with_a_table_or_by_how_they_begin(
    frames: list[list[bytes]], table: bool
) -> None:
    frames = [[SOI + parts[0], *(b"\0" + part for part in parts[1:])] for parts in frames]
    offsets, at = [], 0
    for parts in frames:
        offsets.append(at)
        at += sum(8 + len(part) for part in parts)
    data = element([part for parts in frames for part in parts], offsets if table else ())
    assert read(data, len(frames)) == [b"".join(parts) for parts in frames]


@pytest.mark.parametrize("where", [-1, 0, 1, 7])
def test_a_frame_needs_no_more_than_itself_to_be_read(where: int) -> None:
    coded = [SOI + bytes(10_000) for _ in range(50)]
    with_extended, offsets, _ = encapsulate_extended(coded)
    for data, extended in (
        (encapsulate(coded), b""),
        (with_extended, offsets),
        (encapsulate(coded, has_bot=False), b""),
    ):
        file = Counting(data)
        assert Fragments(file, 0, 50, extended)[where % 50] == coded[0]
        assert file.count < 12_000


def test_one_frame_may_have_any_number_of_fragments() -> None:
    assert read(element([b"ab", b"cd", b"ef"]), 1) == [b"abcdef"]


def test_as_many_fragments_as_frames_need_no_table() -> None:
    assert read(element([b"ab", b"cd"]), 2) == [b"ab", b"cd"]


@pytest.mark.parametrize("table", [(0, 11), (0, 5000), (7, 20), (0, 0), (20, 0), (0,), (0, 1, 2)])
def test_a_table_that_leads_nowhere_is_not_believed(table: tuple[int, ...]) -> None:
    assert read(element([SOI + b"ab", b"cd", SOI + b"ef"], table), 2) == [SOI + b"abcd", SOI + b"ef"]


def test_an_extended_table_that_leads_nowhere_is_not_believed() -> None:
    assert read(element([b"abcd", b"efgh"]), 2, struct.pack("<2Q", 0, 1 << 40)) == [b"abcd", b"efgh"]


def test_a_missing_delimiter_at_the_end_of_the_file_is_forgiven() -> None:
    assert read(element([b"ab", b"cd"])[: -len(END)], 2) == [b"ab", b"cd"]


@pytest.mark.parametrize(
    ("data", "frames", "message"),
    [
        (b"", 1, "cut short"),
        (b"\xfe\xff\x00\xe0\xff\xff\xff\xff", 1, "no offset table item"),
        (element([b"abcd"])[:-10], 1, "number 1 is longer than the file"),
        (element([b"ab"]) [: -len(END)] + b"rubbish!", 1, "no item after 1"),
        (element([]), 1, "0 fragments"),
        (element([b"ab", b"cd"]), 3, "2 fragments with 0 beginnings of frames, 3 frames"),
        (element([SOI, b"cd", b"ef"]), 2, "3 fragments with 1 beginnings"),
        (element([b"xx", SOI, SOI]), 2, "3 fragments with 2 beginnings"),
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused(data: bytes, frames: int, message: str) -> None:
    with pytest.raises(CannotSucceed, match=message):
        read(data, frames)


@given(st.binary(max_size=80), st.integers(1, 4), st.binary(max_size=16))
def test_rubbish_is_read_or_refused(data: bytes, frames: int, extended: bytes) -> None:
    for start in (b"", item(b""), item(bytes(4))):
        with contextlib.suppress(CannotSucceed):
            read(start + data, frames, extended)
