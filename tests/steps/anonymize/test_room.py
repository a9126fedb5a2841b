"""A room gives each file as it is, whatever was in it before and however much is read at once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import PAGESIZE
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.anonymize.room import ROOM, Room


@contextmanager
def _file(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


@given(files=st.lists(st.tuples(st.binary(min_size=1, max_size=20_000), st.integers(0, 9000)), max_size=8))
def test_each_file_is_given_as_it_is_to_its_last_byte(files: list[tuple[bytes, int]]) -> None:
    room = Room()
    for content, position in files:
        with _file(content) as file:
            data, lead = room.take(file, len(content))
        assert data[lead:] == content
        assert len(data) == lead + len(content)
        room.stood(lead, position)


@given(begin=st.integers(0, 8999), position=st.integers(0, 1 << 20))
def test_a_stretch_is_read_to_the_place_in_a_page_that_it_was_written_to(begin: int, position: int) -> None:
    room = Room()
    with _file(bytes(9000)) as file:
        for _ in range(3):
            _, lead = room.take(file, 9000)
            room.stood(lead + begin, position)
    assert (lead + begin - position) % PAGESIZE == 0


def test_a_read_that_gives_less_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, at: preadv(file, [views[0][:7]], at))
    with _file(bytes(range(100))) as file:
        data, lead = Room().take(file, 100)
    assert data[lead:] == bytes(range(100))


def test_a_file_that_ends_before_its_size_is_an_error_of_the_disk() -> None:
    room = Room()
    with _file(b"short") as file, pytest.raises(OSError, match="ended while"):
        room.take(file, 6)
    assert not room.taken


def test_views_that_somebody_still_has_keep_what_they_show() -> None:
    """An exception's traceback does."""
    room = Room()
    with _file(b"one" * 5000) as file, _file(b"other") as other:
        data, lead = room.take(file, 15_000)
        with memoryview(data) as view:
            again, begin = room.take(other, 5)
            assert view[lead:] == b"one" * 5000
        assert again[begin:] == b"other"


def test_each_thread_has_its_own() -> None:
    found = list[bool]()
    with _file(b"content") as file:
        ROOM.take(file, 7)
        thread = Thread(target=lambda: found.append(ROOM.taken))
        thread.start()
        thread.join()
        ROOM.taken = False
    assert found == [False]
