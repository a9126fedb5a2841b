"""Damaged frames are refused or decoded to the right shape; one that crashes its codec costs its worker and no more."""

from __future__ import annotations

import pytest

from node.imaging.targets import TARGETS
from node.pool import Pool, WorkerDied
from tests.imaging.damaged import outcomes
from tests.pool import tasks

ENCAPSULATED = [name for name, target in TARGETS.items() if target.encapsulated]


@pytest.mark.parametrize("name", ENCAPSULATED)
def test_damage_is_refused_or_decoded_to_the_right_shape(name: str, pool: Pool) -> None:
    crashed, found = 0, 0
    for first in range(0, 200, 20):
        try:
            found += outcomes_of(pool, name, first)
        except WorkerDied:
            crashed += 1
        assert pool.call(tasks.add, 1, 1) == 2
    assert found + 20 * crashed == 200
    assert crashed <= 2, "a codec that often crashes is not one to rely on"


def outcomes_of(pool: Pool, name: str, first: int) -> int:
    found = pool.call(outcomes, name, first, 20)
    assert set(found) <= {"refused", "decoded"}
    assert found["refused"]
    return found.total()
