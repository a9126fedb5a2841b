"""The database keeps its promises: order of writers, readers that block nobody, refusals in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.errors import ConfigurationError
from node.index import connect, database
from node.index.database import check_versions, database_clock, file_system, insert, open_database, open_reader

metadata = sa.MetaData()
counter = sa.Table("counter", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))


@contextmanager
def opened(url: str, data: Path, *, full_sync: bool = True) -> Iterator[sa.Engine]:
    engine = open_database(url, data, full_sync=full_sync)
    try:
        metadata.create_all(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def reader(url: str, data: Path) -> Iterator[sa.Engine]:
    engine = open_reader(url, data)
    try:
        yield engine
    finally:
        engine.dispose()


def test_two_openings_of_one_data_folder_are_one_database(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as full, opened(database_url, tmp_path, full_sync=False) as normal:
        with full.begin() as connection:
            connection.execute(counter.insert().values(id=1, n=7))
        with normal.begin() as connection:
            assert connection.scalar(sa.select(counter.c.n)) == 7


@pytest.mark.parametrize(("full_sync", "synchronous"), [(True, 2), (False, 1)])
def test_sqlite_writes_ahead_with_the_sync_that_was_asked_for(
    tmp_path: Path, full_sync: bool, synchronous: int
) -> None:
    with opened("sqlite", tmp_path, full_sync=full_sync) as engine, engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert (tmp_path / "node.db").exists()


def test_the_door_for_what_cannot_be_made_again_waits_for_the_disk_and_the_other_one_does_not(tmp_path: Path) -> None:
    doors = connect("sqlite", tmp_path)
    try:
        for engine, synchronous in ((doors.durable, 2), (doors.derived, 1)):
            with engine.begin() as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    finally:
        doors.close()


def test_counting_in_several_threads_loses_nothing_on_sqlite(tmp_path: Path) -> None:
    """Read, then write, in one transaction: exact only when the transaction is a writer from its beginning."""
    with opened("sqlite", tmp_path, full_sync=False) as engine:
        with engine.begin() as connection:
            connection.execute(counter.insert().values(id=1, n=0))

        def add() -> None:
            for _ in range(20):
                with engine.begin() as connection:
                    n = connection.scalar(sa.select(counter.c.n)) or 0
                    connection.execute(counter.update().values(n=n + 1))

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with engine.begin() as connection:
            assert connection.scalar(sa.select(counter.c.n)) == 80


def test_a_reader_works_while_a_writer_is_in_its_transaction(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as writer, reader(database_url, tmp_path) as readers:
        with writer.begin() as writing:
            writing.execute(counter.insert().values(id=1, n=1))
            with readers.begin() as reading:
                assert reading.scalar(sa.select(sa.func.count()).select_from(counter)) == 0
        with readers.begin() as reading:
            assert reading.scalar(sa.select(sa.func.count()).select_from(counter)) == 1
            with writer.begin() as writing:  # and the other way round: a report in progress stops no writer
                writing.execute(counter.insert().values(id=2, n=1))
            assert reading.scalar(sa.select(sa.func.count()).select_from(counter)) == 1


def test_a_reader_cannot_write(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path), reader(database_url, tmp_path) as readers:
        refused = pytest.raises(sa.exc.DBAPIError, match=r"readonly|read-only")
        with readers.connect() as connection, refused:
            connection.execute(counter.insert().values(id=1, n=1))


def test_the_clock_is_the_databases_own_in_utc_and_moves_within_a_transaction(
    database_url: str, tmp_path: Path
) -> None:
    with opened(database_url, tmp_path) as engine, engine.begin() as connection:
        first = database_clock(connection)
        assert first.utcoffset() == timedelta(0)
        assert abs(first - datetime.now(UTC)) < timedelta(seconds=10)
        deadline = datetime.now(UTC) + timedelta(seconds=5)
        while database_clock(connection) == first:
            assert datetime.now(UTC) < deadline


def test_an_insert_can_become_an_update(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as engine, engine.begin() as connection:
        for n in (1, 2):
            statement = insert(connection, counter).values(id=1, n=n)
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"n": statement.excluded.n}))
        assert connection.scalar(sa.select(counter.c.n)) == 2


def test_skip_locked_is_accepted_by_both_databases(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as engine, engine.begin() as connection:
        connection.execute(sa.select(counter).with_for_update(skip_locked=True))


def test_versions_of_today_pass(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as engine:
        check_versions(engine)


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_SQLITE", (99, 0))
    with opened("sqlite", tmp_path) as engine, pytest.raises(ConfigurationError, match="too old"):
        check_versions(engine)


def test_a_postgresql_that_does_not_answer_is_a_configuration_error(tmp_path: Path) -> None:
    engine = open_database(f"postgresql://nobody@/none?host={tmp_path}", tmp_path, full_sync=True)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        check_versions(engine)


@pytest.mark.parametrize("url", ["mysql://host/name", "node.db", "", "sqlite:///elsewhere.db"])
def test_other_databases_are_refused_with_what_to_write(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user@host/name"):
        open_database(url, tmp_path, full_sync=True)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
filer:/pacs /srv/pacs nfs4 rw 0 0
//filer/x /srv/my\\040share cifs rw 0 0
/dev/sdb1 /srv/pacs/local xfs rw 0 0
filer:/b /over nfs rw 0 0
/dev/sdc1 /over ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/x", "ext4"),
        ("/srv/pacs/data", "nfs4"),
        ("/srv/pacsx", "ext4"),
        ("/srv/my share/data", "cifs"),
        ("/srv/pacs/local/data", "xfs"),
        ("/over/data", "ext4"),
    ],
)
def test_the_innermost_latest_mount_decides(path: str, expected: str) -> None:
    assert file_system(Path(path), MOUNTS) == expected


def test_sqlite_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = file_system(tmp_path.resolve(), Path("/proc/mounts").read_text())
    monkeypatch.setattr(database, "NETWORK_FILE_SYSTEMS", frozenset({here}))
    with pytest.raises(ConfigurationError, match="network file system"):
        open_database("sqlite", tmp_path, full_sync=True)
