"""Site rules: what they come to, what they do to a data set, and where a mistake in them is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.config import load
from node.config.options import freeze_step, thaw
from node.dicom.attributes import PrivateTag
from node.errors import CannotSucceed, ConfigurationError
from node.model import Plan, UnitKind
from node.steps import STEPS
from node.steps.anonymize import Anonymize
from node.steps.anonymize.actions import Do
from node.steps.anonymize.rules import Written, compile_rules
from tests import make
from tests.steps.anonymize.driver import result, run, why_held

BASIC: frozenset[str] = frozenset()
DESCRIPTION, STATION, REQUEST, STEP = 0x00081030, 0x00081010, 0x00400275, 0x00400007


def problems(*rules: Written, options: frozenset[str] = BASIC) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(str(problem), problem.loc) for problem in compile_rules(rules, options)[1]]


def test_no_rules_are_none() -> None:
    rules, wrong = compile_rules((), BASIC)
    assert (rules.rules_digest, rules.weakens, wrong) == ("", False, ())


def test_rules_come_to_one_action_per_attribute_and_the_last_counts() -> None:
    rules, wrong = compile_rules(
        [
            {"keep": ["StudyDescription", "StationName"]},
            {"replace": "StationName", "with": "CT"},
            {"hash": "IrradiationEventUID"},
            {"remove": '(0019,"SIEMENS MR HEADER",0C)'},
            {"keep": "RequestAttributesSequence"},
            {"blank": "RequestAttributesSequence.ScheduledProcedureStepDescription"},
        ],
        BASIC,
    )
    assert wrong == ()
    assert rules.actions == {DESCRIPTION: Do.KEEP, STATION: "CT", 0x00083010: Do.UID, REQUEST: Do.KEEP}
    assert rules.paths == {(REQUEST, STEP): Do.EMPTY}
    assert rules.private == {PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C): Do.REMOVE}
    assert rules.weakens
    assert len(rules.rules_digest) == 12


def test_stricter_rules_weaken_nothing() -> None:
    rule: list[Written] = [{"remove": "KVP"}, {"blank": "vr:LO"}, {"hash": "AccessionNumber"}]
    assert not compile_rules(rule, BASIC)[0].weakens
    shifted: list[Written] = [{"shift": "StudyDate"}]
    assert compile_rules(shifted, BASIC)[0].weakens
    assert not compile_rules(shifted, frozenset({"retain_long_modified_dates"}))[0].weakens


def test_a_text_that_is_kept_out_of_cleaning_weakens_what_cleans() -> None:
    rule: list[Written] = [{"keep": "ContentDescription"}]
    assert not compile_rules(rule, BASIC)[0].weakens
    for option in ("clean_descriptors", "clean_structured_content", "clean_graphics"):
        assert compile_rules(rule, frozenset({option}))[0].weakens
    assert not compile_rules([{"keep": "KVP"}], frozenset({"clean_descriptors"}))[0].weakens


def test_a_rule_by_representation_leaves_what_no_rule_may_touch() -> None:
    rules, wrong = compile_rules([{"remove": "vr:UI"}], BASIC)
    assert wrong == ()
    assert 0x0020000D not in rules.actions
    assert rules.actions[0x00083010] is Do.REMOVE


@pytest.mark.parametrize(
    ("rule", "problem", "place"),
    [
        ({"kep": "KVP"}, 'unknown word "kep"', ("rules", 0)),
        ({}, "a rule has one of keep, remove", ("rules", 0)),
        ({"keep": "KVP", "remove": "KVP"}, "not 2", ("rules", 0)),
        ({"keep": "KVP", "with": "7"}, '"with" belongs to replace', ("rules", 0)),
        ({"replace": "StudyDescription"}, 'replace needs "with"', ("rules", 0)),
        ({"keep": "Nothing"}, 'unknown attribute "Nothing"', ("rules", 0, "keep")),
        ({"keep": ["KVP", "PatientName"]}, "may not be kept", ("rules", 0, "keep", 1)),
        ({"clean": "PatientAddress"}, "may not be kept", ("rules", 0, "clean")),
        ({"keep": "vr:PN"}, "may not be kept", ("rules", 0, "keep")),
        ({"keep": "IrradiationEventUID"}, "use the option retain_uids", ("rules", 0, "keep")),
        ({"remove": "StudyInstanceUID"}, "not for a rule to change", ("rules", 0, "remove")),
        ({"shift": "StudyDescription"}, "is LO; shift takes DA, DT, TM", ("rules", 0, "shift")),
        ({"clean": "StudyDate"}, "is DA; clean takes", ("rules", 0, "clean")),
        ({"hash": "SliceThickness"}, "is DS; hash takes", ("rules", 0, "hash")),
        ({"hash": "RequestAttributesSequence"}, "is SQ; hash takes", ("rules", 0, "hash")),
        ({"replace": "StudyDate", "with": "soon"}, "does not fit DA", ("rules", 0, "replace")),
        ({"replace": "StudyDescription", "with": "Bürste"}, "ASCII", ("rules", 0, "replace")),
        ({"replace": '(0019,"A",01)', "with": "ü"}, "ASCII", ("rules", 0, "replace")),
        ({"replace": "IrradiationEventUID", "with": "1.2"}, "use hash", ("rules", 0, "replace")),
    ],
)
def test_a_mistake_says_what_to_change_and_where(rule: Written, problem: str, place: tuple[str | int, ...]) -> None:
    found = problems(rule)
    assert len(found) == 1
    assert problem in found[0][0]
    assert found[0][1] == place


def test_a_rule_for_a_place_that_is_gone_is_a_mistake() -> None:
    path = "RequestAttributesSequence.ScheduledProcedureStepDescription"
    found = problems({"keep": "KVP"}, {"keep": path})
    assert found == [
        (
            "(0040,0275) Request Attributes Sequence is removed, so nothing in it is left: "
            "keep or clean it by a rule before",
            ("rules", 1, "keep"),
        )
    ]
    assert problems({"keep": path}, options=frozenset({"clean_descriptors"})) == []
    assert problems({"keep": path}, {"clean": "RequestAttributesSequence"}) == []


def test_dates_that_an_option_keeps_are_not_shifted_beside_it() -> None:
    assert "retain_long_full_dates" in problems({"shift": "vr:DA"}, options=frozenset({"retain_long_full_dates"}))[0][0]


def _rules_yaml(tmp_path: Path, *rules: str) -> Path:
    path = tmp_path / "rules.yaml"
    lines = "\n".join(f"          {line}" for line in rules)
    path.write_text(
        "node: {ae_title: NODE}\n"
        "destinations:\n  share: {folder: ./out, accepts: deidentified}\n"
        f"routes:\n  - name: all\n    when: always\n    steps:\n      - anonymize:\n          rules:\n{lines}\n"
        "      - forward: share\n"
    )
    return path


def test_a_mistake_is_said_with_its_line(tmp_path: Path) -> None:
    path = _rules_yaml(
        tmp_path, "- keep: StudyDescription", "- keep:", "    - KVP", "    - PatientName", "- shift: vr:LO"
    )
    with pytest.raises(ConfigurationError) as error:
        load(path, STEPS)
    lines = {problem.line: problem for problem in error.value.problems}
    assert set(lines) == {13, 14}
    assert lines[13].path == "routes[0].steps[0].anonymize.rules[1].keep[1]"
    assert "identifies the patient and may not be kept" in lines[13].text


def test_rules_load_from_yaml(tmp_path: Path) -> None:
    path = _rules_yaml(
        tmp_path, "- keep: [StudyDescription, KVP]", "- {replace: InstitutionName, with: Trial 7}", "- shift: vr:DA"
    )
    step = load(path, STEPS).routes[0].chain[0]
    assert isinstance(step, Anonymize)
    assert len(step.rules) == 3


def test_rules_are_the_same_in_a_frozen_plan() -> None:
    written: tuple[Written, ...] = ({"keep": ("StudyDescription", "KVP")}, {"replace": "StationName", "with": "CT"})
    name, frozen = freeze_step(Anonymize(rules=written, keep_words=("HELIX",)))
    step = thaw(Plan(route="r", unit=UnitKind.SERIES, steps=((name, json.loads(json.dumps(frozen))),)), STEPS)[0]
    assert isinstance(step, Anonymize)
    assert step.keep_words == ("HELIX",)
    assert compile_rules(step.rules, BASIC) == compile_rules(written, BASIC)


def _after(tmp_path: Path, ds: Any, *rules: Written, **options: Any) -> Any:
    return result(ds, tmp_path, rules=rules, **options)


def test_rules_are_done(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.StudyDescription, ds.SeriesDescription = "CHEST trial arm", "CT of Zebulon, axial"
    ds.Manufacturer, ds.StationName, ds.AccessionNumber = "ACME", "CT7", "A-4711"
    ds.StudyDate, ds.IrradiationEventUID, ds.RequestingService = "20200315", "1.2.3.4", "Ward 7"
    after = _after(
        tmp_path,
        ds,
        {"keep": "StudyDescription"},
        {"clean": "SeriesDescription"},
        {"blank": "Manufacturer"},
        {"replace": "StationName", "with": "CT"},
        {"hash": ["AccessionNumber", "IrradiationEventUID"]},
        {"shift": "StudyDate"},
        {"remove": "KVP"},
    )
    assert after.StudyDescription == "CHEST trial arm"
    assert after.SeriesDescription == "CT of axial"
    assert (after.Manufacturer, after.StationName) == ("", "CT")
    assert len(after.AccessionNumber) == 16
    assert after.IrradiationEventUID.startswith("2.25.")
    assert after.StudyDate not in ("", "20200315")
    assert "KVP" not in after
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "DeidentificationMethodCodeSequence" not in after
    assert after.DeidentificationMethod[-1].startswith("site rules ")
    assert after.DeidentificationMethod[-1].endswith(", keeps more than the profile")
    assert all(len(value) <= 64 for value in after.DeidentificationMethod)


def test_a_rule_for_one_place_leaves_the_others(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.ScheduledProcedureStepDescription = "outside"
    ds.RequestAttributesSequence = Sequence([Dataset()])
    ds.RequestAttributesSequence[0].ScheduledProcedureStepDescription = "inside"
    ds.RequestAttributesSequence[0].RequestedProcedureID = "P7"
    after = _after(
        tmp_path,
        ds,
        {"keep": ["RequestAttributesSequence", "RequestAttributesSequence.ScheduledProcedureStepDescription"]},
        {"remove": "ScheduledProcedureStepDescription"},
    )
    assert "ScheduledProcedureStepDescription" not in after
    assert after.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "inside"
    assert "RequestedProcedureID" not in after.RequestAttributesSequence[0]


def test_rules_for_private_elements_are_done(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    block = ds.private_block(0x0019, "ACME 1.0", create=True)
    for number, (vr, value) in enumerate(
        [
            ("LO", "kept"),
            ("LO", "gone"),
            ("LO", "CT of Zebulon"),
            ("DA", "20200315"),
            ("SH", "4711"),
            ("LO", "x"),
            ("DS", "1"),
        ]
    ):
        block.add_new(number, vr, value)
    after = _after(
        tmp_path,
        ds,
        {"keep": '(0019,"ACME 1.0",00)'},
        {"clean": '(0019,"ACME 1.0",02)'},
        {"shift": '(0019,"ACME 1.0",03)'},
        {"hash": ['(0019,"ACME 1.0",04)', '(0019,"ACME 1.0",06)']},
        {"replace": '(0019,"ACME 1.0",05)', "with": "y"},
    )
    found = {element.tag.element & 0xFF: element.value for element in after if element.tag.is_private}
    assert found.pop(0x10) == "ACME 1.0"
    assert set(found) == {0, 2, 3, 4, 5}  # 01 has no rule, and DS in 06 takes no hash
    assert (found[0], found[2], found[5]) == ("kept", "CT of", "y")
    assert found[3] not in ("", "20200315")
    assert len(found[4]) == 16


def test_rules_lie_over_a_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "site.dicom"
    recipe.write_text("FORMAT dicom\n\n%header\nKEEP StudyDescription\nADD InstitutionName Ours\nKEEP KVP\n")
    after = _after(tmp_path, make.ct_series(1)[0], {"remove": ["StudyDescription", "InstitutionName"]}, recipe=recipe)
    assert "StudyDescription" not in after
    assert "InstitutionName" not in after
    assert after.KVP == 120
    assert [line.split()[1] for line in after.DeidentificationMethod[1:]] == ["recipe", "rules"]


def test_a_step_with_a_mistake_in_its_rules_passes_nothing_on(tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="may not be kept"):
        run(make.ct_series(1)[0], tmp_path, rules=({"keep": "PatientName"},))


def test_rules_release_nothing_that_shows_the_patient(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.BurnedInAnnotation = "YES"
    assert "Burned In Annotation" in why_held(ds, tmp_path, rules=({"keep": "BurnedInAnnotation"},))


def test_own_words_must_be_words() -> None:
    assert Anonymize(keep_words=("two words",)).problems() == (
        '"two words" in keep_words is no single word of letters and digits',
    )


@pytest.mark.parametrize("keyword", ["BurnedInAnnotation", "RecognizableVisualFeatures"])
def test_no_rule_says_that_pixels_are_clean(keyword: str) -> None:
    assert "which the step writes itself" in problems({"replace": keyword, "with": "NO"})[0][0]
    assert problems({"replace": keyword, "with": "YES"}, {"remove": keyword}, {"keep": keyword}) == []
