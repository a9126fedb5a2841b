"""A database with its schema, and what the index says, for the tests of rows and sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.index import Database, connect
from node.index.intake import Intake
from node.index.schema import receipt
from node.index.versions import prepare
from node.model import UnitKind


@contextmanager
def opened(url: str, data: Path) -> Iterator[Database]:
    database = connect(url, data)
    prepare(database.durable, data)
    try:
        yield database
    finally:
        database.close()


def intake(database: Database) -> Intake:
    return Intake(database, lambda: {UnitKind.SERIES, UnitKind.STUDY})


def rows(database: Database) -> list[sa.Row[Any]]:
    """Every receipt, in order of its id."""
    with database.reader.connect() as connection:
        return list(connection.execute(sa.select(receipt).order_by(receipt.c.id)))
