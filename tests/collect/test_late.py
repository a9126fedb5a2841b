"""What is owed for late arrivals, by policy."""

from __future__ import annotations

import pytest

from node.collect.late import Late, owed
from node.model import ReceiptId

MEMBERS = [(ReceiptId("early"), 1), (ReceiptId("late"), 2)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Late.RERUN, [("early", "in_job"), ("late", "in_job")]),
        (Late.DELTA, [("late", "in_job")]),
        (Late.HOLD, [("late", "held")]),
        (Late.IGNORE, [("late", "ignored")]),
    ],
)
def test_each_policy_owes_what_it_says(policy: Late, expected: list[tuple[str, str]]) -> None:
    found = owed(policy, MEMBERS, 2, ["archive"])
    assert [(r, state) for r, _, state, _ in found] == expected
    assert all(target == "archive" for _, target, _, _ in found)
    assert all(bool(reason) == (state in ("held", "ignored")) for _, _, state, reason in found)


def test_each_target_is_owed_on_its_own() -> None:
    found = owed(Late.RERUN, MEMBERS[:1], 1, ["archive", "share"])
    assert [(r, target) for r, target, _, _ in found] == [("early", "archive"), ("early", "share")]


def test_a_route_that_sends_nowhere_owes_its_output() -> None:
    assert owed(Late.RERUN, MEMBERS[:1], 1, []) == [("early", "output", "in_job", "")]
