"""Real images through `transcode`: every sample comes back, and an independent validator has no new complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import JPEG2000, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from node.imaging.same import same_pixels
from node.imaging.targets import TARGETS
from node.steps.transcode import Transcode
from tests.conftest import FULL
from tests.data import real, real_folders
from tests.steps.run_step import batch_of, run_step

COMPRESSED = [name for name, target in TARGETS.items() if target.encapsulated and not target.lossy]

SLOW = ("jpeg-2000", "htj2k-rpcl", "jpeg-lossless")
"""For `.ci/full`: each has a sibling among the others that takes the same way through the node."""


def check_round_trip(name: str, paths: list[Path], tmp_path: Path) -> None:
    """To the syntax and back to uncompressed: the samples of both are those of the file."""
    batch = batch_of(paths)
    result = run_step(Transcode(to=name, rest="explicit"), batch, tmp_path / "there")  # type: ignore[arg-type]  # text
    back = run_step(Transcode(to="explicit"), result, tmp_path / "back")
    sources = {item.sources: item.path for item in batch.items}
    assert not back.held
    assert len(back.items) == len(result.items) == len(paths)
    for item in (*result.items, *back.items):
        assert same_pixels(sources[item.sources], item.path), sources[item.sources]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] if name in SLOW else []) for name in COMPRESSED]
)
def test_a_real_image_of_every_kind_comes_through_sample_by_sample(name: str, tmp_path: Path) -> None:
    paths = [min(folder.iterdir()) for folder in real_folders()] + sorted(real("ct_16ts").iterdir())[1:]
    check_round_trip(name, [path for path in paths if path.stat().st_size < 200_000], tmp_path)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("folder", [folder.name for folder in real_folders()[:: 1 if FULL else 4]])
def test_every_real_image_comes_through_sample_by_sample(folder: str, name: str, tmp_path: Path) -> None:
    check_round_trip(name, sorted(path for path in real(folder).iterdir() if path.is_file()), tmp_path)


def complaints(path: Path) -> set[str]:
    """What dciodvfy says of a file, without the values and places.

    It knows no HTJ2K and does not inflate, so it is given those with the syntax of JPEG 2000, and uncompressed.
    """
    ds = pydicom.dcmread(path)
    if str(ds.file_meta.TransferSyntaxUID).rpartition(".")[2] in ("201", "202", "203"):
        ds.file_meta.TransferSyntaxUID = JPEG2000
    elif ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    else:
        ds = None
    if ds is not None:
        path = path.with_suffix(".known.dcm")
        ds.save_as(path)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60).stderr
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    return {re.sub(r"[\d.]+|<.*?>|=.*", "#", line) for line in errors}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "folder",
    [
        "rgb_series",
        "siem_enh",
        *(pytest.param(name, marks=pytest.mark.full) for name in ("ct_straight_28", "ph_enh_fmri")),
    ],
)
def test_an_independent_validator_has_no_new_complaint(name: str, folder: str, tmp_path: Path) -> None:
    path = min(real(folder).iterdir())
    options: dict[str, Any] = {"ratio": 3.0} if TARGETS[name].lossy else {}
    result = run_step(Transcode(to=name, **options), batch_of([path]), tmp_path)  # type: ignore[arg-type]  # text
    if result.held:
        assert "cannot be" in result.held[0].reason
        return
    assert complaints(result.items[0].path) - complaints(path) == set()
