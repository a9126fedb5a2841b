"""What the node knows of every instance, unit, job and obligation. Derived from the spool where it can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from node.index.database import check_versions, database_clock, open_database, open_reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database behind three doors, each with its promise."""

    derived: sa.Engine
    """Writes what can be derived again from the spool: a commit does not wait for the disk."""
    durable: sa.Engine
    """Writes what cannot: a commit returns when it is on the disk."""
    reader: sa.Engine
    """Reads one state; never holds up a writer."""

    def now(self, connection: sa.Connection) -> float:
        """Seconds since 1970, by the clock that all processes share."""
        return database_clock(connection).timestamp()

    def close(self) -> None:
        for engine in (self.derived, self.durable, self.reader):
            engine.dispose()


def connect(url: str, data: Path) -> Database:
    """Open the database; its schema is `versions.prepare`'s to check. Raises ConfigurationError."""
    data.mkdir(parents=True, exist_ok=True)
    durable = open_database(url, data, full_sync=True)
    check_versions(durable)
    if url != "sqlite":  # every commit of PostgreSQL is on the disk: the two doors may be one
        return Database(derived=durable, durable=durable, reader=open_reader(url, data))
    return Database(derived=open_database(url, data, full_sync=False), durable=durable, reader=open_reader(url, data))
