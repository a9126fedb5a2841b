from __future__ import annotations

from pathlib import Path

from node.config import load_text
from node.rehearsal import RouteTestResult, run_tests
from tests.config.steps import STEPS

ROUTES = """\
node: {ae_title: NODE}
routes:
  - {name: ct, when: {Modality: CT, called_ae: NODE}, steps: [drop]}
  - {name: gated, when: {RequestAttributesSequence.ScheduledProcedureStepID: "G*"}, steps: [drop]}
  - {name: private, when: {any: {'(0019,"ACME",0c)': 7, '(0019,"OTHER",0c)': 8}}, steps: [drop]}
  - {name: study, when: {all: [{Modality: CT}, {Modality: PT}]}, unit: study, steps: [drop]}
  - {name: chest, when: {StudyDescription: "*chest*"}, steps: [drop]}
  - {name: early, when: {StudyDate: {lt: 2024-01-01}, sender: 10.0.0.0/8}, steps: [drop]}
"""


def result(given: str, expect: str, more: str = "") -> RouteTestResult:
    text = ROUTES + f"tests: [{{name: t, given: {given}, expect: {expect}{more}}}]"
    return run_tests(load_text(text, STEPS, folder=Path("/site")))[0]


def test_what_is_given_goes_where_it_is_expected() -> None:
    assert result("{Modality: CT}", "[ct]").passed
    assert result("{Modality: CT, called_ae: OTHER}", "[]").passed
    assert result("{RequestAttributesSequence.ScheduledProcedureStepID: G1}", "gated").passed
    assert result("""{'(0019,"OTHER",0c)': 8, '(0019,"ACME",0c)': 1}""", "private").passed
    assert result("""{'(0019,"OTHER",0c)': 7, '(0019,"ACME",0c)': 8}""", "[]").passed
    assert result("{StudyDate: 2023-12-31, sender: 10.1.1.1}", "early").passed


def test_several_instances_make_one_unit_of_each_kind() -> None:
    both = "[{Modality: CT}, {Modality: PT}]"
    assert result(both, "[ct, study]").passed
    assert result(both, "[study]", ", unit: study").passed


def test_a_failed_test_says_which_route_and_why() -> None:
    found = result("{Modality: MR}", "[ct]")
    assert (found.passed, found.expected, found.got) == (False, ("ct",), ())
    assert found.because == ("ct: Modality: no instance is CT (found MR)",)


def test_a_value_that_the_index_would_not_keep_does_not_pass_here_either() -> None:
    found = result(f"{{StudyDescription: chest {'x' * 60}}}", "[chest]")
    assert not found.passed
    assert "cannot tell" in found.because[0]
