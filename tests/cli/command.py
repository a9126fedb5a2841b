"""Runs the command line: in this process where it only prints, as a program where it listens or sets up logging."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from node.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def dicom_node(*arguments: object) -> Ran:
    """What `dicom-node ARGUMENTS` exits with and prints."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["dicom-node", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        else:
            code = 0
    return Ran(code, out.getvalue(), err.getvalue())


def program(*arguments: object, **how: Any) -> subprocess.Popen[str]:
    """`dicom-node ARGUMENTS` as a process of its own; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "node", *map(str, arguments)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, **how,
    )  # fmt: skip


@contextlib.contextmanager
def serving(rules: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A node as a program, and the line that says it is ready."""
    process = program("serve", "--config", rules)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()
