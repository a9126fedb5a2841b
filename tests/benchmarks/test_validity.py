"""The program tells what is new in an output, and of nothing that was wrong before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import dcmread

from benchmarks import verifiers
from benchmarks.validity import CHOICES, Found, compared, originals, shown, step_of
from node.model import Batch
from node.steps.anonymize import Anonymize
from node.steps.anonymize.options import problems_with
from tests import make
from tests.benchmarks.test_programs import run

needs_them = pytest.mark.skipif(not verifiers.installed(), reason="dciodvfy (dicom3tools) is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoils(Anonymize):
    """Takes something from each output that its IOD needs."""

    def run(self, batch: Batch, work) -> Batch:  # type: ignore[no-untyped-def]
        made = Anonymize.run(self, batch, work)
        for number, item in enumerate(made.items):
            ds = dcmread(item.path)
            del ds.Modality
            ds.StudyID = str(number)
            ds.save_as(item.path)
        return made


def _compared(step: Anonymize, tmp_path: Path) -> Found:
    make.write_all(make.ct_series(2, rows=8, columns=8), tmp_path / "one" / "study")
    (tmp_path / "one" / "notes.txt").write_text("no DICOM")
    make.write(make.report(), tmp_path / "one" / "report.dcm")
    with ThreadPoolExecutor(2) as pool:
        files = originals([tmp_path / "one"], pool)
        assert files[0].name == "one/report.dcm"
        return compared(step, files, tmp_path / "out", pool)


@needs_them
def test_the_step_makes_nothing_worse_and_what_it_holds_is_told(tmp_path: Path) -> None:
    found = _compared(Anonymize(), tmp_path)
    assert found.is_as_valid
    assert (found.given, found.held.total(), found.studies) == (2, 1, 1)
    assert [reason for reason in found.held if "structured report" in reason]


@needs_them
def test_what_is_spoiled_is_found_in_each_file_and_over_the_study(tmp_path: Path) -> None:
    found = _compared(Spoils(), tmp_path)
    assert not found.is_as_valid
    missing = next(files for kind, files in found.new.items() if "</Modality(0008,0060)>" in kind)
    assert len(missing) == 2
    assert [kind for kind in found.disagree if "Element=<StudyID>" in kind]
    text = shown({"spoiled": found})
    assert "one/study/" in text
    assert "</Modality(0008,0060)>" in text


def test_a_claim_that_is_of_single_images_is_no_disagreement_and_is_counted(tmp_path: Path) -> None:
    found = Found(given=2)
    found.told["Error - Sequence has different number of items - Element=<DeidentificationMethodCodeSequence>"] = 1
    assert found.is_as_valid
    assert "of single images" in shown({"all": found})


@pytest.mark.parametrize("name", CHOICES)
def test_every_set_of_options_is_one_of_the_step(name: str, tmp_path: Path) -> None:
    step = step_of(name, tmp_path)
    assert problems_with(CHOICES[name]) == step.problems() == ()
    assert replace(step, second_reader=False).options == CHOICES[name]


@needs_them
def test_the_program_finds_the_corpus_as_valid_as_it_was(tmp_path: Path) -> None:
    (folder := tmp_path / "work").mkdir()
    text = run("validity", folder)
    assert all(f"| {name} " in text for name in CHOICES)
