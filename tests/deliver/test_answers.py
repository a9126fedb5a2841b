from __future__ import annotations

import pytest

from node.deliver.answers import answer
from node.deliver.base import Outcome

D, R, A = Outcome.DELIVERED, Outcome.REFUSED, Outcome.AGAIN


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *((0x0000, D), (0x0001, D), (0x0107, D), (0xB000, D), (0xB006, D), (0xB007, D)),
        *((0xA700, A), (0xA7FF, A), (0x0110, A), (0x0213, A)),
        *((0xA900, R), (0xA9FF, R), (0xC000, R), (0xC210, R), (0x0117, R), (0x0122, R), (0x0124, R), (0x0111, R)),
    ],
)
def test_each_status_has_its_outcome(code: int, outcome: Outcome) -> None:
    result = answer(code, "ARCHIVE")
    assert (result.outcome, result.status) == (outcome, code)


def test_only_plain_success_needs_no_words() -> None:
    assert answer(0x0000, "ARCHIVE").text == ""
    for code in (0xB000, 0xA700, 0xC000, 0x1234):
        assert f"0x{code:04X}" in answer(code, "ARCHIVE").text


@pytest.mark.parametrize("code", [0x1234, 0x0199, 0xFFFF])
def test_an_unknown_failure_is_never_a_delivery(code: int) -> None:
    assert answer(code, "ARCHIVE").outcome is not D
