"""Which regions are wanted and what they are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.masks.naming import Others, choose, problems_of


def names(regions: list[str], table: dict[str, str], others: Others = "drop") -> list[tuple[str, str, int]]:
    called, _ = choose(list(enumerate(regions, 1)), table, others)
    return [(one.name, one.file, one.label) for one in called]


def test_without_a_table_all_regions_keep_their_names() -> None:
    assert names(["Lung_L", "PTV 60/2", "", "Herz\u00e4"], {}) == [
        ("Lung_L", "Lung_L", 1), ("PTV 60/2", "PTV_60_2", 2), ("ROI_3", "ROI_3", 3), ("Herz\u00e4", "Herza", 4),
    ]  # fmt: skip


def test_the_first_row_that_fits_the_whole_name_in_any_case_names_it() -> None:
    table = {r"lung[ _]?l(eft)?": "lung_left", r"lung.*": "lung", r"ptv[ _]?(\d+).*": r"PTV_\1"}
    given = ["LUNG L", "Lung_R", "ptv 60 opt", "my lung l"]
    assert names(given, table) == [("lung_left", "lung_left", 1), ("lung", "lung", 2), ("PTV_60", "PTV_60", 3)]
    assert choose(list(enumerate(given)), table, "drop")[1] == [3]


def test_a_structure_has_the_value_of_its_row_whichever_others_are_there() -> None:
    table = {"heart": "heart", "cord": "cord", "lung": "lung"}
    assert names(["lung", "heart"], table) == [("lung", "lung", 3), ("heart", "heart", 1)]


def test_others_may_be_kept_and_come_after_the_rows() -> None:
    assert names(["x", "heart", "y"], {"heart": "heart", "cord": "cord"}, "keep") == [
        ("x", "x", 3), ("heart", "heart", 1), ("y", "y", 4),
    ]  # fmt: skip


def test_regions_that_are_called_alike_have_files_of_their_own() -> None:
    found = names(["PTV a", "ptv b", "ptv_2"], {"ptv.*": "PTV"})
    assert [file for _, file, _ in found] == ["PTV", "PTV_2", "PTV_3"]


@given(st.lists(st.text(max_size=70), max_size=8))
def test_file_names_are_plain_unique_and_never_empty(regions: list[str]) -> None:
    files = [file for _, file, _ in names(regions, {})]
    assert len({file.casefold() for file in files}) == len(regions)
    assert all(
        file and set(file) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-_") for file in files
    )
    assert all(0 < len(name) <= 64 for name, _, _ in names(regions, {}))


@pytest.mark.parametrize(
    ("table", "problem"),
    [({"(": "x"}, "missing )"), ({"a": r"\1"}, "invalid group reference"), ({"a": " "}, '"a" has no name')],
)  # fmt: skip
def test_a_table_that_cannot_work_is_said(table: dict[str, str], problem: str) -> None:
    (said,) = problems_of(table)
    assert problem in said
    assert not problems_of({"a(.)": r"\1x"})
