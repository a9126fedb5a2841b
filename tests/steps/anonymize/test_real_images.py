"""Images of real devices: who the patient was is in no byte, the pixels are as they came, and no error is new."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from tests.data import real, real_folders
from tests.steps.anonymize.driver import run

# These are errors of the images, which the step neither makes nor needs to decode; pydicom says so when we compare.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

_HELD = {"pmap_float": "OT", "rgb_series": "secondary capture"}


def _images() -> list[Path]:
    """Two of each folder, and every transfer syntax."""
    found = []
    for folder in real_folders():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found += files if folder.name == "ct_16ts" else files[:2]
    return found


def _identity(ds: FileDataset) -> list[bytes]:
    keywords = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
    )
    values = [str(ds.get(keyword, "")) for keyword in (*keywords, "FrameOfReferenceUID", "AccessionNumber")]
    # Shorter ones occur by chance in any image.
    return [value.encode() for value in values if len(value) > 4]


@pytest.mark.parametrize("path", _images(), ids=lambda path: f"{path.parent.name}/{path.name}"[:60])
def test_a_real_image_names_nobody_and_keeps_its_pixels(path: Path, tmp_path: Path) -> None:
    batch = run(path, tmp_path)
    before = dcmread(path)
    if batch.held:
        assert path.parent.name in _HELD or before.Modality in ("US", "SR")
        return
    after = dcmread(batch.items[0].path)
    header = batch.items[0].path.read_bytes()
    if "PixelData" in before:
        odd = len(before.PixelData) % 2  # one image has an odd length, which PS3.5 7.1.1 forbids
        assert after.PixelData == before.PixelData + b"\0" * odd
        header = header.replace(before.PixelData, b"")
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert [value for value in _identity(before) if value in header] == []


def _errors(path: Path) -> set[str]:
    """The kinds of errors that dciodvfy finds, without the values."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (line for line in done.stderr.splitlines() if line.startswith("Error"))
    return {re.sub(r"<[^>]*>|\[\d+\]|= \d+", "", line) for line in lines}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize(
    "folder", ["ct_straight_28", "dx_mono1", "enh_fmap", "ph_enh_dti", "rt_rtss", "segs", "mosaic_ap", "cr_mono1_j2k"]
)
def test_the_object_is_as_valid_as_before(folder: str, tmp_path: Path) -> None:
    path = sorted(path for path in real(folder).rglob("*") if path.is_file())[0]
    batch = run(path, tmp_path)
    assert _errors(batch.items[0].path) - _errors(path) == set()
