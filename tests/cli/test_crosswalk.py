"""The crosswalk from the command line: answers for who may ask, a record of who did, and no patient in any log."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.cli import crosswalk as commands
from node.secret import FOLDER
from tests import make
from tests.cli.command import dicom_node, serving

RULES = """
node: {ae_title: NODE, data: ./data, listen: "127.0.0.1:0", status: off, workers: 1EXTRA}
routes:
  - {name: numbered, when: always, steps: [{anonymize: {numbers: SITE-}}]}
  - {name: keyed, when: always, steps: [anonymize]}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A node that has numbered one patient."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.replace("EXTRA", ""))
    assert processed(path, "Secretive7", "first").PatientID == "SITE-0001"
    return path


def processed(rules: Path, patient_id: str, out: str, route: str = "numbered") -> FileDataset:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.PatientID = patient_id
    source = make.write(ds, rules.parent / f"{out}.dcm")
    target = rules.parent / out
    ran = dicom_node("process", source, "--route", route, "--out", target, "--config", rules)
    assert ran.code == 0, ran.err
    return dcmread(next(target.rglob("*.dcm")))


def test_a_copy_that_lacks_what_the_last_command_gave_is_refused(rules: Path) -> None:
    """Also where nothing has started since, that could have looked how far it is."""
    file = rules.parent / "data" / "crosswalk.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM crosswalk_name")
        connection.execute("DELETE FROM crosswalk_patient")
        connection.execute("UPDATE crosswalk_number SET last = 0")
    source = make.write(make.ct_series(1, rows=8, columns=8)[0], rules.parent / "other.dcm")
    done = dicom_node("process", source, "--route", "numbered", "--out", rules.parent / "x", "--config", rules)
    assert done.code != 0
    assert "it is an older copy" in done.err
    assert not list(rules.parent.glob("x/**/*.dcm"))


def ran(rules: Path, *arguments: object) -> str:
    done = dicom_node("crosswalk", *arguments, "--config", rules)
    assert done.code == 0, done.err
    return done.out


def test_process_and_the_node_are_one_crosswalk_and_a_number_leads_back(rules: Path) -> None:
    assert processed(rules, "q", "second").PatientID == "SITE-0002"
    assert processed(rules, "secretive7 ", "third").PatientID == "SITE-0001"
    found = dicom_node("crosswalk", "find", "SITE-0001", "--config", rules, "--json")
    (entry,) = found.json
    assert (entry["patient_id"], entry["scheme"]) == ("Secretive7", "number:SITE-")
    assert "Secretive7" in ran(rules, "find", "SITE-0001")
    assert "Secretive7" not in found.err, "the log line"
    nobody = dicom_node("crosswalk", "find", "SITE-0003", "--config", rules)
    assert (nobody.code, nobody.out) == (1, "")


def test_each_use_says_who_and_when(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    monkeypatch.setenv("SUDO_USER", "bert")
    ran(rules, "find", "Secretive7")
    ran(rules, "export", rules.parent / "out.csv")
    uses = dicom_node("crosswalk", "uses", "--config", rules, "--json").json
    assert [(use["act"], use["entries"]) for use in uses] == [("find", 1), ("export", 1)]
    assert all(use["who"].startswith("anna (sudo by bert)@") for use in uses)
    assert "find" in ran(rules, "uses")


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.getpass, "getuser", _nobody)
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert commands.who().startswith("uid ")


def _nobody() -> str:
    raise KeyError


def test_an_export_is_for_its_owner_replaces_nothing_and_can_be_imported(rules: Path) -> None:
    out = rules.parent / "out.csv"
    ran(rules, "export", out)
    assert out.stat().st_mode & 0o777 == 0o600
    with out.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["patient_id"], row["pseudonym"]) == ("Secretive7", "SITE-0001")
    again = dicom_node("crosswalk", "export", out, "--config", rules)
    assert (again.code, "exists already" in again.err) == (2, True)
    assert len(dicom_node("crosswalk", "uses", "--config", rules, "--json").json) == 1
    assert ran(rules, "import", out) == "1 entries\n"


def test_an_import_that_is_wrong_names_its_lines_and_exits_with_2(rules: Path) -> None:
    table = rules.parent / "in.csv"
    table.write_text("patient_id,scheme,pseudonym\nsecretive7,number:SITE-,SITE-0009\nq,number:SITE-,SITE-0001\n")
    wrong = dicom_node("crosswalk", "import", table, "--config", rules)
    assert wrong.code == 2
    assert [line.split(": ")[0] for line in wrong.err.splitlines()] == [f"{table}:2:1", f"{table}:3:1"]
    assert "secretive" not in wrong.err
    table.write_text("patient_id,scheme,pseudonym\nsecretive7,number:SITE-,SITE-0009\n")
    ran(rules, "import", table, "--replace")
    assert processed(rules, "Secretive7", "second").PatientID == "SITE-0009"
    missing = dicom_node("crosswalk", "import", rules.parent / "none.csv", "--config", rules)
    assert (missing.code, "cannot be read" in missing.err) == (2, True)


