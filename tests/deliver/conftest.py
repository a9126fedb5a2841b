from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import free_port, wait_until_open


@pytest.fixture
def storescp(storescp_process: tuple[subprocess.Popen[bytes], int, Path]) -> tuple[int, Path]:
    """A DCMTK storage SCP: its port, and the folder it stores into."""
    return storescp_process[1:]


@pytest.fixture
def storescp_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("DCMTK's storescp is not installed (apt install dcmtk)")
    folder, port = tmp_path / "dcmtk", free_port()
    folder.mkdir()
    # Without it, DCMTK's answers wait 40 ms for Nagle's algorithm and our delayed acknowledgement.
    environment = {**os.environ, "TCP_NODELAY": "1"}
    command = [program, "--output-directory", str(folder), "--aetitle", "ARCHIVE", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_open(port)
            yield process, port, folder
        finally:
            process.kill()
