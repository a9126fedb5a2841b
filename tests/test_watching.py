from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from node.watching import Watching


def test_a_change_is_told(tmp_path: Path) -> None:
    wake = threading.Event()
    watching = Watching(wake, [tmp_path], ["created"])
    watching.start()
    (tmp_path / "one").touch()
    assert wake.wait(10)
    watching.stop()


def test_what_was_not_asked_for_is_not_told(tmp_path: Path) -> None:
    wake, other = threading.Event(), threading.Event()
    (tmp_path / "one").touch()
    watching = Watching(wake, [tmp_path], ["created"])
    watching.start()
    beside = Watching(other, [tmp_path], ["deleted"])
    beside.start()
    (tmp_path / "one").unlink()
    assert other.wait(10)
    watching.stop()
    beside.stop()
    assert not wake.is_set()


def test_a_folder_that_cannot_be_watched_is_an_error_of_the_system(tmp_path: Path) -> None:
    watching = Watching(threading.Event(), [tmp_path / "none"], ["created"])
    with pytest.raises(OSError, match="No such file"):
        watching.start()
    watching.stop()


def test_a_change_in_the_moment_of_the_stop_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A node that stops writes into its folder to the last."""
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            (tmp_path / "one").write_text("changed")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(20):
                watching = Watching(threading.Event(), [tmp_path], ["created"])
                watching.start()
                watching.stop()
    finally:
        over.set()
        writer.join()
    assert caplog.messages == []
