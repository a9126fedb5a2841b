"""The schema is made, brought forward after a copy, or refused when it is newer than the program."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.certificate.keys import Keys
from node.certificate.statement import digest
from node.errors import ConfigurationError
from node.index import Database, certificates, connect
from node.index.schema import VERSION, job, metadata, parcel, reading
from node.index.versions import check, prepare, read_meta, write_meta
from node.report import certificates as report
from tests.index import old_schema
from tests.kit import SECRET

KEYS = Keys(SECRET)


@contextmanager
def opened(url: str, data: Path) -> Iterator[Database]:
    database = connect(url, data)
    try:
        yield database
    finally:
        database.close()


def version(database: Database) -> str | None:
    with database.reader.connect() as connection:
        return read_meta(connection, "schema")


def test_a_new_database_gets_every_table_and_its_version(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        assert set(metadata.tables) <= set(sa.inspect(database.durable).get_table_names())
        assert version(database) == str(VERSION)
        prepare(database.durable, tmp_path)
        assert list(tmp_path.glob("before-schema-*")) == [], "nothing to bring forward, nothing to copy"


def test_a_new_database_forgets_what_jobs_of_an_older_one_left(database_url: str, tmp_path: Path) -> None:
    """The older one was damaged and moved away: its jobs come again under the same names, of the same receipts."""
    work = tmp_path / "work" / "0123456789ab-1"
    work.mkdir(parents=True)
    (work / "0.json").write_text("{}")
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        assert not work.exists()
        work.mkdir(parents=True)
        prepare(database.durable, tmp_path)
        assert work.exists(), "of its own jobs"


def test_who_only_looks_is_told_that_no_node_has_made_the_tables_or_another_program(
    database_url: str, tmp_path: Path
) -> None:
    with opened(database_url, tmp_path) as database:
        with database.reader.connect() as connection, pytest.raises(ConfigurationError, match="no node has run on"):
            check(connection, tmp_path)
        prepare(database.durable, tmp_path)
        with database.reader.connect() as connection:
            check(connection, tmp_path)
            with pytest.raises(ConfigurationError, match="brings the database forward"):
                check(connection, tmp_path, version=VERSION + 1)
            with pytest.raises(ConfigurationError, match="install the newer program"):
                check(connection, tmp_path, version=VERSION - 1)


def test_a_newer_database_is_refused_and_left_as_it_is(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path, version=VERSION + 1)
        with pytest.raises(ConfigurationError, match="install the newer program"):
            prepare(database.durable, tmp_path)
        assert version(database) == str(VERSION + 1)


def test_an_older_database_is_brought_forward_after_a_copy(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[int] = []

    def adds_column(connection: sa.Connection) -> None:
        assert (tmp_path / f"before-schema-{VERSION + 1}.jsonl.gz").exists(), "the copy comes first"
        connection.exec_driver_sql("ALTER TABLE node_job ADD COLUMN colour TEXT")
        steps.append(VERSION + 1)

    migrations = {VERSION + 1: adds_column, VERSION + 2: lambda connection: steps.append(VERSION + 2)}
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        with database.durable.begin() as connection:
            write_meta(connection, "secret", "of before")
        with caplog.at_level(logging.WARNING):
            prepare(database.durable, tmp_path, version=VERSION + 2, migrations=migrations)
        assert steps == [VERSION + 1, VERSION + 2]
        assert version(database) == str(VERSION + 2)
        assert "colour" in {c["name"] for c in sa.inspect(database.durable).get_columns("node_job")}
        prepare(database.durable, tmp_path, version=VERSION + 2, migrations=migrations)
        assert len(steps) == 2, "once"
    with gzip.open(tmp_path / f"before-schema-{VERSION + 1}.jsonl.gz", "rt") as copy:
        assert '"of before"' in copy.read()
    assert "copy of the tables" in caplog.text


def test_a_command_that_only_reads_does_not_bring_it_forward(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        with pytest.raises(ConfigurationError, match="dicom-node serve"):
            prepare(database.durable, tmp_path, version=VERSION + 1, migrate=False)
        assert version(database) == str(VERSION)
        prepare(database.durable, tmp_path, migrate=False)


def test_a_migration_that_fails_leaves_the_old_schema(database_url: str, tmp_path: Path) -> None:
    def fails(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE node_job ADD COLUMN colour TEXT")
        raise RuntimeError

    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        with pytest.raises(RuntimeError):
            prepare(database.durable, tmp_path, version=VERSION + 1, migrations={VERSION + 1: fails})
        assert version(database) == str(VERSION)
        assert "colour" not in {c["name"] for c in sa.inspect(database.durable).get_columns("node_job")}


def test_two_processes_that_start_together_make_one_schema(database_url: str, tmp_path: Path) -> None:
    raised: list[BaseException] = []
    barrier = threading.Barrier(3)

    def start() -> None:
        with opened(database_url, tmp_path) as database:
            barrier.wait()
            try:
                prepare(database.durable, tmp_path)
            except Exception as error:  # handed to the test
                raised.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []


def test_a_note_is_replaced(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        with database.durable.begin() as connection:
            assert read_meta(connection, "secret") is None
            write_meta(connection, "secret", "one")
            write_meta(connection, "secret", "two")
            assert read_meta(connection, "secret") == "two"


def columns(database: Database) -> dict[str, dict[str, tuple[str, bool]]]:
    """Table -> column -> (type, nullable), as the database has them."""
    inspector = sa.inspect(database.durable)
    return {
        name: {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)}
        for name in metadata.tables
    }


def test_version_1_becomes_what_a_new_database_is_and_keeps_its_rows(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path / "old") as database:
        old_schema.make_version_1(database)
        prepare(database.durable, tmp_path / "old")
        assert version(database) == str(VERSION)
        assert (tmp_path / "old" / "before-schema-2.jsonl.gz").exists()
        migrated = columns(database)
        with database.reader.connect() as connection:
            assert connection.scalars(sa.select(job.c.id)).all() == ["1.1.r"]
            assert connection.scalars(sa.select(parcel.c.disclosure)).all() == [""], "an older program did not say"
            keys = {
                name: sorted(str(u["column_names"]) for u in sa.inspect(connection).get_unique_constraints(name))
                for name in ("node_commitment", "node_expected", "node_asked")
            }
        with database.durable.begin() as connection:
            metadata.drop_all(connection)
        prepare(database.durable, tmp_path / "old")
        assert migrated == columns(database)
        assert all(keys.values())


def test_a_database_of_version_2_gets_tables_for_certificates(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        old_schema.make_version_2(database)
        prepare(database.durable, tmp_path)
        assert version(database) == str(VERSION)
        assert set(old_schema.SINCE_3) <= set(sa.inspect(database.durable).get_table_names())
        with database.durable.begin() as connection:
            assert connection.scalars(sa.select(job.c.id)).all() == ["1.1.r"]
            inner: dict[str, object] = {"steps": []}
            said = {"inner": digest(inner)}
            made = certificates.issue(connection, KEYS, "host", "1.1.r", 0, 1.0, said, inner)
            assert (made.number, made.new) == (1, True)
        with database.reader.connect() as connection:
            assert report.of_chain(connection, KEYS, made.chain) == (1, [])


def test_what_a_version_did_not_have_yet_in_its_first_days_is_added_after_a_copy(
    database_url: str, tmp_path: Path
) -> None:
    """The same number, and another schema: what development made of version 2 before it was final."""
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        complete = columns(database)
        with database.durable.begin() as connection:
            connection.exec_driver_sql("DROP INDEX node_parcel_waiting")
            connection.exec_driver_sql("DROP TABLE node_asked_item")
            connection.exec_driver_sql("ALTER TABLE node_parcel DROP COLUMN disclosure")
        prepare(database.durable, tmp_path)
        assert columns(database) == complete
        assert "node_parcel_waiting" in {
            each["name"] for each in sa.inspect(database.durable).get_indexes("node_parcel")
        }
        assert len(list(tmp_path.glob("before-schema-*"))) == 1
        prepare(database.durable, tmp_path)
        assert len(list(tmp_path.glob("before-schema-*"))) == 1, "once"


def test_what_it_lacks_and_nobody_can_know_is_refused_by_name(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        prepare(database.durable, tmp_path)
        with database.durable.begin() as connection:
            connection.exec_driver_sql("DROP INDEX node_certificate_job")
            connection.exec_driver_sql("ALTER TABLE node_certificate DROP COLUMN about")
        with pytest.raises(ConfigurationError, match=r"lacks node_certificate\.about: a program from before"):
            prepare(database.durable, tmp_path)
        assert "about" not in columns(database)["node_certificate"]


def test_a_database_of_version_3_says_of_nothing_who_asked(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        old_schema.make_version_3(database)
        insert = "INSERT INTO node_reading (peer, called_ae, study, number, at) VALUES ('P', 'N', '1.2', 1, 1.0)"
        with database.durable.begin() as connection:
            connection.exec_driver_sql(insert)
        prepare(database.durable, tmp_path)
        migrated = columns(database)
        with database.durable.begin() as connection:
            # A process of the older program may still be running: it goes on writing as it did.
            connection.exec_driver_sql(insert.replace("1, 1.0", "2, 1.0"))
            assert connection.scalars(sa.select(reading.c.claimed)).all() == ["", ""]
            metadata.drop_all(connection)
        prepare(database.durable, tmp_path)
        assert migrated == columns(database)
