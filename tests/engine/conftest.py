"""One folder, one database and any number of working processes."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.engine.engine import Engine
from node.index.database import open_database
from tests.engine.worker import work

Event = dict[str, Any]

# A process that has imported everything, has no thread and no connection, and forks each worker: they start in
# a tenth of a second, not in one.
STARTER = multiprocessing.get_context("forkserver")
STARTER.set_forkserver_preload(["tests.engine.worker"])


class House:
    """The data folder, its database, a client, and the processes that work there."""

    def __init__(self, url: str, data: Path) -> None:
        self.url, self.data = url, data
        self.database = open_database(url, data, full_sync=True)
        self.client = Engine(self.database, data, "client")
        self.processes: list[BaseProcess] = []

    def start(self, main: Callable[..., None] = work, **options: Any) -> BaseProcess:
        name = f"process-{len(self.processes)}"
        process = STARTER.Process(target=main, args=(self.url, self.data, name), kwargs=options)
        process.start()
        self.processes.append(process)
        return process

    def started(self, **options: Any) -> BaseProcess:
        """Start a process and wait until it works."""
        before = self.count("ready")
        process = self.start(**options)
        self.wait(lambda: self.count("ready") > before)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join(10)
            process.kill()
            process.join()

    def events(self, what: str = "", key: str = "") -> list[Event]:
        file = self.data / "events"
        found: list[Event] = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [event for event in found if what in ("", event["what"]) and key in ("", event.get("key"))]

    def count(self, what: str, key: str = "") -> int:
        return len(self.events(what, key))

    def steps(self, what: str, key: str) -> list[int]:
        return [event["number"] for event in self.events(what, key)]

    def wait(self, until: Callable[[], object], seconds: float = 20) -> None:
        wait_for(until, seconds, self.story)

    def story(self) -> str:
        """What happened so far, for a failed test."""
        log = self.data / "log"
        return "\n".join([*(str(event) for event in self.events()), log.read_text() if log.exists() else ""])

    def job(self, key: str, steps: int = 3, **options: Any) -> bool:
        with self.database.begin() as connection:
            return self.client.enqueue_job(connection, key, steps, **options)

    def delivery(self, key: str, destination: str, concurrent: int, **options: Any) -> bool:
        with self.database.begin() as connection:
            return self.client.enqueue_delivery(connection, key, destination, concurrent, **options)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All of one of DBOS's tables."""
        schema = "" if self.database.dialect.name == "sqlite" else "dbos."
        with self.database.begin() as connection:
            return [dict(row._mapping) for row in connection.execute(sa.text(f"SELECT * FROM {schema}{table}"))]

    @contextmanager
    def refusing(self, tables: list[str]) -> Iterator[None]:
        """SQLite takes no change of these tables of DBOS's, with an operational error as when the disk is full."""
        changes = [(f"no_{what}_{table}", what, table) for table in tables for what in ("INSERT", "UPDATE")]
        with self.database.begin() as connection:
            for name, what, table in changes:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER {name} BEFORE {what} ON {table} BEGIN INSERT INTO no_such_table VALUES (1); END"
                )
        yield
        with self.database.begin() as connection:
            for name, _, _ in changes:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")

    def go(self) -> None:
        (self.data / "go").touch()


@contextmanager
def opened(url: str, data: Path) -> Iterator[House]:
    house = House(url, data)
    try:
        yield house
    finally:
        house.go()
        house.stop()
        house.client.stop(0)
        house.database.dispose()


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    with opened(database_url, tmp_path) as made:
        yield made


def wait_for(until: Callable[[], object], seconds: float = 20, story: Callable[[], str] = str) -> None:
    """Look again and again, up to a deadline. `story` tells a failed test what happened instead."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, story()
        time.sleep(0.02)


def kill(process: BaseProcess) -> None:
    """kill -9."""
    process.kill()
    process.join()
