from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from node import __version__
from node.cli.app import app
from node.index import database
from tests.cli.command import dicom_node, program
from tests.cli.conftest import Left

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group
HEAVY = ("pydicom", "numpy", "sqlalchemy", "dbos", "pynetdicom", "imagecodecs")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    ran = dicom_node(command, "--help")
    assert ran.code == 0
    assert f"Example: dicom-node {command}" in " ".join(ran.out.split())


def test_the_commands_are_those_that_are_promised() -> None:
    promised = (
        "backup", "check", "codecs", "contours", "crosswalk", "deid", "demo", "drop", "echo", "explain", "ledger",
        "process", "reidentify", "release", "restore", "retry", "schema", "send", "serve", "show", "status", "verify",
    )  # fmt: skip
    assert tuple(COMMANDS) == promised


def test_help_answers_at_once_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from node.cli import main\n"
        "sys.argv = ['dicom-node', 'serve', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "heavy: []"


def test_the_version_is_printed() -> None:
    assert dicom_node("--version").out == f"dicom-node {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("no-such-command",), ("show",), ("ledger", "--no-such-option"), ("process", ".")]
)
def test_bad_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert dicom_node(*arguments).code == 2


READING = [
    ("status",), ("ledger",), ("explain", "1.2"), ("retry", "all"), ("backup", "copy"), ("verify",),
    ("crosswalk", "uses"), ("crosswalk", "rotate"), ("restore", "no-backup"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_command_before_the_first_start_says_so_and_makes_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What it made would belong to whoever asked, and a node of another user could not start on it."""
    (tmp_path / "rules.yaml").write_text("node: {ae_title: NODE}")
    ran = dicom_node(*arguments, "--config", tmp_path / "rules.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "no node has run" in ran.err or arguments[0] == "restore"
    assert [one.name for one in tmp_path.iterdir()] == ["rules.yaml"]


def test_a_damaged_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("node: {ae_title: NODE}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "node.db").write_text("this was written by something else " * 50)
    for command in ("status", "serve"):
        process = program(command, "--config", tmp_path / "rules.yaml")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, "")
        assert err.startswith(f"the database {tmp_path}/data/node.db cannot be opened: file is not a database (it is")


def test_a_database_that_another_holds_is_said_in_one_line_and_looking_waits_for_nobody(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 100)
    with contextlib.closing(sqlite3.connect(left.rules.parent / "data" / "node.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert dicom_node("ledger", "--config", left.rules).code == 0
        ran = dicom_node("release", left.capture, "--config", left.rules)
    assert (ran.code, ran.out, ran.err) == (1, "", "the database cannot be used: database is locked\n")


def test_of_a_copy_that_fails_the_place_where_there_is_no_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def copies(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/work/a.dcm", None, "/full/a.dcm")

    monkeypatch.setattr("node.cli.app.app", copies)
    assert dicom_node("process").err == "/full/a.dcm: No space left on device\n"


def test_a_file_where_the_data_folder_should_be_is_said_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("node: {ae_title: NODE}")
    (tmp_path / "data").write_text("no folder")
    ran = dicom_node("ledger", "--config", tmp_path / "rules.yaml")
    assert ran.code == 1
    assert str(tmp_path / "data") in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error_of_ours() -> None:
    shown = program("schema")
    assert shown.stdout is not None
    shown.stdout.close()
    assert shown.wait(60) == 1
    assert shown.stderr is not None
    assert shown.stderr.read() == ""
    shown.stderr.close()
