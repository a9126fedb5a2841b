"""The least that a receiver can do: it bounds the others, so it must keep what it acknowledges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import least
from tests.make import ct_series
from tests.peers import Instance, send


def test_it_keeps_the_bytes_that_it_acknowledges_but_for_the_hash_in_front(tmp_path: Path) -> None:
    series = ct_series(slices=3)
    program = [sys.executable, str(Path(least.__file__)), str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().split()[-1])
            assert send(port, series) == [0x0000] * 3
        finally:
            process.terminate()
    kept = {path.read_bytes()[32:] for path in tmp_path.iterdir()}
    assert kept == {Instance.of(ds).data[32:] for ds in series}