@pytest.mark.full
def test_after_a_rotation_a_known_patient_is_the_same_and_a_new_one_is_of_the_new_key(rules: Path) -> None:
    before = processed(rules, "Secretive7", "keyed-1", "keyed")
    would = dicom_node("crosswalk", "rotate", "--config", rules)
    assert would.code == 0, would.err
    assert "1 patients keep" in would.out
    after = processed(rules, "Secretive7", "keyed-2", "keyed")
    assert (after.PatientID, after.StudyInstanceUID) == (before.PatientID, before.StudyInstanceUID)
    new = processed(rules, "q", "keyed-3", "keyed")
    assert new.StudyInstanceUID == before.StudyInstanceUID, "a study stays one, though it is said to be another's now"
    assert new.PatientID != before.PatientID
    keys = [dicom_node("crosswalk", "find", one, "-c", rules, "--json").json[0]["key"] for one in ("Secretive7", "q")]
    assert keys[0] != keys[1]
    (former,) = (rules.parent / "data" / FOLDER).iterdir()
    former.unlink()
    lost = dicom_node(
        "process", rules.parent / "first.dcm", "--route", "keyed", "--out", rules.parent / "x", "-c", rules
    )
    assert (lost.code, former.name in lost.err) == (2, True)


def test_a_secret_of_the_rules_is_rotated_by_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules.yaml"
    monkeypatch.setenv("OLD", "o" * 64)
    monkeypatch.setenv("NEW", "n" * 64)
    path.write_text(RULES.replace("EXTRA", ", secret: {env: OLD}"))
    before = processed(path, "p", "1", "keyed").StudyInstanceUID
    same = dicom_node("crosswalk", "rotate", "--config", path)
    assert (same.code, "Put a new one in its place" in same.err) == (2, True)
    path.write_text(RULES.replace("EXTRA", ", secret: {env: NEW}"))
    refused = dicom_node("crosswalk", "find", "p", "--config", path)
    assert (refused.code, "crosswalk rotate" in refused.err) == (2, True)
    path.write_text(RULES.replace("EXTRA", ", secret: {env: NEW}, former_secrets: [{env: OLD}]"))
    assert dicom_node("crosswalk", "rotate", "--config", path).code == 0
    assert processed(path, "p", "2", "keyed").StudyInstanceUID == before
    assert not (tmp_path / "data" / "secret").exists()


@pytest.mark.full
def test_nothing_is_rotated_under_a_node_that_runs(rules: Path) -> None:
    secret = (rules.parent / "data" / "secret").read_bytes()
    with serving(rules) as (_, line):
        assert line
        stopped = dicom_node("crosswalk", "rotate", "--config", rules)
        assert (stopped.code, "stop the node first" in stopped.err) == (1, True)
        assert "Secretive7" in ran(rules, "find", "SITE-0001")
    assert (rules.parent / "data" / "secret").read_bytes() == secret


def test_a_lost_crosswalk_stops_every_command_until_its_loss_is_accepted(rules: Path) -> None:
    ran(rules, "uses")  # each command notes how far it is
    for path in (rules.parent / "data").glob("crosswalk.db*"):
        path.unlink()
    again = ("process", rules.parent / "first.dcm", "--route", "numbered", "--out", rules.parent / "x", "-c", rules)
    for arguments in (again, ("crosswalk", "uses", "-c", rules), ("backup", rules.parent / "copy", "-c", rules)):
        lost = dicom_node(*arguments)
        assert (lost.code, "crosswalk begin-anew" in lost.err) == (2, True)
    assert "another crosswalk is begun" in ran(rules, "begin-anew")
    assert [use["act"] for use in dicom_node("crosswalk", "uses", "--config", rules, "--json").json] == ["begin-anew"]
    assert processed(rules, "q", "second").PatientID == "SITE-1002"


def test_where_no_node_has_run_there_is_none_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.replace("EXTRA", ""))
    none = dicom_node("crosswalk", "find", "p", "--config", path)
    assert (none.code, "no crosswalk" in none.err) == (2, True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["find", "export", "import", "rotate", "begin-anew", "uses"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: dicom-node crosswalk {command}" in " ".join(
        dicom_node("crosswalk", command, "--help").out.split()
    )
