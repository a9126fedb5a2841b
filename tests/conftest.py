"""Fixtures that several folders share, and the two sizes of a run: `.ci/run` and `.ci/full`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from node.index.database import FILE
from node.pool import Pool
from tests import kit as kits
from tests.databases import postgresql_database, postgresql_server

FULL = os.environ.get("DICOM_NODE_FULL") == "1"

# No deadline: on a busy machine one slow example says nothing. A test that sets max_examples itself keeps it.
settings.register_profile("run", max_examples=60, deadline=None)
settings.register_profile("full", max_examples=1000, deadline=None)
settings.load_profile("full" if FULL else "run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not FULL:
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="takes long; .ci/full runs it"))


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


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Two worker processes for all tests that need some."""
    made = Pool(2)
    yield made
    made.close()


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sqlite-with-tables")
    kits.prepare_all("sqlite", folder)
    return folder / FILE


@pytest.fixture(scope="session")
def postgresql_with_tables(postgresql_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgresql_database(postgresql_server_url) as url:
        kits.prepare_all(url, tmp_path_factory.mktemp("postgresql-with-tables"))
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def prepared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As `database_url`, with every table in it; for `sqlite` in the folder `data` of the test."""
    if request.param == "sqlite":
        (tmp_path / "data").mkdir()
        shutil.copyfile(request.getfixturevalue("sqlite_with_tables"), tmp_path / "data" / FILE)
        yield "sqlite"
        return
    template = request.getfixturevalue("postgresql_with_tables")
    with postgresql_database(request.getfixturevalue("postgresql_server_url"), template) as url:
        yield url


@pytest.fixture
def kit(prepared_url: str, tmp_path: Path) -> Iterator[kits.Kit]:
    """A data folder and a database, on each of both; for decisions, without workers."""
    with kits.opened(prepared_url, tmp_path / "data") as made:
        yield made


@pytest.fixture
def working(prepared_url: str, tmp_path: Path, pool: Pool) -> Iterator[kits.Kit]:
    """The same with worker processes, for tests that run steps."""
    with kits.opened(prepared_url, tmp_path / "data", pool) as made:
        yield made
