from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests import make
from tests.cli.command import dicom_node

RULES = """\
node: {ae_title: NODE}
destinations: {archive: {dicom: "ARCHIVE@127.0.0.1:9", accepts: deidentified}}
routes:
  - {name: clean, when: always, steps: [anonymize, {forward: archive}]}
  - {name: volumes, when: always, steps: [anonymize, nifti]}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_a_series_goes_through_the_steps_without_a_node(rules: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    make.write_all(make.ct_series(3, rows=8, columns=8), source)
    before = {path: path.read_bytes() for path in source.iterdir()}
    ran = dicom_node("process", source, "--route", "clean", "--out", tmp_path / "out", "--config", rules)
    assert ran.code == 0, ran.err
    made = [pydicom.dcmread(path) for path in sorted((tmp_path / "out").iterdir())]
    assert len(made) == 3
    assert {str(ds.PatientName) for ds in made}.isdisjoint({"Müster^Invented"})
    assert {ds.PatientIdentityRemoved for ds in made} == {"YES"}
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_the_same_patient_gets_the_same_pseudonym_the_next_time(rules: Path, tmp_path: Path) -> None:
    ct = make.write(make.ct_series(1, rows=8, columns=8)[0], tmp_path / "ct.dcm")
    for out in ("a", "b"):
        assert dicom_node("process", ct, "--route", "clean", "--out", tmp_path / out, "--config", rules).code == 0
    first, second = (pydicom.dcmread(next((tmp_path / out).iterdir())) for out in ("a", "b"))
    assert first.PatientID == second.PatientID
    assert first.SOPInstanceUID == second.SOPInstanceUID


def test_volumes_come_out_as_files(rules: Path, tmp_path: Path) -> None:
    make.write_all(make.ct_series(4, rows=8, columns=8), tmp_path / "in")
    ran = dicom_node(
        "process", tmp_path / "in", "--route", "volumes", "--out", tmp_path / "out", "--config", rules, "--json"
    )
    assert ran.code == 0, ran.err
    assert [name for name in ran.json["files"] if name.endswith(".nii.gz")]


def test_what_is_held_is_named_with_its_file_and_exits_with_1(rules: Path, tmp_path: Path) -> None:
    make.write_all(make.ct_series(2, rows=8, columns=8), tmp_path / "in")
    burned = make.secondary_capture(np.zeros((8, 8), np.uint8))
    bad = make.write(burned, tmp_path / "in" / "capture.dcm")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    ran = dicom_node(
        "process", tmp_path / "in", "--route", "clean", "--out", tmp_path / "out", "--config", rules, "--json"
    )
    assert ran.code == 1
    held = dict(ran.json["held"])
    assert set(held) == {str(bad), str(tmp_path / "in" / "notes.txt")}
    assert "secondary capture" in held[str(bad)]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_route_that_is_not_there_and_a_folder_that_is_in_use_exit_with_2(rules: Path, tmp_path: Path) -> None:
    ct = make.write(make.ct_series(1, rows=8, columns=8)[0], tmp_path / "ct.dcm")
    unknown = dicom_node("process", ct, "--route", "clen", "--out", tmp_path / "out", "--config", rules)
    assert unknown.code == 2
    assert "clean, volumes" in unknown.err
    used = dicom_node("process", ct, "--route", "clean", "--out", tmp_path, "--config", rules)
    assert used.code == 2
    assert "not empty" in used.err
