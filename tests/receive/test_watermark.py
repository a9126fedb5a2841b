from __future__ import annotations

import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.status import OUT_OF_RESOURCES
from node.errors import Refused
from node.receive.promised import Promised
from node.receive.watermark import MINIMUM_INODES, Promise, Watermark
from node.spool.files import Room

MIB = 1 << 20


class Disk:
    """So much room as the test says, less what was written."""

    def __init__(self, free: int, inodes: int = -1) -> None:
        self.free, self.inodes = free, inodes
        self.fails = False

    def look(self) -> Room:
        if self.fails:
            raise OSError(5, "Input/output error")
        return Room(self.free, self.inodes)


def watermark(disk: Disk, keep_free: int = 100 * MIB) -> Watermark:
    return Watermark(disk.look, lambda: keep_free)


def refused(mark: Watermark, size: int) -> Refused:
    with pytest.raises(Refused) as caught:
        mark.promise(size)
    assert caught.value.status == OUT_OF_RESOURCES
    return caught.value


def test_what_is_promised_to_others_counts_as_used() -> None:
    mark = watermark(Disk(110 * MIB))
    with mark.promise(6 * MIB):
        with mark.promise(4 * MIB):
            refused(mark, 1)
        with mark.promise(4 * MIB):
            pass
    with mark.promise(10 * MIB):
        pass


def test_what_of_it_is_written_counts_once() -> None:
    disk = Disk(110 * MIB)
    mark = watermark(disk)
    with mark.promise(6 * MIB) as first:
        disk.free, first.written = disk.free - 6 * MIB, 6 * MIB
        with mark.promise(4 * MIB):
            pass


def test_what_one_process_promised_counts_for_the_others_until_it_is_given_back() -> None:
    disk, shared = Disk(110 * MIB), Promised.made()
    one = Watermark(disk.look, lambda: 100 * MIB, promised=shared)
    other = Watermark(disk.look, lambda: 100 * MIB, promised=Promised.of(shared.descriptor, 1))
    with one.promise(6 * MIB):
        refused(other, 5 * MIB)
        with other.promise(4 * MIB):
            refused(one, 1)
    with other.promise(10 * MIB):
        pass


@pytest.mark.parametrize(
    ("free", "promised"),
    [(100 * MIB, None), (100 * MIB + 99, None), (100 * MIB + 100, 100), (200 * MIB, 100 + 16 * MIB)],
)
def test_what_has_a_part_of_its_size_so_far_is_promised_more_only_where_there_is_more(
    free: int, promised: int | None
) -> None:
    mark = watermark(Disk(free))
    if promised is None:
        with pytest.raises(Refused):
            mark.promise(100, more=True)
    else:
        assert mark.promise(100, more=True).size == promised


def test_an_instance_of_unknown_size_is_promised_more_as_it_grows_and_refused_when_nothing_is_left() -> None:
    mark = watermark(Disk(150 * MIB))
    with mark.promise() as growing:
        for size in range(MIB, 50 * MIB + 1, MIB):
            growing.reach(size)
            assert growing.size >= size
        with pytest.raises(Refused):
            growing.reach(50 * MIB + 1)


def test_many_senders_at_once_leave_what_is_to_stay_free() -> None:
    disk = Disk(200 * MIB)
    mark = watermark(disk)
    lock, start = threading.Lock(), threading.Barrier(64)
    taken = []

    def send() -> None:
        start.wait()
        try:
            with mark.promise(3 * MIB) as promise:
                with lock:
                    disk.free, promise.written = disk.free - 3 * MIB, 3 * MIB
                taken.append(1)
        except Refused:
            pass

    threads = [threading.Thread(target=send) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert disk.free >= 100 * MIB
    assert taken


def test_inodes_are_promised_too() -> None:
    mark = watermark(Disk(1 << 40, MINIMUM_INODES + 1))
    with mark.promise(1), mark.promise(1):
        assert "files can still be made" in str(refused(mark, 1))


def test_a_low_disk_is_one_line_when_it_begins_and_one_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(99 * MIB)
    mark = watermark(disk)
    with caplog.at_level(logging.INFO):
        assert [refused(mark, 1).said for _ in range(50)] == [True] * 50
        assert "keep_free" in mark.low
        disk.free = 103 * MIB
        for _ in range(50):
            with mark.promise(1):
                pass
        assert mark.low, "a file that leaves does not end it"
        disk.free = 106 * MIB
        mark.refresh()
        mark.refresh()
    assert mark.low == ""
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "the disk is low", "the disk has room again",
    ]  # fmt: skip


def test_an_instance_that_is_too_large_for_what_is_left_does_not_make_the_disk_low() -> None:
    mark = watermark(Disk(200 * MIB))
    error = refused(mark, 150 * MIB)
    assert not error.said
    assert mark.low == ""


def test_a_disk_that_cannot_be_looked_at_is_low_and_comes_back() -> None:
    disk = Disk(1 << 40)
    mark = watermark(disk)
    disk.fails = True
    assert "Input/output error" in str(refused(mark, 1))
    disk.fails = False
    with mark.promise(1):
        pass
    assert mark.low == ""


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 40)), max_size=60))
def test_whatever_comes_and_goes_the_disk_never_falls_below(steps: list[tuple[int, int]]) -> None:
    """Each sender begins, grows, writes what it was promised, and ends, in any order."""
    disk = Disk(150)
    mark = watermark(disk, keep_free=100)
    flying: dict[int, Promise] = {}
    for who, size in steps:
        try:
            if who not in flying:
                flying[who] = mark.promise(size)
            elif size % 3:
                promise = flying[who]
                promise.reach(promise.written + size)
                disk.free -= size
                promise.written += size
            else:
                flying.pop(who).__exit__(None, None, None)
        except Refused:
            if who in flying:
                gone = flying.pop(who)
                disk.free += gone.written
                gone.__exit__(None, None, None)
        assert disk.free >= 100
