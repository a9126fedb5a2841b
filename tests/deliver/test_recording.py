"""Answers are written in groups while others come, and never more than the bound are without a record."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from node.deliver.recording import Recording, at_once, side_by_side


class Disk:
    """Writes when it is let; `began` is released for each write."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.began, self.free = threading.Semaphore(0), threading.Event()
        self.wanted, self.failure = True, False

    def write(self, answers: Sequence[int]) -> bool:
        self.began.release()
        assert self.free.wait(10)
        if self.failure:
            raise OSError("the disk is gone")
        self.groups.append(list(answers))
        return self.wanted

    @property
    def written(self) -> list[int]:
        return [answer for group in self.groups for answer in group]


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_a_few_are_recorded_one_by_one_and_of_many_some_may_be_under_way() -> None:
    assert [at_once(n) for n in (0, 1, 49, 50, 100, 399, 400, 100_000)] == [1, 1, 1, 2, 4, 15, 16, 16]


def test_a_large_delivery_goes_over_several_associations_within_the_bound() -> None:
    assert [side_by_side(n, 2) for n in (0, 1, 99, 100, 400)] == [1, 1, 1, 2, 2]
    assert [side_by_side(n, 8) for n in (100, 200, 400)] == [2, 4, 8]
    assert all(2 * side_by_side(n, 100) <= at_once(n) or side_by_side(n, 100) == 1 for n in range(500))
    assert side_by_side(400, 1) == 1


def test_what_other_threads_have_in_hand_counts(disk: Disk) -> None:
    """Of four without a record three wait here: the fourth is with the other thread."""
    with Recording(disk.write, 4, sending=2) as recording:
        recording.add(0)
        recording.add(1)
        blocked = threading.Thread(target=recording.add, args=(2,))
        blocked.start()
        blocked.join(0.2)
        assert blocked.is_alive()
        disk.free.set()
        blocked.join(10)
        assert not blocked.is_alive()
    assert disk.written == [0, 1, 2]


def test_with_a_bound_of_one_each_answer_is_written_before_the_next_is_sent(disk: Disk) -> None:
    disk.free.set()
    with Recording(disk.write, 1) as recording:
        for answer in range(5):
            recording.add(answer)
            assert disk.written == list(range(answer + 1))
    assert len(disk.groups) == 5


def test_others_are_sent_while_the_disk_works_up_to_the_bound(disk: Disk) -> None:
    with Recording(disk.write, 4) as recording:
        for answer in range(9):
            assert answer - len(disk.written) < 4, "with the one that is sent now"
            if answer == 3:
                assert disk.written == [], "three were answered, and the disk has taken none"
                disk.free.set()
            recording.add(answer)
    assert disk.written == list(range(9))
    assert len(disk.groups) < 9


def test_what_was_answered_before_the_peer_broke_off_is_recorded(disk: Disk) -> None:
    disk.free.set()

    def breaks_off() -> None:
        with Recording(disk.write, 16) as recording:
            recording.add(1)
            recording.add(2)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        breaks_off()
    assert disk.written == [1, 2]


def test_a_write_that_fails_ends_the_sending_with_its_error(disk: Disk) -> None:
    disk.failure = True
    disk.free.set()
    answered: list[int] = []

    def send() -> None:
        with Recording(disk.write, 1) as recording:
            for answer in range(3):
                answered.append(answer)
                recording.add(answer)

    with pytest.raises(OSError, match="gone"):
        send()
    assert answered == [0]


def test_a_last_write_that_fails_is_not_passed_over(disk: Disk) -> None:
    disk.failure = True
    disk.free.set()
    with pytest.raises(OSError, match="gone"), Recording(disk.write, 16) as recording:
        recording.add(1)


def test_once_no_more_are_wanted_a_later_write_does_not_change_that() -> None:
    said = iter([False, True])
    with Recording(lambda some: next(said), 1) as recording:
        recording.add(1)
        recording.add(2)
        assert not recording.wanted


def test_when_no_more_are_wanted_the_rest_of_what_came_is_recorded_all_the_same(disk: Disk) -> None:
    disk.wanted = False
    disk.free.set()
    with Recording(disk.write, 2) as recording:
        recording.add(1)
        recording.add(2)
        recording.add(3)
        assert not recording.wanted
    assert disk.written == [1, 2, 3]
