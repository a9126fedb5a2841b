from __future__ import annotations

import pytest

from node.dicom import deid_content, deid_table


def test_every_row_of_the_edition_is_there() -> None:
    assert len(deid_content.rows()) > 200
    assert {row.basic for row in deid_content.rows().values()} == {"X", "D", "X/D"}
    assert {name for row in deid_content.rows().values() for name in row.keeps | row.cleans} <= set(
        deid_table.options()
    )


@pytest.mark.parametrize(
    ("concept", "basic", "keeps", "cleans"),
    [
        (("DCM", "121022", "TEXT"), "X", set(), set()),  # Accession Number
        (("DCM", "113795", "IMAGE"), "D", {"retain_uids"}, set()),  # Acquired Image
        (("DCM", "126201", "DATE"), "X", {"retain_long_full_dates"}, {"retain_long_modified_dates"}),
        (("DCM", "125203", "TEXT"), "X", set(), {"clean_descriptors"}),  # Acquisition Protocol
    ],
)
def test_rows_read_as_in_the_standard(
    concept: deid_content.Concept, basic: str, keeps: set[str], cleans: set[str]
) -> None:
    row = deid_content.rows()[concept]
    assert (row.basic, row.keeps, row.cleans) == (basic, keeps, cleans)
