"""What processes have promised is one sum, of all but oneself."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Refused
from node.receive.promised import PLACES, Promised
from node.receive.watermark import Watermark
from node.spool.files import Room

MIB = 1 << 20


@contextmanager
def shared(count: int) -> Iterator[list[Promised]]:
    first = Promised.made()
    yield [first, *(Promised.of(first.descriptor, place) for place in range(1, count))]


def test_the_descriptor_is_closed_with_the_one_who_made_it() -> None:
    first = Promised.made()
    descriptor, other = first.descriptor, Promised.of(first.descriptor, 1)
    first.tell(5)
    del first
    gc.collect()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)
    assert other.others() == 5


def test_each_sees_what_the_others_have_promised() -> None:
    with shared(3) as (node, one, two):
        one.tell(5)
        two.tell(7)
        assert (node.others(), one.others(), two.others()) == (12, 7, 5)
        node.forget(1)
        assert (node.others(), two.others()) == (7, 0)


@given(st.dictionaries(st.integers(0, PLACES - 1), st.integers(0, 1 << 50), max_size=6), st.integers(0, PLACES - 1))
def test_whatever_the_places_the_others_are_all_but_oneself(sizes: dict[int, int], own: int) -> None:
    first = Promised.made()
    for place, size in sizes.items():
        # Number 0 closes the descriptor with itself.
        (first if place == 0 else Promised.of(first.descriptor, place)).tell(size)
    one = first if own == 0 else Promised.of(first.descriptor, own)
    assert one.others() == sum(size for place, size in sizes.items() if place != own)


def test_room_that_another_process_has_promised_is_not_promised_again() -> None:
    with shared(2) as (node, one):
        room = Room(bytes=100 * MIB, inodes=-1)
        marks = [Watermark(lambda: room, lambda: 40 * MIB, promised=each) for each in (node, one)]
        first = marks[0].promise(50 * MIB)
        with pytest.raises(Refused):
            marks[1].promise(50 * MIB)
        first.over()
        marks[1].promise(50 * MIB).over()


def test_the_line_of_a_low_disk_goes_where_it_is_wanted() -> None:
    said: list[str] = []
    room = Room(bytes=MIB, inodes=-1)
    mark = Watermark(lambda: room, lambda: 40 * MIB, say=said.append)
    for _ in range(2):
        with pytest.raises(Refused):
            mark.promise(1)
    assert len(said) == 1
    assert "the disk is low" in said[0]
