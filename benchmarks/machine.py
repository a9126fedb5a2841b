"""What a figure was measured on and of, and medians."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from node import __version__
from node.index.database import file_system


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, {platform.system()} {platform.release()}"


def median_seconds(work: Callable[[], object], times: int = 3) -> float:
    """Median wall time of `times` runs after one that is not counted."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def disk(folder: Path) -> str:
    """The file system of a folder. Ends the program where nothing is durable, which would flatter who syncs."""
    kind = file_system(folder.resolve(), Path("/proc/mounts").read_text(errors="replace"))
    if kind in ("tmpfs", "ramfs"):
        raise SystemExit(f"{folder} is in memory ({kind}): name a folder on a disk with --folder")
    return kind


def tree() -> str:
    """The commit that is measured, and whether node/ differs from it."""
    root = Path(__file__).parents[1]
    try:
        commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=root, text=True).strip()
        changed = subprocess.check_output(["git", "status", "--porcelain", "node"], cwd=root, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{commit}{' and changes' if changed else ''}"
