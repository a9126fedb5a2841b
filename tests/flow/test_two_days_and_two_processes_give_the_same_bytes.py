"""A study that comes twice, to two processes of one secret, days apart: not a byte of what leaves differs.

Certificates say the same too; `issue` and `seal`, which say when and by whom, are all that differ.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from tests import make
from tests.flow.nodes import Site
from tests.peers import send
from tests.steps.anonymize import ultrasound as us

SECRET = "a secret that two nodes share, of more than 32 bytes"
RULES = """
destinations: {share: {folder: ./out, accepts: deidentified}}
routes: [{name: research, when: always, unit: series, steps: [{anonymize: $options}, {forward: share}]}]
"""
OPTIONS = [
    "{}",
    "{options: [retain_long_modified_dates, clean_descriptors, clean_graphics, clean_pixel_data, "
    "retain_patient_characteristics, retain_safe_private], rules: [{hash: StationName}]}",
]

LATER = """
import datetime, os, time
_BY = 2 * 86400 + 7919
_time, _ns, _real = time.time, time.time_ns, datetime.datetime
time.time = lambda: _time() + _BY
time.time_ns = lambda: _ns() + _BY * 10**9
class _Later(_real):
    @classmethod
    def now(cls, tz=None):
        return _real.now(tz) + datetime.timedelta(seconds=_BY)
datetime.datetime = _Later
open(os.path.join(os.path.dirname(__file__), f"ran-{os.getpid()}"), "w").close()
"""
"""Run at the start of every Python of the second day, workers too."""


def study() -> list[FileDataset]:
    clip = us.image(ReferringPhysicianName="", SeriesInstanceUID=make.uid("series", "us"))
    clip.SOPInstanceUID = clip.file_meta.MediaStorageSOPInstanceUID = make.uid("instance", "us")
    found = [*make.ct_series(3), clip]
    for ds in found:
        ds.PatientName, ds.PatientAge, ds.StationName = "Mustermann^Erika", "093Y", "CT-7"
        ds.StudyDescription = "CT chest Mustermann"
        ds.RequestAttributesSequence = Sequence([Dataset()])
        ds.RequestAttributesSequence[0].ScheduledProcedureStepID = "SPS-4711"
        block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", "1000")
    return found


@pytest.mark.parametrize(
    "options", [pytest.param(OPTIONS[0], id="basic", marks=pytest.mark.full), pytest.param(OPTIONS[1], id="many")]
)
def test_two_days_and_two_processes_give_the_same_bytes(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED_SECRET", SECRET)
    with Site(tmp_path / "today", "sqlite") as site:
        site.rules(RULES, node="{secret: {env: SHARED_SECRET}}", options=options)
        with site.running() as node:
            assert set(send(node.port, study())) == {0x0000}
            site.wait(lambda: site.counts() in ({"delivered": 4}, {"delivered": 3, "held": 1}), why="not delivered")
        today = _read(site.folder / "out")
    later = _the_day_after_tomorrow(tmp_path, options)
    assert len(today) >= 3 + 1
    assert today.keys() == later.keys()
    for name in today:
        assert today[name] == later[name], name


def _the_day_after_tomorrow(tmp_path: Path, options: str) -> dict[str, Any]:
    """By a program of its own, with other data, from files in another order, with other hashes of texts."""
    with Site(tmp_path / "later", "sqlite") as site:
        site.rules(RULES, node="{secret: {env: SHARED_SECRET}}", options=options)
    clock = tmp_path / "clock"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(LATER)
    make.write_all(study()[::-1], tmp_path / "in")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "node", "process", tmp_path / "in", "--route", "research", "--out",
         tmp_path / "later" / "out", "--config", tmp_path / "later" / "rules.yaml"],
        cwd=root, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": f"{clock}:{root}", "PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland"},
    )  # fmt: skip
    assert done.stdout, done.stderr
    assert len(list(clock.glob("ran-*"))) > 1, "the clock of the program and of its workers was set"
    return _read(tmp_path / "later" / "out")


def _read(folder: Path) -> dict[str, Any]:
    """What each file has, wherever it lies below: SHA-256 of an image, the statement of a certificate."""
    return {
        path.name: json.loads(path.read_text())["statement"]
        if path.suffix == ".json"
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
