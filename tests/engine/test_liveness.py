"""A lock shows that its holder lives, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.engine.liveness import AdvisoryLocks, FileLocks, Locks
from node.index.database import open_database
from tests.engine.conftest import STARTER, kill, wait_for
from tests.engine.worker import hold

Opener = Callable[[], Locks]


@pytest.fixture
def another(database_url: str, tmp_path: Path) -> Iterator[Opener]:
    """Makes the locks of one more process."""
    database = open_database(database_url, tmp_path, full_sync=False)
    made: list[Locks] = []

    def make() -> Locks:
        made.append(FileLocks(tmp_path) if database_url == "sqlite" else AdvisoryLocks(database))
        return made[-1]

    yield make
    for locks in made:
        locks.close()
    database.dispose()


def test_only_one_holds_a_name(another: Opener) -> None:
    mine, other = another(), another()
    assert mine.hold("a")
    assert mine.hold("a")
    assert not other.hold("a")
    assert other.hold("b")
    mine.release("a")
    mine.release("a")
    assert other.hold("a")


def test_whoever_closes_is_dead_to_the_others(another: Opener) -> None:
    mine, other = another(), another()
    assert mine.hold("a")
    mine.close()
    assert other.hold("a")


def test_a_forgotten_name_can_be_held_again(another: Opener) -> None:
    mine, other = another(), another()
    assert mine.hold("a")
    mine.forget("a")
    assert other.hold("a")
    assert not mine.hold("a")


def test_kill_9_frees_the_lock(tmp_path: Path) -> None:
    process = STARTER.Process(target=hold, args=(tmp_path,))
    process.start()
    survivor = FileLocks(tmp_path)
    try:
        wait_for(lambda: (tmp_path / "held").exists())
        assert not survivor.hold("a")
    finally:
        kill(process)
    assert survivor.hold("a")
    survivor.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_session_takes_its_locks_along_and_they_can_be_retaken(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url, tmp_path, full_sync=False)
    locks, other = AdvisoryLocks(database), AdvisoryLocks(database)
    assert locks.hold("a")
    assert locks.hold("b")
    with database.begin() as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"),
        )
    assert locks.hold("a")
    assert other.hold("b")
    assert not locks.hold("b")
    with database.begin() as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"),
        )
    locks.release("a")  # lost with its session, which is no reason to fail
    assert locks.hold("a")
    locks.close()
    other.close()
    database.dispose()
