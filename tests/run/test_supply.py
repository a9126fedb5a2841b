"""Steps get what they declared, and are refused what this node does not have."""

from __future__ import annotations

import pytest

from node.errors import CannotSucceed
from node.index import readings
from node.index.readings import Subject
from node.run.supply import Supply
from node.steps.check import Check
from tests import make
from tests.kit import Kit
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


def test_what_is_announced_is_nothing_where_there_is_no_index() -> None:
    assert Supply({}).for_step(Check()) == {"announced": ()}
    assert Supply({}).for_step(Check(), {"announced": lambda: (1,)}) == {"announced": (1,)}


def test_a_job_is_told_what_others_counted_also_after_anonymize(working: Kit) -> None:
    series = make.ct_series(3)
    working.rules("routes: [{name: r, when: always, steps: [anonymize, check]}]")
    working.index(*series)
    (key,) = working.close()
    of = Subject(peer="PACS", called_ae="NODE", study=series[0].StudyInstanceUID)
    with working.database.durable.begin() as connection:
        readings.claim(connection, of, 1, 1.0, "kit")
        readings.answer(connection, of, 1, 1.0, study=None, series={series[0].SeriesInstanceUID: 4}, instances={})
    working.run(key)
    assert "fewer_than_announced: 3 of 4 instances: PACS counted (C-FIND)" in working.reasons(key).pop()
