"""Procedure steps as rows, and what they say a study must have."""

from __future__ import annotations

import json
from dataclasses import replace

from node.index import procedure_steps
from node.index.procedure_steps import COMPLETED, DISCONTINUED, IN_PROGRESS, Step
from node.index.schema import expected
from node.model import UID, Origin
from tests.kit import Kit

CT1 = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")
STEP = Step(sop_instance=UID("1.9"), origin=CT1, study=UID("1.1"), state=IN_PROGRESS, series=())
SERIES = ((UID("1.2"), (UID("1.2.1"), UID("1.2.2"))), (UID("1.3"), ()))


def created(kit: Kit, step: Step) -> bool:
    with kit.database.durable.begin() as connection:
        return procedure_steps.create(connection, step, 1.0)


def changed(kit: Kit, step: Step, at: float = 2.0) -> None:
    with kit.database.durable.begin() as connection:
        procedure_steps.change(connection, step, at)


def read(kit: Kit) -> Step | None:
    with kit.database.durable.begin() as connection:
        return procedure_steps.read(connection, "1.9")


def expectations(kit: Kit) -> list[tuple[str, int, list[str]]]:
    return [(r["series"], r["count"], json.loads(r["instances"])) for r in kit.rows(expected)]


def test_a_step_is_created_once(kit: Kit) -> None:
    assert read(kit) is None
    assert created(kit, STEP)
    assert not created(kit, replace(STEP, study=UID("1.7")))
    found = read(kit)
    assert found == replace(STEP, origin=replace(CT1, sender=""))


def test_nothing_is_expected_while_it_is_in_progress(kit: Kit) -> None:
    created(kit, STEP)
    changed(kit, replace(STEP, series=SERIES))
    assert expectations(kit) == []


def test_when_it_is_over_each_series_is_expected(kit: Kit) -> None:
    created(kit, STEP)
    changed(kit, replace(STEP, state=COMPLETED, series=SERIES))
    assert expectations(kit) == [("1.2", 2, ["1.2.1", "1.2.2"]), ("1.3", 0, [])]
    (row, _) = kit.rows(expected)
    assert {k: row[k] for k in ("source", "peer", "called_ae", "study", "reference", "at")} == {
        "source": "mpps", "peer": "CT1", "called_ae": "NODE", "study": "1.1", "reference": "1.9", "at": 2.0,
    }  # fmt: skip


def test_two_items_of_one_series_are_put_together(kit: Kit) -> None:
    created(kit, STEP)
    twice = (*SERIES, (UID("1.2"), (UID("1.2.2"), UID("1.2.3"))))
    changed(kit, replace(STEP, state=DISCONTINUED, series=twice))
    assert expectations(kit)[0] == ("1.2", 3, ["1.2.1", "1.2.2", "1.2.3"])


def test_saying_it_twice_leaves_one_row_each(kit: Kit) -> None:
    created(kit, STEP)
    changed(kit, replace(STEP, state=COMPLETED, series=SERIES))
    changed(kit, replace(STEP, state=COMPLETED, series=SERIES[:1]), at=3.0)
    assert len(kit.rows(expected)) == 2
