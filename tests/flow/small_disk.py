"""A small real file system, to be filled to the brim or mounted read-only. Only root may mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def fill(path: Path) -> None:
    """Until nothing fits any more."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def mounted(folder: Path, size: str) -> bool:
    """Whether a tmpfs could be mounted there; not in every container, even as root."""
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """One for the time of the block; the test is skipped where that cannot be."""
    if not mounted(folder, size):
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        unmount(folder)
