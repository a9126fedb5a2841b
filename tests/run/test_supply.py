"""Steps get what they declared, and are refused what this node does not have."""

from __future__ import annotations

import pytest

from node.errors import CannotSucceed
from node.run.supply import Supply
from tests.run.steps_for_tests import Obey, Pile


def test_a_step_gets_what_it_needs_and_nothing_else() -> None:
    supply = Supply({"secret": lambda: b"key", "weather": lambda: "sun"})
    assert supply.for_step(Pile()) == {"secret": b"key"}
    assert supply.for_step(Obey()) == {}


def test_what_this_node_does_not_have_is_named() -> None:
    with pytest.raises(CannotSucceed, match="pile needs secret"):
        Supply({}).for_step(Pile())


def test_a_thing_is_made_when_a_step_needs_it() -> None:
    made = []
    supply = Supply({"secret": lambda: made.append(1)})
    supply.for_step(Obey())
    assert made == []
