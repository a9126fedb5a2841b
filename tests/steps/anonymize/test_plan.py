from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.dicom.attributes import PrivateTag, tag_of
from node.steps.anonymize.evidence import mark
from node.steps.anonymize.plan import NO_RULES, Do, Rules, compile_plan, laid_over
from tests import make
from tests.steps.anonymize.driver import result

BASIC: frozenset[str] = frozenset()
SAFE = frozenset({"retain_safe_private"})


def tag(keyword: str) -> int:
    found = tag_of(keyword)
    assert found is not None
    return found


DESCRIPTION, INSTITUTION, PLAIN = tag("StudyDescription"), tag("InstitutionName"), tag("KVP")
MR_HEADER = PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C)


def test_rules_lie_over_the_profile_at_every_depth() -> None:
    plan = compile_plan(BASIC, Rules(actions={DESCRIPTION: Do.CLEAN, INSTITUTION: "Trial 7"}), make.CT_IMAGE)
    assert plan.top[DESCRIPTION] is plan.nested[DESCRIPTION] is Do.CLEAN
    assert plan.top[INSTITUTION] == plan.nested[INSTITUTION] == "Trial 7"
    assert not [place for place in plan.items if place[1] == INSTITUTION]
    assert [place for place in compile_plan(BASIC, NO_RULES, make.CT_IMAGE).items if place[1] == INSTITUTION]


def test_a_plan_says_what_it_needs() -> None:
    basic = compile_plan(BASIC, NO_RULES, make.CT_IMAGE)
    assert (basic.cleans, basic.shifts, basic.maps_uids) == (False, False, True)
    assert compile_plan(frozenset({"clean_descriptors"}), NO_RULES, make.CT_IMAGE).cleans
    assert compile_plan(frozenset({"clean_structured_content"}), NO_RULES, make.CT_IMAGE).cleans
    assert compile_plan(BASIC, Rules(paths={(DESCRIPTION, PLAIN): Do.CLEAN}), make.CT_IMAGE).cleans
    assert compile_plan(BASIC, Rules(private={MR_HEADER: Do.SHIFT}), make.CT_IMAGE).shifts
    assert compile_plan(frozenset({"retain_long_modified_dates"}), NO_RULES, make.CT_IMAGE).shifts


def test_the_state_of_dates_is_that_of_the_options_and_rules() -> None:
    def dates(options: frozenset[str], rules: Rules = NO_RULES) -> str | None:
        return compile_plan(options, rules, make.CT_IMAGE).dates

    assert dates(BASIC) == "REMOVED"
    assert dates(frozenset({"retain_long_full_dates"})) == "UNMODIFIED"
    assert dates(frozenset({"retain_long_modified_dates"})) == "MODIFIED"
    assert dates(BASIC, Rules(actions={tag("StudyDate"): Do.SHIFT})) == "MODIFIED"


@pytest.mark.parametrize("options", [BASIC, frozenset({"retain_long_modified_dates"})], ids=["removed", "moved"])
def test_nothing_is_said_of_dates_where_a_rule_keeps_some(options: frozenset[str]) -> None:
    place = (0x00400275, tag("StudyDate"))
    for rules in (Rules(actions={tag("StudyDate"): Do.KEEP}), Rules(paths={place: Do.KEEP})):
        plan = compile_plan(options, rules, make.CT_IMAGE)
        assert plan.dates is None
        ds = Dataset()
        ds.LongitudinalTemporalInformationModified = "REMOVED"
        mark(ds, plan)
        assert "LongitudinalTemporalInformationModified" not in ds
    assert compile_plan(options, Rules(actions={tag("SeriesDescription"): Do.KEEP}), make.CT_IMAGE).dates


def test_private_elements_are_kept_by_the_option_and_by_rules() -> None:
    key = (0x0019, "SIEMENS MR HEADER", 0x0C)
    assert key not in compile_plan(BASIC, NO_RULES, make.CT_IMAGE).private
    assert compile_plan(SAFE, NO_RULES, make.CT_IMAGE).private[key] == "IS"
    assert key not in compile_plan(SAFE, Rules(private={MR_HEADER: Do.REMOVE}), make.CT_IMAGE).private
    ruled = compile_plan(BASIC, Rules(private={MR_HEADER: Do.EMPTY}), make.CT_IMAGE)
    assert (ruled.private, ruled.private_actions) == ({}, {key: Do.EMPTY})
    assert compile_plan(BASIC, Rules(private={MR_HEADER: Do.KEEP}), make.CT_IMAGE).private == {key: ""}


def test_what_is_above_counts_and_takes_back_what_was_added_below() -> None:
    recipe = Rules(
        actions={DESCRIPTION: Do.KEEP, INSTITUTION: "A"}, add={INSTITUTION: "A", PLAIN: "1"}, digest="r", weakens=True
    )
    site = Rules(actions={INSTITUTION: Do.REMOVE}, private={MR_HEADER: Do.KEEP}, rules_digest="s")
    both = laid_over(recipe, site)
    assert both.actions == {DESCRIPTION: Do.KEEP, INSTITUTION: Do.REMOVE}
    assert both.add == {PLAIN: "1"}
    assert (both.digest, both.rules_digest, both.weakens) == ("r", "s", True)
    assert laid_over(NO_RULES, NO_RULES) == NO_RULES


def test_in_an_item_the_sequence_decides_what_becomes_of_an_attribute(tmp_path: Path) -> None:
    """Institution Name is Type 1C of a person (PS3.3 Table 10-1) and Type 3 of contributing equipment (C.12.1)."""
    ds = make.ct_series(1)[0]
    ds.ContributingEquipmentSequence = Sequence([Dataset()])
    equipment = ds.ContributingEquipmentSequence[0]
    equipment.Manufacturer, equipment.InstitutionName = "ACME", "St. Agnes"
    equipment.OperatorIdentificationSequence = Sequence([Dataset()])
    equipment.OperatorIdentificationSequence[0].InstitutionName = "St. Agnes"
    ruled = result(ds, tmp_path, rules=({"keep": ["ContributingEquipmentSequence", "OperatorIdentificationSequence"]},))
    after = ruled.ContributingEquipmentSequence[0]
    assert after.Manufacturer == "ACME"
    assert "InstitutionName" not in after
    assert after.OperatorIdentificationSequence[0].InstitutionName == "ANONYMIZED"
