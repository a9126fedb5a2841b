from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.cli.demo import on_the_way
from node.index.ledger import Ledger
from node.model import ReceiptId, State
from tests.cli.command import program


@pytest.mark.parametrize(
    ("states", "obligations", "without_row", "moving"),
    [
        ({State.HELD: 1, State.DELIVERED: 1}, {"held": 1, "delivered": 3}, 0, 0),
        ({State.WAITING: 1}, {"waiting": 2}, 0, 1),
        ({State.IN_JOB: 1, State.WAITING: 1}, {"in_job": 1, "waiting": 1}, 0, 2),
        ({State.DELIVERED: 1}, {"delivered": 1}, 1, 1),
        # Held at one destination, and on its way to another.
        ({State.HELD: 1}, {"held": 1, "waiting": 1}, 0, 1),
        ({State.HELD: 1}, {"held": 1, "in_job": 1}, 0, 1),
    ],
)
def test_what_is_held_and_goes_on_elsewhere_is_on_the_way(
    states: dict[State, int], obligations: dict[str, int], without_row: int, moving: int
) -> None:
    ledger = Ledger(
        states={state: states.get(state, 0) for state in State}, obligations=obligations,
        acknowledged=sum(states.values()) + without_row,
        without_row=tuple(ReceiptId(f"{n:032x}") for n in range(without_row)), unaccounted=(), missing=(),
    )  # fmt: skip
    assert on_the_way(ledger) == moving


def test_the_demo_ends_well_and_what_it_says_is_on_the_disk(tmp_path: Path) -> None:
    process = program("demo", "--json", "--data", tmp_path)
    out, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
    facts = json.loads(out)
    assert facts["missing"] == []
    assert facts["balanced"] is True
    assert facts["sent"]["offered"] == facts["sent"]["acknowledged"] == facts["acknowledged"] > 50
    assert facts["repeated"] == 0
    kept = sorted(path.stem for path in (tmp_path / "archive").glob("*.dcm"))
    assert len(kept) == facts["archive"] == facts["ledger"]["delivered"], (kept, facts)
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("*.nii.gz")) == facts["volumes"]
    assert facts["volumes"]
