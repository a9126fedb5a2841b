"""Where the images are that tests use. The real ones are never part of the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_REAL = Path(
    os.environ.get("DICOM_NODE_REAL_IMAGES", Path(__file__).parents[1] / ".." / "shared" / "data" / "dicom")
).resolve()


def real(name: str) -> Path:
    """The folder `name` of the real images; the test is skipped where they are not."""
    path = _REAL / name
    if not path.is_dir():
        pytest.skip(f"real images are not here: {path}; set DICOM_NODE_REAL_IMAGES to their folder")
    return path


def several_real_folders() -> list[Any]:
    """`real_folders`, as parameters of a test that takes long: in the short run every third."""
    return [
        pytest.param(folder, id=folder.name, marks=[] if number % 3 == 0 else [pytest.mark.full])
        for number, folder in enumerate(real_folders())
    ]


def real_folders() -> list[Path]:
    """Every folder of real images, in order of name; empty where there are none."""
    if not _REAL.is_dir():
        return []
    return sorted(p for p in _REAL.iterdir() if p.is_dir() and p.name != "LICENSES")
