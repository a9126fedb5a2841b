from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG

_SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "ps315_table.json"


def test_every_row_of_the_edition_is_there() -> None:
    assert deid_table.edition() == "2026d"
    codes = Counter(row.basic for row in deid_table.rows().values())
    # Three of the table's 657 rows are overlays and curves, one is private attributes; all four say X.
    assert codes == {"X": 413, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2}


@pytest.mark.parametrize(
    ("tag", "basic", "keeps"),
    [
        (0x00100010, "Z", set()),
        (0x00100040, "Z", {"retain_patient_characteristics"}),
        (0x00080018, "U", {"retain_uids"}),
        (0x00181002, "U", {"retain_uids", "retain_device_identity"}),
        (0x00080080, "X/Z/D", {"retain_institution_identity"}),
        (0x00080021, "X/D", {"retain_long_full_dates"}),
        (0x00081140, "X/Z/U*", {"retain_uids"}),
    ],
)
def test_rows_read_as_in_the_standard(tag: int, basic: str, keeps: set[str]) -> None:
    row = deid_table.rows()[tag]
    assert (row.basic, row.keeps) == (basic, keeps)


def test_it_agrees_with_the_table_it_was_made_from() -> None:
    if not _SHARED.is_file():
        pytest.skip(f"the source table is not here: {_SHARED}")
    source = json.loads(_SHARED.read_text())
    rows = deid_table.rows()
    concrete = [row for row in source["attributes"] if row["tag"][1:5].isalnum() and "x" not in row["tag"]]
    concrete = [row for row in concrete if "gggg" not in row["tag"]]
    assert len(concrete) == len(rows) == 653
    for row in concrete:
        ours = rows[int(row["tag"][1:5] + row["tag"][6:10], 16)]
        assert ours.basic == row["basic"]
        assert ours.keeps == {name for name in deid_table.options() if row[name] == "K"}
        assert ours.cleans == {name for name in deid_table.options() if row[name] == "C"}
    assert len(deid_table.safe_private()) == len(source["safe_private"])


def test_safe_private_elements_are_found_by_creator_and_not_by_block() -> None:
    assert deid_table.safe_private()[0x0019, "SIEMENS MR HEADER", 0x0C] == "IS"
    assert (0x0019, "SOMEBODY", 0x0C) not in deid_table.safe_private()


def test_every_option_and_every_row_has_a_meaning_here() -> None:
    assert set(deid_table.options()) <= set(deid_table.METHOD_CODES)
    assert len({code for code, _ in deid_table.METHOD_CODES.values()}) == 13
    unknown = [tag for tag in deid_table.rows() if tag not in VR_BY_TAG]
    assert len(unknown) < 40, "attributes newer than the data dictionary"


def test_curves_and_overlays_are_repeating_groups() -> None:
    assert [deid_table.is_repeating(tag) for tag in (0x60003000, 0x601E0022, 0x50000010, 0x00100010, 0x7FE00010)] == [
        True, True, True, False, False,
    ]  # fmt: skip
