"""`dicom-node serve` as an operator starts it: a real command, its ready line, its exit code."""

from __future__ import annotations

import re
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.flow.nodes import PATIENCE


@dataclass(frozen=True, slots=True)
class Serving:
    process: subprocess.Popen[str]
    port: int

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)


@contextmanager
def serving(rules: Path, *, under: Sequence[str] = ()) -> Iterator[Serving]:
    """Start it, below another command such as strace if so wanted, and wait for its ready line."""
    log = rules.with_suffix(".log")
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*under, sys.executable, "-m", "node", "serve", "--config", str(rules)],
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), "no ready line"
        line = process.stdout.readline()
        found = re.search(r"^dicom-node ready: .* on 127\.0\.0\.1:(\d+),", line)
        assert found, f"no ready line but {line!r}:\n{log.read_text()}"
        yield Serving(process, int(found[1]))
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()
