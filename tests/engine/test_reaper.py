"""Looking for dead processes goes on over an outage of the database, and says so once."""

from __future__ import annotations

import logging
import threading
from typing import Any, cast

import pytest
import sqlalchemy as sa

from node.engine.reaper import Reaper


class Away:
    """Locks in a database that goes away after the first one was taken."""

    def __init__(self) -> None:
        self.asked, self.often = 0, threading.Event()

    def hold(self, name: str) -> bool:
        self.asked += 1
        if self.asked > 5:
            self.often.set()
        if self.asked > 1:
            raise sa.exc.OperationalError("SELECT", {}, OSError("terminating connection"))
        return True

    def release(self, name: str) -> None: ...

    def forget(self, name: str) -> None: ...

    def close(self) -> None: ...


def test_a_database_that_is_away_is_one_line_and_no_end(caplog: pytest.LogCaptureFixture) -> None:
    locks = Away()
    one = Reaper(cast("Any", None), locks, "p", cast("Any", None), lambda run, after: None, set(), every=0.01)
    with caplog.at_level(logging.WARNING):
        one.start()
        assert locks.often.wait(10)
        one.stop(keep_alive=False)
    assert caplog.messages == ["looking for dead processes: the database is away: OSError"]
