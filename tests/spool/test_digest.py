"""The hash that a thread takes beside the one that writes is that of the file, whoever takes it."""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from node.spool.digest import Beside, Written

_LARGE = bytes(range(256)) * 4096


class _Slow:
    """A digest that waits until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()
        self.digest = hashlib.sha256()
        self.by = ""

    def update(self, data: memoryview) -> None:
        self.by = threading.current_thread().name
        self.begun.set()
        assert self.may.wait(10)
        self.digest.update(data)


def test_what_is_large_is_hashed_beside_and_what_is_small_at_once() -> None:
    beside = Beside()
    digest = hashlib.sha256()
    beside.update(digest, memoryview(_LARGE))()
    beside.update(digest, memoryview(b"small"))
    assert digest.digest() == hashlib.sha256(_LARGE + b"small").digest()
    beside.close()


def test_the_caller_goes_on_meanwhile_and_waits_at_the_end() -> None:
    beside, slow = Beside(), _Slow()
    wait = beside.update(slow, memoryview(_LARGE))  # type: ignore[arg-type]  # a digest as far as it matters
    assert slow.begun.wait(10)
    assert slow.by == "hash"
    slow.may.set()
    wait()
    assert slow.digest.digest() == hashlib.sha256(_LARGE).digest()
    beside.close()


def test_who_finds_it_busy_does_not_wait_but_hashes_himself() -> None:
    beside, slow, other = Beside(), _Slow(), hashlib.sha256()
    wait = beside.update(slow, memoryview(_LARGE))  # type: ignore[arg-type]  # a digest as far as it matters
    assert slow.begun.wait(10)
    beside.update(other, memoryview(_LARGE))
    assert other.digest() == hashlib.sha256(_LARGE).digest()
    slow.may.set()
    wait()
    beside.close()


def test_after_its_end_everyone_hashes_himself() -> None:
    for used in (True, False):
        beside, digest = Beside(), hashlib.sha256()
        if used:
            beside.update(hashlib.sha256(), memoryview(_LARGE))()
        beside.close()
        beside.update(digest, memoryview(_LARGE))
        assert digest.digest() == hashlib.sha256(_LARGE).digest()
        assert beside._thread is None or not beside._thread.is_alive()


def test_a_mapping_is_not_kept_after_it_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(_LARGE)
    beside = Beside()
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(pages)
    beside.update(hashlib.sha256(), view)()
    view.release()
    pages.close()  # raises BufferError while anyone has a view of it
    beside.close()


@given(
    start=st.sampled_from([0, 1, 350, 4096, 5000]),
    pieces=st.lists(st.sampled_from([1, 999, 4096, 262_144, 1 << 20, (1 << 20) + 1, 3_000_000]), max_size=6),
)
def test_the_hash_of_a_file_is_that_of_all_its_bytes_from_the_start_on(start: int, pieces: list[int]) -> None:
    number = os.memfd_create("written")
    os.write(number, b"\xff" * start)
    beside, expected, end = Beside(), hashlib.sha256(), start
    written = Written(beside, number, start)
    for at, piece in enumerate(pieces):
        data = bytes([at]) * piece
        expected.update(data)
        end += os.write(number, data)
        written.reach(end)
    if end:
        written.end(mmap.mmap(number, 0, access=mmap.ACCESS_READ))
    assert written.hexdigest() == expected.hexdigest()
    beside.close()
    os.close(number)
