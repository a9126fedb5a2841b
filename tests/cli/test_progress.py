from __future__ import annotations

import io
import sys

import pytest

from node.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_many_of_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with progress("to archive", 3) as one_more:
        for _ in range(3):
            one_more()
    assert "to archive" in screen.getvalue()
    assert "3/3" in screen.getvalue()


@pytest.mark.parametrize(("total", "quiet"), [(3, True), (0, False)])
def test_json_and_nothing_to_do_show_no_bar(monkeypatch: pytest.MonkeyPatch, total: int, quiet: bool) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress("to archive", total, quiet=quiet) as one_more:
        one_more()
    assert screen.getvalue() == ""


def test_a_pipe_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("to archive", 3) as one_more:
        one_more()
    assert capsys.readouterr().err == ""
