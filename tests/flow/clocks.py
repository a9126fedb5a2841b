"""A wall clock that jumps under a whole node, while the real one goes on for everybody else.

A node asks for the time in three places, and a jump of its machine's clock moves them together: the `clock` that
is passed in, `time.time` (the engine, and ages of folders), and SQLite, whose clock is its machine's.
PostgreSQL's clock is that of another machine, and stays.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import event


class WallClock:
    """Real time, plus `shift`."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self.asked = 0
        """How often somebody looked since the jump."""
        self._time, self._time_ns = time.time, time.time_ns

    def jump(self, hours: float) -> None:
        self.shift, self.asked = timedelta(hours=hours), 0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        self.asked += 1
        return self._time() + self.shift.total_seconds()

    def time_ns(self) -> int:
        self.asked += 1
        return self._time_ns() + int(self.shift.total_seconds() * 1e9)

    def strftime(self, form: str, when: str) -> str:
        """SQLite's function of this name, for 'now'."""
        assert when == "now", when
        moment = self.now()
        if form == "%s":
            return str(int(moment.timestamp()))
        assert form == "%Y-%m-%dT%H:%M:%f", form
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}"


@contextmanager
def wall_clock() -> Iterator[WallClock]:
    """In place of the real one, for everything in this process that asks between now and the end."""
    clock = WallClock()

    def connected(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("strftime", 2, clock.strftime)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", clock.time)
        patch.setattr(time, "time_ns", clock.time_ns)
        event.listen(sa.Pool, "connect", connected)
        try:
            yield clock
        finally:
            event.remove(sa.Pool, "connect", connected)
