"""`dicom-node deid preview`: for the author of a rule."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import make
from tests.cli.command import Ran, dicom_node

RULES = """\
node: {ae_title: NODE}
routes:
  - {name: clean, when: always, steps: [anonymize]}
  - {name: site, when: always, steps: [{set: {assign: {SequenceName: here}}}, {anonymize: {recipe: site.dicom}}]}
  - {name: nothing, when: always, steps: [drop]}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "site.dicom").write_text("FORMAT dicom\n%header\nKEEP StudyDate\n")
    return tmp_path / "rules.yaml"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make.write(make.ct_series(1)[0], tmp_path / "ct.dcm")


def preview(image: Path, rules: Path, *arguments: object, route: str = "clean") -> Ran:
    return dicom_node("deid", "preview", image, "--route", route, "--config", rules, *arguments)


def test_each_attribute_is_a_line_with_its_rule(image: Path, rules: Path) -> None:
    ran = preview(image, rules)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line for line in lines if line.startswith("(0008,0050)")] == [
        '(0008,0050) Accession Number: "A0001" -> "": emptied: profile: Z'
    ]
    assert any(line.startswith('(0008,0060) Modality: "CT" -> "CT": kept: ') for line in lines)
    assert not any(line.startswith("(0002,") for line in lines)


def test_what_is_kept_can_be_left_out(image: Path, rules: Path) -> None:
    ran = preview(image, rules, "--changed")
    assert ": emptied: " in ran.out
    assert ": kept: " not in ran.out


def test_facts_are_given_as_json(image: Path, rules: Path) -> None:
    facts = preview(image, rules, "--json").json
    (name,) = [one for one in facts["attributes"] if one["path"] == ["00100010"]]
    assert facts["held"] is None
    assert (name["before"], name["done"]) == ("Müster^Invented", "replaced")
    assert name["rule"] == "profile: Z, by the patient's pseudonym"
    assert len(name["after"]) == 16


def test_the_steps_before_are_done_and_the_recipe_is_named(image: Path, rules: Path) -> None:
    out = preview(image, rules, route="site").out
    assert '(0018,0024) Sequence Name: "here" -> "here": kept' in out
    assert "kept: recipe: site.dicom:3" in out


def test_a_pseudonym_is_the_one_that_the_route_gives(image: Path, rules: Path, tmp_path: Path) -> None:
    import pydicom

    facts = preview(image, rules, "--json").json
    out = tmp_path / "out"
    assert dicom_node("process", image, "--route", "clean", "--out", out, "--config", rules).code == 0
    (made,) = (pydicom.dcmread(path) for path in out.rglob("*.dcm"))
    assert {one["after"] for one in facts["attributes"] if one["path"] == ["00100020"]} == {made.PatientID}


def test_a_preview_gives_no_number_away(image: Path, rules: Path) -> None:
    rules.write_text(RULES + "  - {name: numbered, when: always, steps: [{anonymize: {numbers: SITE-}}]}\n")
    for _ in range(2):
        facts = preview(image, rules, "--json", route="numbered").json
        assert {one["after"] for one in facts["attributes"] if one["path"] == ["00100020"]} == {"SITE-0001"}
    other = make.ct_series(1)[0]
    other.PatientID = "somebody else"
    make.write(other, image.parent / "other.dcm")
    facts = preview(image.parent / "other.dcm", rules, "--json", route="numbered").json
    assert {one["after"] for one in facts["attributes"] if one["path"] == ["00100020"]} == {"SITE-0001"}


def test_a_rule_of_the_site_is_named(image: Path, rules: Path) -> None:
    rules.write_text(RULES + "  - {name: own, when: always, steps: [{anonymize: {rules: [{keep: StudyDate}]}}]}\n")
    assert "kept: rules[0]: keep StudyDate" in preview(image, rules, route="own").out


def test_an_instance_that_would_be_held_says_why_and_exits_with_1(rules: Path, tmp_path: Path) -> None:
    image = make.write(make.secondary_capture(np.zeros((8, 8), np.uint8)), tmp_path / "sc.dcm")
    ran = preview(image, rules)
    assert (ran.code, ran.out) == (1, "")
    assert "secondary capture" in ran.err
    facts = preview(image, rules, "--json")
    assert (facts.code, facts.json["attributes"]) == (1, [])
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    assert preview(text, rules).code == 1


def test_a_route_that_is_not_there_or_does_not_anonymize_and_a_folder_exit_with_2(image: Path, rules: Path) -> None:
    assert "there are: clean, site, nothing" in preview(image, rules, route="clen").err
    assert "does not anonymize" in preview(image, rules, route="nothing").err
    assert preview(image.parent, rules).code == 2
    assert preview(image.parent / "nothing.dcm", rules).code == 2


def test_a_terminal_gets_a_table(image: Path, rules: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "deid", "preview", image, "--route", "clean", "--changed", "--config", rules],
        stdout=theirs, cwd=Path(__file__).parents[2], env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    assert process.wait(60) == 0
    text = shown.decode()
    assert "attribute" in text.splitlines()[0]
    assert "Accession Number" in text
    assert "emptied" in text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""
