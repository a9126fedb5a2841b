"""The crosswalk's database, opened: `data/crosswalk.db` beside the index, or the schema `crosswalk` of the PostgreSQL.

Kept open by the process that asked, worker processes too: to open one for every part of a batch would cost more than
what is asked.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from node.crosswalk.schema import VERSION, about, metadata
from node.errors import ConfigurationError, TryAgain
from node.index.database import check_versions, open_database, open_reader

FILE = "crosswalk.db"
SCHEMA = "crosswalk"
"""Of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Doors:
    durable: sa.Engine
    """Writes; a commit returns when it is on the disk."""
    reader: sa.Engine
    """Reads, and never holds up a writer."""


_opened: dict[tuple[str, Path], Doors] = {}
_lock = threading.Lock()


def doors(url: str, data: Path) -> Doors:
    """Of this process, opened when first asked for. Arguments and errors as for `index.database.open_database`."""
    with _lock:
        found = _opened.get((url, data))
        if found is None:
            found = _opened[url, data] = _open(url, data)
        return found


def close(url: str, data: Path) -> None:
    with _lock:
        found = _opened.pop((url, data), None)
    if found is not None:
        found.durable.dispose()
        found.reader.dispose()


def close_all() -> None:
    """Leave all of them, in this process: when it ends."""
    with _lock:
        known = list(_opened)
    for url, data in known:
        close(url, data)


def prepare(url: str, data: Path) -> None:
    """Make the tables where there are none. Raises ConfigurationError: too old, too new, not reachable."""
    engine = doors(url, data).durable
    check_versions(engine)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('dicom-node crosswalk'))"))
            _make_schema(connection)
        metadata.create_all(connection)
        found = connection.scalar(sa.select(about.c.value).where(about.c.key == "schema"))
        if found is None:
            connection.execute(sa.insert(about).values(key="schema", value=str(VERSION)))
        elif int(found) > VERSION:
            raise ConfigurationError(
                f"the crosswalk has schema {found} and this dicom-node knows {VERSION}: install the newer program again"
            )


def _make_schema(connection: sa.Connection) -> None:
    # Not IF NOT EXISTS: PostgreSQL asks for the right to make one even where it is there already.
    if sa.inspect(connection).has_schema(SCHEMA):
        return
    try:
        connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
    except sa.exc.ProgrammingError as error:
        raise ConfigurationError(
            f"the crosswalk's schema cannot be made ({type(error.orig).__name__}): let an administrator run "
            f"CREATE SCHEMA {SCHEMA} AUTHORIZATION and the node's user"
        ) from None


@contextlib.contextmanager
def reaching() -> Iterator[None]:
    """Say of a database that is away that it may come back. Raises TryAgain."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        # Without the driver's text, which may quote the statement's values.
        raise TryAgain(f"the crosswalk does not answer ({type(error.orig).__name__})") from None


def _open(url: str, data: Path) -> Doors:
    if url == "sqlite":
        data.mkdir(parents=True, exist_ok=True)
        # SQLite would make it readable as the umask says, and gives its journal the mode of the file.
        os.close(os.open(data / FILE, os.O_RDWR | os.O_CREAT, 0o600))
        return Doors(open_database(url, data, full_sync=True, file=FILE), open_reader(url, data, file=FILE))
    there = {None: SCHEMA}
    return Doors(
        open_database(url, data, full_sync=True).execution_options(schema_translate_map=there),
        open_reader(url, data).execution_options(schema_translate_map=there),
    )
