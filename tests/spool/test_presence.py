"""Marks of processes: real processes, because the operating system is what frees their locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.spool import Presence, Seen

LIVE = """
import sys
from pathlib import Path
from node.spool import Presence
presence = Presence(Path(sys.argv[1]), sys.argv[2])
presence.acknowledge()
presence.acknowledge()
presence.index(1)
presence.receive(["NODE/1.2.3"])
print("here", flush=True)
sys.stdin.read()
presence.index(1)
presence.close()
"""


class Other:
    """A process with a mark of its own, until `leave` or `kill`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LIVE, str(folder), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"here\n"

    def leave(self) -> None:
        self.process.communicate(timeout=10)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


@pytest.fixture
def clean() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def own(folder: Path, clean: ExitStack, name: str = "own") -> Presence:
    presence = Presence(folder, name)
    clean.callback(presence.close)
    return presence


def test_each_process_sees_what_the_others_acknowledged_indexed_and_receive(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    other = Other(tmp_path, "other")
    clean.callback(other.leave)
    assert presence.live() == (
        Seen(process="other", acknowledged=2, indexed=1, receiving=frozenset({"NODE/1.2.3"})),
        Seen(process="own", acknowledged=0, indexed=0, receiving=frozenset()),
    )
    assert presence.dead() == ()


def test_a_killed_process_is_dead_at_once_and_its_mark_stays_until_it_is_buried(
    tmp_path: Path, clean: ExitStack
) -> None:
    presence = own(tmp_path, clean)
    Other(tmp_path, "other").kill()
    assert presence.dead() == ("other",)
    assert [mark.process for mark in presence.live()] == ["own"]
    presence.bury("other")
    presence.bury("other")
    assert presence.dead() == ()


def test_a_process_that_ends_with_everything_indexed_leaves_no_mark(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    Other(tmp_path, "other").leave()
    assert presence.dead() == ()
    assert [path.name for path in tmp_path.iterdir()] == ["own.mark"]


def test_a_process_that_ends_with_something_unindexed_leaves_its_mark_for_the_sweep(
    tmp_path: Path, clean: ExitStack
) -> None:
    ended = Presence(tmp_path, "ended")
    ended.acknowledge()
    ended.close()
    assert own(tmp_path, clean).dead() == ("ended",)


def test_what_was_withdrawn_is_not_waited_for(tmp_path: Path) -> None:
    presence = Presence(tmp_path, "own")
    presence.acknowledge()
    presence.withdraw()
    assert presence.live()[0].acknowledged == 0
    presence.close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_counted_says_so_and_is_not_counted(
    tmp_path: Path, clean: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = own(tmp_path, clean)

    def full(*of: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="space"):
            presence.acknowledge()
    presence.acknowledge()
    assert presence.live()[0].acknowledged == 1


def test_looking_at_the_marks_leaves_nothing_open(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    Other(tmp_path, "other").kill()
    (tmp_path / "no.mark").touch()
    before = os.open(tmp_path / "no.mark", os.O_RDONLY)
    os.close(before)
    for _ in range(3):
        presence.live()
        presence.dead()
    after = os.open(tmp_path / "no.mark", os.O_RDONLY)
    os.close(after)
    assert after == before, "the lowest number that is free"


def test_one_that_ends_in_good_order_while_it_is_looked_at_is_not_dead(
    tmp_path: Path, clean: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, other = own(tmp_path, clean), own(tmp_path, clean, "other")
    flock = fcntl.flock

    def ended_just_now(descriptor: int, operation: int) -> None:
        other.close()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", ended_just_now)
    assert presence.dead() == ()


def test_one_that_ended_before_its_mark_was_visible_is_buried_too(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    (tmp_path / "other.new").touch()
    presence.bury("other")
    assert [path.name for path in tmp_path.iterdir()] == ["own.mark"]


def test_counts_that_come_after_the_end_reach_no_other_file(tmp_path: Path) -> None:
    """A writer of rows that outlives the mark must not write into whatever has its number now."""
    presence = Presence(tmp_path / "run", "own")
    number = presence._file
    presence.close()
    innocent = os.open(tmp_path / "innocent", os.O_RDWR | os.O_CREAT)
    os.dup2(innocent, number) if innocent != number else None
    presence.index(1)
    presence.acknowledge()
    presence.receive(["NODE/1.2.3"])
    presence.close()
    assert (tmp_path / "innocent").read_bytes() == b""
    os.close(innocent)
    if innocent != number:
        os.close(number)


def test_a_looker_is_not_taken_for_the_owner_while_it_looks(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    Other(tmp_path, "other").kill()
    with (tmp_path / "other.mark").open("r+b") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert presence.dead() == ("other",)


def test_a_mark_is_never_visible_before_it_is_locked(tmp_path: Path, clean: ExitStack) -> None:
    """Else one that is just being made is buried, and its process is invisible for as long as it lives."""
    presence = own(tmp_path, clean)
    over = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not over.is_set():
            seen.update(presence.dead())

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(200):
        Presence(tmp_path, f"short{number}").close()
    over.set()
    thread.join()
    assert seen == set()


def test_a_long_list_that_is_rewritten_all_the_time_is_never_seen_half(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    lists = [[f"NODE/1.2.{digit}.{n}" for n in range(2000)] for digit in (1, 2)]
    whole = {frozenset(), *(frozenset(one) for one in lists)}
    over = threading.Event()
    seen: set[frozenset[str]] = set()

    def rewrite() -> None:
        while not over.is_set():
            for one in (*lists, []):
                presence.receive(one)

    thread = threading.Thread(target=rewrite)
    thread.start()
    for _ in range(100):
        seen.update(mark.receiving for mark in presence.live())
    over.set()
    thread.join()
    assert seen <= whole


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 10, struct.pack("<QQII", 5, 5, 2, 0) + b"[]", struct.pack("<QQII", 5, 5, 100, 1) + b'["NODE/1.'],
)
def test_a_mark_that_cannot_be_read_says_that_something_is_not_indexed(
    tmp_path: Path, clean: ExitStack, content: bytes
) -> None:
    presence = own(tmp_path, clean)
    presence.acknowledge()
    presence.index(1)
    (tmp_path / "own.mark").write_bytes(content)
    (mark,) = presence.live()
    assert mark.indexed < mark.acknowledged


def test_the_mark_is_what_its_description_says(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)
    presence.acknowledge()
    presence.receive(["NODE/1.2", "NODE/1.1"])
    content = (tmp_path / "own.mark").read_bytes()
    acknowledged, indexed, length, _ = struct.unpack_from("<QQII", content)
    assert (acknowledged, indexed) == (1, 0)
    assert json.loads(content[24 : 24 + length]) == ["NODE/1.1", "NODE/1.2"]


def test_many_threads_count_every_instance(tmp_path: Path, clean: ExitStack) -> None:
    presence = own(tmp_path, clean)

    def count() -> None:
        for _ in range(200):
            presence.acknowledge()
            presence.index(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (mark,) = presence.live()
    assert (mark.acknowledged, mark.indexed) == (800, 800)
