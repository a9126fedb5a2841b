from __future__ import annotations

from itertools import combinations

import pytest

from node.dicom import deid_table
from node.steps.anonymize.options import AVAILABLE, OPTIONS, UNAVAILABLE, problems_with

DATES = {"retain_long_full_dates", "retain_long_modified_dates"}


def test_every_option_of_the_standard_is_declared_with_its_code() -> None:
    assert set(OPTIONS) == set(deid_table.METHOD_CODES) - {"basic"}
    assert sorted(option.code for option in OPTIONS.values()) == [str(code) for code in range(113101, 113113)]
    assert set(deid_table.options()) <= set(OPTIONS)


def test_every_option_is_available() -> None:
    assert set(AVAILABLE) == set(OPTIONS)
    assert not UNAVAILABLE


def test_who_excludes_is_excluded() -> None:
    for option in OPTIONS.values():
        for other in option.excludes:
            assert option.name in OPTIONS[other].excludes


@pytest.mark.parametrize("pair", list(combinations(AVAILABLE, 2)), ids="-".join)
def test_only_the_two_kinds_of_dates_exclude_each_other(pair: tuple[str, str]) -> None:
    problems = problems_with(pair)
    assert bool(problems) == (set(pair) == DATES)
    if problems:
        assert "PS3.15 E.3.6" in problems[0]
        assert "remove one" in problems[0]


def test_all_that_is_allowed_together_is_allowed_together() -> None:
    for dates in DATES:
        assert problems_with([name for name in AVAILABLE if name not in DATES - {dates}]) == ()


def test_each_mistake_is_said() -> None:
    assert problems_with(["retain_uid", "retain_uids", "retain_uids"]) == (
        'unknown option "retain_uid". Did you mean "retain_uids"?',
        'option "retain_uids" is given twice',
    )
