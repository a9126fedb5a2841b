from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from node.cli.table import show

ROWS = "[('held', 2, 'route a[b]', 'because'), ('waiting', 0, '', '')]"


def test_what_is_no_terminal_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show([("held", 2, "route a", "because"), ("waiting", 10, "", "")])
    assert capsys.readouterr().out == "held                2  route a: because\nwaiting            10\n"


def test_a_terminal_gets_a_table_in_which_nothing_is_read_as_markup() -> None:
    ours, theirs = pty.openpty()
    code = f"from node.cli.table import show; show({ROWS})"
    subprocess.run(
        [sys.executable, "-c", code], stdout=theirs, check=True, env={**os.environ, "TERM": "xterm-256color"}
    )
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "\x1b[" in shown
    assert "route a[b]" in shown
    assert len(shown.splitlines()) == 2
