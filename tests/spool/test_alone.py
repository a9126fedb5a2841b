"""One node on a data folder: the lock is the operating system's, and marks of older programs count too."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from node.spool import Presence
from node.spool.alone import Alone
from tests.spool.test_presence import Other


def test_the_first_is_alone_and_the_second_is_when_the_first_has_ended(tmp_path: Path) -> None:
    run = tmp_path / "data" / "run"
    with closing(Alone(run)) as second:
        with closing(Alone(run)) as first:
            assert first.others() == ""
            assert first.others() == "", "asked again"
            assert second.others() == "one that is just starting"
            with closing(Presence(run, "host-1")), closing(Presence(run, "host-1-r1")):
                assert second.others() == "host-1", "its receivers are none"
        assert second.others() == ""


def test_a_node_without_the_lock_is_in_the_way_until_it_dies(tmp_path: Path) -> None:
    """One of a program that took none."""
    with closing(Alone(tmp_path)) as one:
        other = Other(tmp_path, "old")
        assert one.others() == "old"
        other.kill()
        assert one.others() == ""


def test_of_several_that_start_at_once_one_is_alone(tmp_path: Path) -> None:
    many = [Alone(tmp_path) for _ in range(5)]
    assert sorted(one.others() for one in many) == ["", *["one that is just starting"] * 4]
    for one in many:
        one.close()
