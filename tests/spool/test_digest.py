"""The hash that a thread takes beside the one that writes is that of the file, whoever takes it."""

from __future__ import annotations

import hashlib
import mmap
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.spool.digest import Beside, Hashing

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


def test_where_no_thread_can_be_started_everyone_hashes_himself_until_one_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    beside, digest = Beside(), hashlib.sha256()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        beside.update(digest, memoryview(_LARGE))
    assert digest.digest() == hashlib.sha256(_LARGE).digest()
    slow = _Slow()
    slow.may.set()
    beside.update(slow, memoryview(_LARGE))()  # type: ignore[arg-type]  # a digest as far as it matters
    assert slow.by == "hash"
    beside.close()


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


@given(pieces=st.lists(st.sampled_from([0, 1, 999, 65_535, 65_536, 262_144, (1 << 20) + 1]), max_size=6))
def test_the_hash_is_that_of_all_that_was_added(pieces: list[int]) -> None:
    beside, expected = Beside(), hashlib.sha256()
    hashing = Hashing(beside)
    for at, piece in enumerate(pieces):
        data = bytes([at]) * piece
        expected.update(data)
        hashing.add(data)
    assert hashing.hexdigest() == expected.hexdigest()
    hashing.end()
    beside.close()


def test_what_is_still_hashed_says_so_of_its_buffer_and_of_no_other() -> None:
    beside, slow = Beside(), _Slow()
    hashing = Hashing(beside)
    hashing._digest = slow  # type: ignore[assignment]  # a digest as far as it matters
    first, second = (memoryview(bytearray(_LARGE)) for _ in range(2))
    hashing.add(first[1000:])
    assert slow.begun.wait(10)
    assert hashing.reads(first)
    assert not hashing.reads(second)
    slow.may.set()
    hashing.add(second[:100])  # small: hashed at once, behind the other
    assert not hashing.reads(first)
    assert not hashing.reads(second)
    hashing.end()
    assert slow.digest.digest() == hashlib.sha256(_LARGE[1000:] + _LARGE[:100]).digest()
    beside.close()


def test_its_end_waits_for_what_is_still_hashed() -> None:
    beside, slow = Beside(), _Slow()
    hashing = Hashing(beside)
    hashing._digest = slow  # type: ignore[assignment]  # as above
    buffer = memoryview(bytearray(_LARGE))
    hashing.add(buffer)
    ended = threading.Thread(target=hashing.end)
    ended.start()
    assert slow.begun.wait(10)
    assert ended.is_alive()
    slow.may.set()
    ended.join(10)
    assert not hashing.reads(buffer)
    hashing.end()  # may be said twice
    beside.close()


def test_with_two_instances_at_once_each_hashes_its_own() -> None:
    """Threads that hand work to each other take longer than work, where all have some."""
    beside, slow = Beside(), _Slow()
    slow.may.set()
    one, other = Hashing(beside), Hashing(beside)
    one._digest = slow  # type: ignore[assignment]  # as above
    one.add(_LARGE)
    assert slow.by == threading.current_thread().name
    other.end()
    one.add(_LARGE)
    one.end()
    assert slow.by == "hash"
    beside.close()
