"""Names are made ahead, on the disk before they are used, and gone when nobody took them."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from node.spool import Files
from node.spool.slots import Slots
from tests.spool.disk import Disk


def test_every_slot_is_an_empty_file_of_its_own(tmp_path: Path) -> None:
    slots = Slots(tmp_path, Files())
    taken = [slots.take() for _ in range(100)]
    assert len({path for path, _ in taken}) == 100
    assert all(path.stat().st_size == 0 and os.fstat(number).st_ino == path.stat().st_ino for path, number in taken)
    for _, number in taken:
        os.close(number)
    slots.close()


def test_a_name_is_synced_before_it_is_given_away_and_many_share_a_sync(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    slots = Slots(tmp_path, disk)
    for taken in range(200):
        path, number = slots.take()
        kinds = [(call.kind, call.path) for call in disk.calls]
        assert ("sync_folder", tmp_path) in kinds[kinds.index(("create", path)) :], f"slot {taken}"
        disk.close(number)
    assert disk.counts["sync_folder"] <= 10
    slots.close()


def test_what_nobody_took_is_removed(tmp_path: Path) -> None:
    slots = Slots(tmp_path, Files())
    kept = [slots.take() for _ in range(5)]
    slots.close()
    assert sorted(tmp_path.iterdir()) == [path for path, _ in kept]
    for _, number in kept:
        os.close(number)


def lowest_free() -> int:
    """The number that the next file gets: the same as before where nothing was left open."""
    number = os.open("/dev/null", os.O_RDONLY)
    os.close(number)
    return number


@pytest.mark.parametrize("kind", ["create", "sync_folder"])
def test_a_disk_that_takes_no_names_says_so_and_is_asked_again(kind: str, tmp_path: Path) -> None:
    disk = Disk(tmp_path, {kind: {0: errno.ENOSPC}})
    slots = Slots(tmp_path, disk)
    free = lowest_free()
    for _ in range(3):
        with pytest.raises(OSError, match="space"):
            slots.take()
    assert list(tmp_path.iterdir()) == []
    assert lowest_free() == free
    disk.faults = {}
    path, number = slots.take()
    assert path.is_file()
    disk.close(number)
    slots.close()


def test_names_made_before_the_disk_was_full_are_used(tmp_path: Path) -> None:
    disk = Disk(tmp_path, {"create": {5: errno.ENOSPC}})
    slots = Slots(tmp_path, disk)
    for _ in range(6):
        disk.close(slots.take()[1])
    slots.close()


def test_many_threads_take_no_slot_twice(tmp_path: Path) -> None:
    slots = Slots(tmp_path, Files())
    taken: list[tuple[Path, int]] = []

    def take() -> None:
        for _ in range(50):
            taken.append(slots.take())

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path for path, _ in taken}) == 200
    for _, number in taken:
        os.close(number)
    slots.close()


def test_in_full_swing_the_next_names_are_made_before_the_last_one_is_gone(tmp_path: Path) -> None:
    made = threading.Event()

    class Watching(Files):
        def sync_folder(self, folder: Path) -> None:
            super().sync_folder(folder)
            if threading.current_thread().name == "slots":
                made.set()

    slots = Slots(tmp_path, Watching())
    taken = 0
    while slots._ahead is None:
        os.close(slots.take()[1])
        taken += 1
    assert made.wait(10)
    assert slots._ready
    assert taken > 30, "one that receives little makes none ahead"
    slots.close()


def test_a_disk_that_takes_no_names_ahead_is_asked_when_one_is_needed(tmp_path: Path) -> None:
    class Full(Files):
        full = False

        def create(self, path: Path) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "no space")
            return super().create(path)

    files = Full()
    slots = Slots(tmp_path, files)
    for _ in range(100):
        os.close(slots.take()[1])
    files.full = True
    with pytest.raises(OSError, match="space"):  # noqa: PT012  # which one raises depends on what was made ahead
        for _ in range(200):
            os.close(slots.take()[1])
    files.full = False
    os.close(slots.take()[1])
    slots.close()


def test_names_that_are_made_while_it_is_closed_are_removed_too(tmp_path: Path) -> None:
    begun, may = threading.Event(), threading.Event()

    class Slow(Files):
        def sync_folder(self, folder: Path) -> None:
            if threading.current_thread().name == "slots":
                begun.set()
                assert may.wait(10)
            super().sync_folder(folder)

    slots = Slots(tmp_path, Slow())
    taken = []
    while slots._ahead is None:
        path, number = slots.take()
        os.close(number)
        taken.append(path)
    assert begun.wait(10)
    closing = threading.Thread(target=slots.close)
    closing.start()
    may.set()
    closing.join(10)
    assert sorted(tmp_path.iterdir()) == sorted(taken)


def test_without_a_thread_to_spare_who_needs_a_name_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    slots = Slots(tmp_path, Files())
    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", no_more)
        taken = [slots.take() for _ in range(300)]
    taken += [slots.take() for _ in range(100)]
    assert len({path for path, _ in taken}) == 400
    slots.close()
    assert sorted(tmp_path.iterdir()) == sorted(path for path, _ in taken)
    for _, number in taken:
        os.close(number)
