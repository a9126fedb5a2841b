"""A job that is run again: what an edited recipe holds does not leave as it was before, and one that
lacked only threads, memory or a whole database is run again at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.kit import Kit
from tests.run.test_runner import queued, route, wishing


@pytest.mark.parametrize("wishes", [("", "hold"), ("fail",)])
def test_what_an_edited_recipe_holds_does_not_leave_as_it_was_made_before(
    working: Kit, tmp_path: Path, wishes: Sequence[str]
) -> None:
    """A step behind `forward` held it at the first try, and what that sent still waits for its archive."""
    lenient = tmp_path / "lenient"
    lenient.touch()
    rules = route(f"{{obey: {{until: '{lenient}'}}}}", "{forward: a}", "obey", "{forward: b}")
    key, receipts = queued(working, rules, wishing(*wishes))
    working.run(key)
    assert working.parcels(f"{key}>a") == ["waiting"] * len(wishes)
    lenient.unlink()
    for _ in range(2):
        working.acts().retry(key)
        working.run(key)
        *others, last = working.parcels(f"{key}>a")
        assert (set(others) <= {"waiting"}, last) == (True, "held")
        assert working.owed(key, "a")[receipts[-1]] == "held"
    lenient.touch()
    working.acts().retry(key)
    working.run(key)
    assert working.parcels(f"{key}>a") == ["waiting"] * len(wishes)
    assert working.ledger().balanced


@pytest.mark.parametrize(
    "error",
    [RuntimeError("can't start new thread"), MemoryError(),
     sa.exc.DatabaseError("", {}, sqlite3.DatabaseError("database disk image is malformed"))],
)  # fmt: skip
def test_what_the_machine_lacks_is_no_fault_of_the_node(
    working: Kit, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lacks(*_: object) -> None:
        raise error

    key, _ = queued(working, route("obey"), wishing("works"))
    monkeypatch.setattr("node.run.runner.needs_all", lacks)
    assert working.run(key).verdict == "again"
    assert working.jobs() == {key: "running"}
    assert "tried again in 5 s" in caplog.text
