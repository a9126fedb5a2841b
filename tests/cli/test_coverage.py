from __future__ import annotations

from pathlib import Path

import pytest

from tests import make
from tests.cli.command import dicom_node
from tests.steps.anonymize import ultrasound as us


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    folder = tmp_path / "studies"
    make.write(us.image(()), folder / "us" / "1.dcm")
    make.write(us.image(), folder / "us" / "2.dcm")
    ct = make.ct_series(1)[0]
    ct.private_block(0x0029, "SOMEBODY", create=True).add_new(1, "LO", "Smith")
    make.write(ct, folder / "ct.dcm")
    (folder / "readme.txt").write_text("no DICOM")
    return folder


def _rules(folder: Path, anonymize: str) -> Path:
    (folder / "site.script").write_text('{ Manufacturer.equals("Nobody") } (0,0,64,8)')
    path = folder / "rules.yaml"
    path.write_text(
        "node: {ae_title: NODE}\ndestinations: {share: {folder: ./out, accepts: deidentified}}\nroutes:\n"
        f"  - {{name: research, when: {{Modality: US}}, steps: [{{anonymize: {anonymize}}}, {{forward: share}}]}}\n"
        "  - {name: plain, when: otherwise, steps: [drop]}\n"
    )
    return path


def test_it_names_what_would_be_held_what_is_cleaned_and_what_no_rule_knows(studies: Path) -> None:
    ran = dicom_node("deid", "coverage", studies)
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "held                1  US Nobody Unheard-of 64x48: Burned In Annotation (0028,0301) is YES, and no pixel rule"
        " covers it",
        "cleaned             1  US Nobody Unheard-of 64x48: by ultrasound regions",
        "no rule             1  CT 10x12",
        'private             1  (0029,"SOMEBODY"): no rule keeps any of its 1 elements',
    ]
    assert "readme.txt: " in ran.err
    assert "Smith" not in ran.out + ran.err


def test_a_route_is_looked_at_with_its_own_rules(studies: Path, tmp_path: Path) -> None:
    rules = _rules(tmp_path, "{options: [clean_pixel_data], pixels: {rules: [site.script]}}")
    ran = dicom_node("deid", "coverage", studies, "--route", "research", "--config", rules)
    assert ran.code == 0
    assert "cleaned             1  US Nobody Unheard-of 64x48: by site.script:1\n" in ran.out
    assert "by site.script:1, ultrasound regions" in ran.out


def test_a_route_without_the_option_holds_all_that_is_suspected(studies: Path, tmp_path: Path) -> None:
    rules = _rules(tmp_path, "{}")
    ran = dicom_node("deid", "coverage", studies / "us" / "2.dcm", "--route", "research", "-c", rules, "--json")
    assert ran.code == 1
    (layout,) = ran.json["layouts"]
    assert (layout["verdict"], layout["instances"], layout["model"]) == ("held", 1, "Unheard-of")


def test_the_facts_are_there_as_json(studies: Path) -> None:
    facts = dicom_node("deid", "coverage", studies, "--json").json
    assert [one["verdict"] for one in facts["layouts"]] == ["held", "cleaned", "untouched"]
    assert facts["private"] == [{"group": "0029", "creator": "SOMEBODY", "instances": 1, "elements": 1, "kept": 0}]
    assert [Path(path).name for path, _ in facts["left_out"]] == ["readme.txt"]


@pytest.mark.parametrize(("route", "why"), [("gone", 'no route "gone"'), ("plain", "has no anonymize step")])
def test_a_route_that_cannot_be_looked_at_is_said(studies: Path, tmp_path: Path, route: str, why: str) -> None:
    ran = dicom_node("deid", "coverage", studies, "--route", route, "--config", _rules(tmp_path, "{}"))
    assert ran.code == 2
    assert why in ran.err


def test_a_damaged_header_is_left_out_and_the_rest_goes_on(studies: Path) -> None:
    path = studies / "us" / "1.dcm"
    path.write_bytes(path.read_bytes()[:600])
    ran = dicom_node("deid", "coverage", studies)
    assert "cleaned" in ran.out
    assert ran.code in (0, 1)
