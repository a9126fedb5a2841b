"""Fixtures that several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import postgresql_database, postgresql_server


@pytest.fixture(scope="session")
def postgresql_server_url() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """What `node.database` says: `sqlite` (the file goes to the test's data folder), or a new PostgreSQL database."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with postgresql_database(request.getfixturevalue("postgresql_server_url")) as url:
        yield url
