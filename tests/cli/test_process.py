from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from tests import make
from tests.cli.command import Ran, dicom_node
from tests.steps.anonymize import ultrasound as us


def process(source: Path, route: str, out: Path, rules: Path) -> Ran:
    return dicom_node("process", source, "--route", route, "--out", out, "--config", rules, "--json")


RULES = """\
node: {ae_title: NODE}
destinations: {archive: {dicom: "ARCHIVE@127.0.0.1:9", accepts: deidentified}}
routes:
  - {name: clean, when: always, steps: [anonymize, {forward: archive}]}
  - {name: volumes, when: always, steps: [anonymize, nifti]}
  - {name: of-study, unit: study, when: always, steps: [anonymize, nifti]}
  - {name: of-instance, unit: instance, when: always, steps: [anonymize, nifti]}
  - {name: nothing, when: always, steps: [drop]}
"""
ROUTES = {"study": "of-study", "series": "volumes", "instance": "of-instance"}
NAMED_BY = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def files(folder: Path) -> list[Path]:
    """All but certificates."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in papers(folder))


def papers(folder: Path) -> list[Path]:
    return sorted(folder.rglob("certificate-*.json"))


def two_studies(folder: Path) -> list[FileDataset]:
    """Two studies of two series of two slices, in one folder, mixed."""
    found = [
        ds
        for pair in zip(
            *(make.ct_series(2, study=study, series=series) for study in ("one", "two") for series in ("a", "b")),
            strict=True,
        )
        for ds in pair
    ]
    make.write_all(found, folder)
    return found


def test_a_series_goes_through_the_steps_without_a_node(rules: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    make.write_all(make.ct_series(3, rows=8, columns=8), source)
    before = {path: path.read_bytes() for path in source.iterdir()}
    ran = dicom_node("process", source, "--route", "clean", "--out", tmp_path / "out", "--config", rules)
    assert ran.code == 0, ran.err
    made = [pydicom.dcmread(path) for path in files(tmp_path / "out")]
    assert len(made) == 3
    assert {str(ds.PatientName) for ds in made}.isdisjoint({"Müster^Invented"})
    assert {ds.PatientIdentityRemoved for ds in made} == {"YES"}
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_the_same_patient_gets_the_same_pseudonym_the_next_time(rules: Path, tmp_path: Path) -> None:
    ct = make.write(make.ct_series(1, rows=8, columns=8)[0], tmp_path / "ct.dcm")
    for out in ("a", "b"):
        assert dicom_node("process", ct, "--route", "clean", "--out", tmp_path / out, "--config", rules).code == 0
    (first,), (second,) = (list(files(tmp_path / out)) for out in ("a", "b"))
    assert pydicom.dcmread(first).PatientID == pydicom.dcmread(second).PatientID
    assert first.relative_to(tmp_path / "a") == second.relative_to(tmp_path / "b"), "named by what it is"


_ON = """
import datetime, sys
import node.moment
day = datetime.datetime.fromisoformat(sys.argv.pop(1))
node.moment.utc_now = lambda: day
from node.cli import main
main()
"""


@pytest.mark.full
def test_a_study_that_comes_again_two_days_later_to_another_process_gives_the_same_bytes(
    rules: Path, tmp_path: Path
) -> None:
    sent = [*make.ct_series(3, rows=8, columns=8), *make.ct_series(2, series="other", rows=8, columns=8)]
    made = []
    for day, instances in (("2026-03-01", sent), ("2026-03-03", sent[::-1])):  # in another order, by another sender
        source, out = tmp_path / f"in {day}", tmp_path / f"out {day}"
        for ds in instances:
            ds.file_meta.SourceApplicationEntityTitle = f"CT{day[-2:]}"
        make.write_all(instances, source)
        command = ["process", source, "--route", "clean", "--out", out, "--config", rules, "--json"]
        done = subprocess.run(
            [sys.executable, "-c", _ON, f"{day}T08:15:00+00:00", *map(str, command)],
            capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made.append({str(path.relative_to(out)): path.read_bytes() for path in files(out)})
    assert len(made[0]) == len(sent)
    assert made[0] == made[1]


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
    assert len(files(tmp_path / "out")) == 2


@pytest.mark.parametrize(("kind", "units", "volumes"), [("study", 2, 2), ("series", 4, 1), ("instance", 8, 1)])
def test_a_folder_goes_through_unit_by_unit_as_in_the_node(
    kind: str, units: int, volumes: int, rules: Path, tmp_path: Path
) -> None:
    sent = two_studies(tmp_path / "in")
    ran = process(tmp_path / "in", ROUTES[kind], tmp_path / "out", rules)
    assert ran.code == 0, ran.err
    facts = ran.json
    assert {one["uid"] for one in facts["units"]} == {str(ds[NAMED_BY[kind]].value) for ds in sent}
    assert [(one["unit"], one["state"], one["instances"]) for one in facts["units"]] == [
        (kind, "done", len(sent) // units)
    ] * units
    assert len({one["folder"] for one in facts["units"]}) == units
    for one in facts["units"]:
        made = files(tmp_path / "out" / one["folder"])
        assert sorted([*(path.name for path in made), papers(made[0].parent)[0].name]) == one["files"]
        assert len([path for path in made if path.name.endswith(".nii.gz")]) == volumes
        instances = [pydicom.dcmread(path) for path in made if path.suffix == ".dcm"]
        assert len(instances) == one["instances"]
        assert {str(ds[NAMED_BY[kind]].value) for ds in instances} == {one["folder"]}, "apart, by its own UID"
    every = [*files(tmp_path / "out"), *papers(tmp_path / "out")]
    assert sorted(facts["files"]) == sorted(str(path.relative_to(tmp_path / "out")) for path in every)


@pytest.mark.parametrize(("kind", "others"), [("study", 1), ("series", 3), ("instance", 7)])
def test_one_unit_that_is_held_does_not_hold_the_others(kind: str, others: int, rules: Path, tmp_path: Path) -> None:
    """A slice without its place: no volume of its series."""
    sent = two_studies(tmp_path / "in")
    del sent[0].ImagePositionPatient
    bad = make.write(sent[0], tmp_path / "in" / "0001.dcm")
    ran = process(tmp_path / "in", ROUTES[kind], tmp_path / "out", rules)
    assert ran.code == 1
    states = {one["uid"]: one["state"] for one in ran.json["units"]}
    uid = str(sent[0][NAMED_BY[kind]].value)
    assert states.pop(uid) == ("held" if kind == "instance" else "partly held")
    assert list(states.values()) == ["done"] * others
    ((path, reason),) = next(one["held"] for one in ran.json["units"] if one["uid"] == uid)
    assert (path, "position" in reason.lower()) == (str(bad), True), reason


def test_a_unit_that_is_held_as_a_whole_says_so_in_one_line_and_has_no_folder(rules: Path, tmp_path: Path) -> None:
    report = make.report()
    good = make.ct_series(3)
    make.write_all([*good, report], tmp_path / "in")
    out = tmp_path / "out"
    ran = dicom_node("process", tmp_path / "in", "--route", "volumes", "--out", out, "--config", rules)
    assert ran.code == 1
    (folder,) = out.iterdir()
    lines = ran.out.splitlines()
    assert f"series {good[0].SeriesInstanceUID}: done, 7 files in {folder}" in lines
    assert f"series {report.SeriesInstanceUID}: held, 1 instances: " in ran.out
    assert lines[-1] == f"2 units: 1 done, 1 held; 7 files in {out}"
    assert "`process` again" in ran.err
    assert "dicom-node release UID --reason" in ran.err


@pytest.mark.full
def test_results_have_the_same_names_whatever_the_files_are_called(rules: Path, tmp_path: Path) -> None:
    sent = two_studies(tmp_path / "in")
    make.write_all(sent[::-1], tmp_path / "again" / "deep")
    names = []
    for source, out in (("in", "a"), ("again", "b")):
        assert process(tmp_path / source, "volumes", tmp_path / out, rules).code == 0
        names.append([path.relative_to(tmp_path / out) for path in files(tmp_path / out)])
    assert names[0] == names[1]
    assert len([name for name in names[0] if name.name.endswith(".nii.gz")]) == 4, "one volume of each series"
    assert not {str(ds.SeriesInstanceUID) for ds in sent} & {name.parts[0] for name in names[0]}, "no received UID"


def test_what_a_route_drops_is_done_and_leaves_nothing(rules: Path, tmp_path: Path) -> None:
    make.write_all(make.ct_series(3), tmp_path / "in")
    ran = process(tmp_path / "in", "nothing", tmp_path / "out", rules)
    (one,) = ran.json["units"]
    assert (ran.code, one["state"], one["dropped"], one["folder"], one["files"]) == (0, "done", 3, "", [])


def test_a_note_names_the_file_it_is_about(rules: Path, tmp_path: Path) -> None:
    from pydicom.uid import RLELossless

    ct = make.ct_series(1)[0]
    ct.LossyImageCompression = "00"
    ct.compress(RLELossless)
    path = make.write(ct, tmp_path / "ct.dcm")
    rules.write_text(RULES + "  - {name: plain, when: always, steps: [decompress]}\n")
    ran = process(path, "plain", tmp_path / "out", rules)
    assert ran.code == 0, ran.err
    assert all("decompress: " in note and str(path) in note for note in ran.json["units"][0]["notes"])


@pytest.mark.parametrize("with_a_text", [False, True])
def test_a_folder_without_any_instance_exits_with_1(with_a_text: bool, rules: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    if with_a_text:
        (tmp_path / "in" / "notes.txt").write_text("no image")
    ran = dicom_node("process", tmp_path / "in", "--route", "clean", "--out", tmp_path / "out", "--config", rules)
    assert (ran.code, ran.out) == (1, "no DICOM instance found\n")


def test_a_route_that_is_not_there_and_a_folder_that_is_in_use_exit_with_2(rules: Path, tmp_path: Path) -> None:
    ct = make.write(make.ct_series(1, rows=8, columns=8)[0], tmp_path / "ct.dcm")
    unknown = dicom_node("process", ct, "--route", "clen", "--out", tmp_path / "out", "--config", rules)
    assert unknown.code == 2
    assert "clean, volumes" in unknown.err
    used = dicom_node("process", ct, "--route", "clean", "--out", tmp_path, "--config", rules)
    assert used.code == 2
    assert "not empty" in used.err


def test_pixels_are_cleaned_by_a_route_that_says_so_and_held_by_one_that_does_not(rules: Path, tmp_path: Path) -> None:
    rules.write_text(
        RULES
        + "  - {name: us, when: always, steps: [{anonymize: {options: [clean_pixel_data]}}, {forward: archive}]}\n"
    )
    for number in range(2):
        ds = us.image(frames=3, ReferringPhysicianName="")  # of the name of its Manufacturer
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = make.uid("clip", number)
        make.write(ds, tmp_path / "in" / f"{number}.dcm")
    held = process(tmp_path / "in", "clean", tmp_path / "held", rules)
    assert (held.code, held.json["files"]) == (1, [])
    ran = process(tmp_path / "in", "us", tmp_path / "out", rules)
    assert ran.code == 0, ran.err
    assert "anonymize: 2 with pixels cleaned" in ran.json["units"][0]["notes"]
    made = [pydicom.dcmread(path) for path in files(tmp_path / "out")]
    assert len(made) == 2
    for ds in made:
        assert not ds.pixel_array[:, ~us.KEPT].any()
        np.testing.assert_array_equal(ds.pixel_array[:, us.KEPT], us.pixels(3)[:, us.KEPT])


# ---- certificates --------------------------------------------------------------------------------------------


def test_what_is_de_identified_is_certified_beside_its_files_and_the_ledger_has_it(rules: Path, tmp_path: Path) -> None:
    two_studies(tmp_path / "in")
    assert process(tmp_path / "in", "volumes", tmp_path / "out", rules).code == 0
    found = papers(tmp_path / "out")
    assert len(found) == 4, "one for each series"
    for paper in found:
        said = json.loads(paper.read_text())["statement"]
        made = files(paper.parent)
        assert {one["sha256"] for one in said["outputs"]} == {
            hashlib.sha256(path.read_bytes()).hexdigest() for path in made
        }
        assert [step["step"] for step in said["steps"]] == ["anonymize", "nifti"]
        assert said["instances"] == {"certified": 2, "dropped": 0, "held": 0, "received": 2}
        assert said["second_reader"] == {"state": "clean", "counts": {"files": len(made), "originals": 2}}
    ran = dicom_node("verify", tmp_path / "out", "--complete", "--config", rules)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "the ledger has 4 certificates in 1 chains, each whole"


@pytest.mark.full
def test_the_same_work_is_certified_once_and_other_work_takes_its_place(rules: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    make.write_all(make.ct_series(2, rows=8, columns=8), source)
    for out in ("a", "b"):
        assert process(source, "clean", tmp_path / out, rules).code == 0
    (first,), (second,) = papers(tmp_path / "a"), papers(tmp_path / "b")
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())
    make.write_all(make.ct_series(3, rows=8, columns=8)[2:], source / "more")
    assert process(source, "clean", tmp_path / "c", rules).code == 0
    assert dicom_node("verify", tmp_path / "a", tmp_path / "c", "--complete", "--config", rules).code == 0
    assert dicom_node("verify", tmp_path / "c", "--complete", "--config", rules).code == 0, "the first is not in force"
    assert dicom_node("verify", tmp_path / "a", "--complete", "--config", rules).code == 1


def test_a_certificate_is_not_issued_where_a_name_was_found_or_nothing_is_de_identified(
    rules: Path, tmp_path: Path
) -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.Manufacturer, ds.ReferringPhysicianName = "Petrosyan", "Petrosyan^Ani"
    source = make.write(ds, tmp_path / "in" / "1.dcm")
    ran = process(source, "clean", tmp_path / "a", rules)
    assert (ran.code, ran.json["files"]) == (1, [])
    rules.write_text(RULES + "  - {name: plain, when: always, steps: [decompress]}\n")
    assert process(source, "plain", tmp_path / "b", rules).code == 0
    assert papers(tmp_path) == []


def test_another_secret_than_the_ledger_knows_is_refused(rules: Path, tmp_path: Path) -> None:
    ct = make.write(make.ct_series(1, rows=8, columns=8)[0], tmp_path / "ct.dcm")
    assert process(ct, "clean", tmp_path / "a", rules).code == 0
    (tmp_path / "data" / "secret").write_bytes(b"b" * 64)
    ran = process(ct, "clean", tmp_path / "b", rules)
    assert (ran.code, "the secret is not the one" in ran.err) == (2, True)
