"""Fixtures of the whole-node stories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import postgresql_database
from tests.flow.nodes import Site


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def site(request: pytest.FixtureRequest) -> Site:
    """A place for nodes with SQLite, and in the long run with PostgreSQL too."""
    found: Site = request.getfixturevalue(f"{request.param}_site")
    return found


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path / "node", "sqlite") as site:
        yield site


@pytest.fixture
def postgresql_site(tmp_path: Path, postgresql_server_url: str) -> Iterator[Site]:
    with postgresql_database(postgresql_server_url) as url, Site(tmp_path / "node", url) as site:
        yield site
