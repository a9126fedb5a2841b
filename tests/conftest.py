"""Fixtures that several folders share, and the two sizes of a run: `.ci/run` and `.ci/full`."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.databases import postgresql_database, postgresql_server

if TYPE_CHECKING:  # half the node: only tests that use a kit pay for its import
    from node.pool import Pool
    from tests import kit as kits

# pynetdicom puts scripts with the names of DCMTK's programs into its virtual environment: an activated one would be
# found first.
os.environ["PATH"] = os.pathsep.join(
    folder for folder in os.environ.get("PATH", "").split(os.pathsep) if not Path(folder, "qrscp").exists()
)

FULL = os.environ.get("DICOM_NODE_FULL") == "1"

# No deadline: on a busy machine one slow example says nothing. A test that sets max_examples itself keeps it.
# `run` judges a change, so it must say the same of it twice: always the same examples. New ones are for `full`.
settings.register_profile("run", max_examples=60, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=1000, deadline=None)
settings.load_profile("full" if FULL else "run")


def pytest_sessionstart() -> None:
    """pynetdicom's own connections, of which our peers are made, skip the close when a reset one cannot be shut down.

    Whichever test the garbage collector comes in would fail for an unclosed socket then.
    """
    from pynetdicom.transport import AssociationSocket

    def shut_down(self: AssociationSocket) -> None:
        connection = self.socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    AssociationSocket._shutdown_socket = shut_down  # type: ignore[method-assign]  # of the tests' peers only


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not FULL:
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="takes long; .ci/full runs it"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: half a million objects that each collection of garbage would
    look through again, for 0.2 s with the interpreter's lock. pynetdicom's servers ask for one every few seconds.

    Without them Python would take a few thousand new objects for many, and look through these all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


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
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kits.Store]:
    from tests import kit as kits

    store = kits.Store("sqlite", tmp_path_factory.mktemp("sqlite"))
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgresql_store(postgresql_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[kits.Store]:
    from tests import kit as kits

    with postgresql_database(postgresql_server_url) as url:
        store = kits.Store(url, tmp_path_factory.mktemp("postgresql"))
        yield store
        store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> kits.Store:
    found: kits.Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def kit(store: kits.Store, tmp_path: Path) -> Iterator[kits.Kit]:
    """A data folder and an empty database, on each of both; for decisions, without workers."""
    from tests import kit as kits

    with kits.opened(store, tmp_path / "data") as made:
        yield made


@pytest.fixture
def working(store: kits.Store, tmp_path: Path, pool: Pool) -> Iterator[kits.Kit]:
    """The same with worker processes, for tests that run steps."""
    from tests import kit as kits

    with kits.opened(store, tmp_path / "data", pool) as made:
        yield made


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Two worker processes for all tests that need some."""
    from node.pool import Pool

    made = Pool(2)
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests counted with `record_property("figures", ...)`, so that it can be quoted."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(str(value))
