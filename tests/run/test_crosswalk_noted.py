"""What the crosswalk gave a step is noted in the main database before it leaves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from node.crosswalk import Crosswalk
from node.crosswalk.mark import Mark, hold_against
from node.index.versions import read_meta
from tests import make
from tests.kit import Kit

RULES = """
destinations: {a: {folder: ./a, accepts: deidentified}}
routes: [{name: r, when: always, steps: [{anonymize: {numbers: SITE-}}, {forward: a}]}]
"""


@pytest.fixture
def crosswalk(working: Kit, monkeypatch: pytest.MonkeyPatch) -> Crosswalk:
    """Of a node that has started with it."""
    made = working.crosswalk()
    known = replace(made, id=hold_against(working.database, made.doors).id)
    monkeypatch.setattr(working, "crosswalk", lambda: known)
    return known


def ran(working: Kit) -> str:
    working.rules(RULES)
    working.index(make.ct_series(1)[0])
    (key,) = working.close()
    working.run(key)
    return key


def noted(working: Kit) -> Mark:
    with working.database.reader.connect() as connection:
        return Mark(**json.loads(read_meta(connection, "crosswalk") or ""))


@pytest.mark.usefixtures("crosswalk")
def test_the_numbers_of_a_job_are_noted(working: Kit) -> None:
    before = noted(working).numbers.get("SITE-", 0)
    key = ran(working)
    assert list(working.deliveries()) == [f"{key}>a"]
    assert noted(working).patients > 0
    assert noted(working).numbers["SITE-"] >= max(before, 1)


def test_what_another_crosswalk_gave_does_not_leave(
    working: Kit, crosswalk: Crosswalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made anew beside a node that runs: its step is told of none that it would have to have."""
    crosswalk.key("", "T-0001", "")
    monkeypatch.setattr(working, "crosswalk", lambda: replace(crosswalk, id="another"))
    key = ran(working)
    assert working.jobs() == {key: "held"}
    (reason,) = working.reasons(key)
    assert "the crosswalk is not the one that the node started with" in reason
    assert not working.deliveries()
