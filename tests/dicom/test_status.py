from __future__ import annotations

from itertools import pairwise

import pytest
from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from node.dicom import status


def test_the_table_is_in_order_and_without_overlap() -> None:
    assert all(a.first <= a.last < b.first for a, b in pairwise(status.TABLE))


def test_outcomes_are_those_pynetdicom_knows() -> None:
    theirs = {code: row[0] for code, row in (STORAGE_SERVICE_CLASS_STATUS | GENERAL_STATUS).items()}
    known = {code: kind.lower() for code, kind in theirs.items() if kind in ("Success", "Warning", "Failure")}
    assert len(known) > 20
    assert {code: str(status.meaning(code).outcome) for code in known} == known


@pytest.mark.parametrize("code", [0x0110, 0x0213, 0xA700, 0xA7FF, 0xA801])
def test_a_peers_own_trouble_is_worth_another_try(code: int) -> None:
    assert status.worth_retrying(code)


@pytest.mark.parametrize(
    "code", [0x0000, 0xB000, 0x0111, 0x0117, 0x0122, 0x0124, 0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x1234]
)
def test_an_objects_own_fault_is_not(code: int) -> None:
    assert not status.worth_retrying(code)


def test_a_warning_is_not_a_success_but_the_peer_has_it() -> None:
    assert [status.is_success(c) for c in (0x0000, 0xB000, 0xA700)] == [True, False, False]
    assert [status.is_warning(c) for c in (0x0000, 0xB000, 0xB123, 0x0107, 0xA700)] == [False, True, True, True, False]


def test_a_status_is_shown_with_its_code_and_name() -> None:
    assert status.describe(0xA702) == "0xA702 refused: out of resources"
    assert status.describe(0x1234) == "0x1234 failure of the peer's own"
