"""On images of real devices, and on those that pydicom brings along, the engine writes what the reference writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import dcmread

from benchmarks.corpus.generate import generate
from node.imaging.pixels import read_header
from node.steps.anonymize import instance
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.plan import Plan
from tests.data import several_real_folders
from tests.steps.anonymize import reference
from tests.steps.anonymize.choices import plan_of
from tests.steps.anonymize.driver import SECRET

# As in production: pydicom warns of what real images have, and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CHOSEN = ["basic", "all, other UIDs", "rules over all"]
BUNDLED = sorted(
    path
    for path in (Path(pydicom.__file__).parent / "data").rglob("*")
    if path.suffix in (".dcm", ".DCM", "") and path.is_file() and path.stat().st_size < 1 << 24
)
UNLIKE = {
    "badVR.dcm": "has bytes behind its last pixel, which the reference does not look for",
    "rtdose_rle.dcm": "pydicom writes it anew, UN with the representation that the attribute has",
    "rtdose_rle_1frame.dcm": "the same",
    "GDCMJ2K_TextGBR.dcm": "its frame is a file with an ICC profile, which the reference does not look for",
    "SC_rgb_jls_lossy_line.dcm": "has application data within its frame, which the reference leaves",
    "SC_rgb_jls_lossy_sample.dcm": "the same",
}


@pytest.fixture(autouse=True)
def _every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that would be held for what their pixels may show."""
    monkeypatch.setattr(instance, "burned_in", lambda _: None)


def plans(choice: str) -> Callable[[str], Plan]:
    return partial(plan_of, choice)


def both(path: Path, folder: Path, anonymizer: Anonymizer, plan_for: Callable[[str], Plan]) -> tuple[bool, bool]:
    """Whether the engine and whether the reference wrote a file: `ours` and `theirs` in `folder`."""
    ours = theirs = True
    try:
        anonymizer.anonymize(path, folder / "ours")
    except HoldError:
        ours = False
    try:
        head = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        plan = plan_for(str(head.get("SOPClassUID", "")))
        reference.deidentified(path, folder / "theirs", plan, Patients(SECRET))
    except reference.UNREADABLE:
        theirs = False
    return ours, theirs


@pytest.mark.parametrize("choice", CHOSEN)
@pytest.mark.parametrize("folder", several_real_folders())
def test_a_real_series_becomes_byte_for_byte_the_same(folder: Path, choice: str, tmp_path: Path) -> None:
    plan_for = plans(choice)
    anonymizer = Anonymizer(plan_for, Patients(SECRET))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert both(path, tmp_path, anonymizer, plan_for) == (True, True), path.name
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes(), path.name


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    generate(folder, patients=7)
    return folder / "files"


@pytest.mark.parametrize("choice", [*CHOSEN, "texts", "recipe and rules"])
def test_the_objects_of_the_corpus_become_the_same(corpus: Path, choice: str, tmp_path: Path) -> None:
    """Reports, presentation states, plans and documents among them, in several character sets."""
    plan_for = plans(choice)
    anonymizer, written = Anonymizer(plan_for, Patients(SECRET)), 0
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        assert both(path, tmp_path, anonymizer, plan_for) == (True, True), path.name
        ours, theirs = (tmp_path / "ours").read_bytes(), (tmp_path / "theirs").read_bytes()
        assert ours == theirs or dcmread(tmp_path / "ours") == dcmread(tmp_path / "theirs"), path.name
        written += 1
    assert written > 30


def _decode_alike(folder: Path) -> bool:
    ours, theirs = (read_header(folder / name) for name in ("ours", "theirs"))
    assert ours[1] is not None
    assert theirs[1] is not None
    pairs = zip(ours[1].frames(), theirs[1].frames(), strict=True)
    return ours[0] == theirs[0] and all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("choice", CHOSEN)
def test_the_images_of_pydicom_become_the_same_or_are_held_by_both(choice: str, tmp_path: Path) -> None:
    plan_for = plans(choice)
    anonymizer = Anonymizer(plan_for, Patients(SECRET))
    written = set()
    for path in BUNDLED:
        ours, theirs = both(path, tmp_path, anonymizer, plan_for)
        assert ours == theirs or path.name in UNLIKE, path.name
        if ours and theirs:
            written.add(path.name)
            same = (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
            assert same or path.name in UNLIKE, path.name
            assert same or dcmread(tmp_path / "ours") == dcmread(tmp_path / "theirs") or _decode_alike(tmp_path), (
                path.name
            )
    assert len(written) > 100
