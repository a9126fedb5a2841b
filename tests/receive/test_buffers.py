"""The next bytes never come where something is still read."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from node.receive.buffers import Buffers
from node.spool.digest import Beside, Hashing


def test_the_same_memory_is_used_again_and_again() -> None:
    buffers = Buffers(8)
    first = buffers.free(lambda buffer: False)
    assert len(first) == 8
    assert buffers.free(lambda buffer: False) is first


def test_while_it_is_read_the_next_bytes_come_into_another() -> None:
    buffers = Buffers(8)
    first = buffers.free(lambda buffer: False)
    second = buffers.free(lambda buffer: buffer.obj is first.obj)
    assert second.obj is not first.obj
    assert buffers.free(lambda buffer: buffer.obj is first.obj) is second
    assert buffers.free(lambda buffer: buffer.obj is second.obj) is first, "two are enough"


@given(
    pieces=st.lists(st.tuples(st.integers(1, 200_000), st.booleans()), min_size=1, max_size=12),
)
def test_what_is_hashed_is_what_came_whatever_comes_next(pieces: list[tuple[int, bool]]) -> None:
    """Some of what comes belongs to no instance, and is never given to the hash."""
    beside, expected = Beside(), hashlib.sha256()
    hashing, buffers = Hashing(beside), Buffers(200_000)
    for number, (length, hashed) in enumerate(pieces):
        buffer = buffers.free(hashing.reads)
        buffer[:length] = bytes([number + 1]) * length
        if hashed:
            hashing.add(buffer[:length])
            expected.update(bytes([number + 1]) * length)
    assert hashing.hexdigest() == expected.hexdigest()
    hashing.end()
    beside.close()
