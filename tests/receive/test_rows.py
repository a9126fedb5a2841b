"""Rows after bytes: grouped, kept while the database is away, and never a reason to refuse an instance."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from node.dicom.header import pack
from node.index import Database
from node.index.intake import Counted
from node.model import UID, Arrival, Identity, Origin, ReceiptId
from node.moment import new_receipt, utc_now
from node.receive import rows as module
from node.receive.rows import RowWriter, nameless, record
from node.spool import Files, Kept, Presence, Spool
from tests import make
from tests.databases import postgresql_database
from tests.peers import send
from tests.receive.station import station, until
from tests.receive.store import intake, opened, rows


def arrival(number: int = 1, called_ae: str = "NODE") -> Arrival:
    return Arrival(
        receipt=new_receipt(), path=f"2026-11-22/10/{number}.dcm", size=10, sha256=f"{number:064x}",
        received=datetime.now(UTC), origin=Origin(calling_ae="CT1", called_ae=called_ae, sender="10.1.2.3"),
        identity=Identity(
            sop_class=UID("1.2"), sop_instance=UID(f"1.2.{number}"), study=UID("1.3"), series=UID("1.3.1"),
            transfer_syntax=UID("1.2.840.10008.1.2.1"),
        ),
        header=pack({"00080060": ["CS", ["CT"]]}),
    )  # fmt: skip


class Writer:
    """A RowWriter on a real database and spool, what it committed, and the mark it keeps."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.spool = Spool(folder / "spool", "writer", files=Files(), clock=utc_now, ids=new_receipt)
        self.presence = Presence(folder / "run", "writer")
        self.groups: list[int] = []
        self.rows = RowWriter(
            spool=self.spool, intake=intake(database), presence=self.presence, committed=self.groups.append,
            reach=lambda point: None, pause=0.05,
        )  # fmt: skip

    def put(self, *arrivals: Arrival) -> None:
        for one in arrivals:
            self.presence.acknowledge()
            self.rows.put(self.kept(one), one)

    def kept(self, arrival: Arrival) -> Kept:
        """A file for an arrival, kept and not shown."""
        incoming = self.spool.begin(arrival.identity, replace(arrival.origin, called_ae="NODE"))
        incoming.write(b"data")
        return incoming.keep()._replace(name=arrival.path)

    def unindexed(self) -> int:
        (mark,) = self.presence.live()
        return mark.acknowledged - mark.indexed


@contextmanager
def writer(database: Database, folder: Path) -> Iterator[Writer]:
    one = Writer(database, folder)
    one.rows.start()
    try:
        yield one
    finally:
        one.rows.stop()
        one.spool.close()
        one.presence.close()


def test_every_arrival_gets_its_row_and_the_mark_says_so(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database, writer(database, tmp_path) as one:
        one.put(*[arrival(n) for n in range(30)])
        until(lambda: one.unindexed() == 0, "all is indexed")
        found = rows(database)
        assert len(found) == 30
        assert {(row.calling_ae, row.called_ae, row.sender, row.state) for row in found} == {
            ("CT1", "NODE", "10.1.2.3", "current")
        }


def test_an_instance_is_shown_before_its_row_says_where_it_is(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as database, writer(database, tmp_path) as one:
        one.put(arrival(1), arrival(2))
        until(lambda: one.unindexed() == 0, "all is indexed")
        shown = [one.spool.where(row.path) for row in rows(database)]
        assert all(path.is_file() for path in shown)
        assert one.spool.slots_of("writer") == []


def test_a_spool_that_takes_no_names_keeps_instances_safe_until_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened("sqlite", tmp_path) as database, writer(database, tmp_path) as one:
        (tmp_path / "spool" / "2026-11-22").write_text("a file where a folder has to be")
        one.put(arrival(1))
        until(lambda: "cannot be given their place" in caplog.text, "the writer has tried")
        assert len(one.spool.slots_of("writer")) == 1
        assert rows(database) == []
        (tmp_path / "spool" / "2026-11-22").unlink()
        until(lambda: one.unindexed() == 0, "it is indexed")
        assert len(rows(database)) == 1


def test_what_comes_together_is_committed_together(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as database:
        one = Writer(database, tmp_path)
        one.put(*[arrival(n) for n in range(1200)])
        one.rows.start()
        one.rows.stop()
        assert one.groups == [500, 500, 200]
        one.presence.close()


def test_stop_commits_what_is_queued(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        one = Writer(database, tmp_path)
        one.rows.start()
        one.put(*[arrival(n) for n in range(300)])
        one.rows.stop()
        assert len(rows(database)) == 300
        assert one.unindexed() == 0
        one.presence.close()
        assert list((tmp_path / "run").iterdir()) == []


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Another process that holds the write lock of the SQLite database."""
    holder = sqlite3.connect(data / "node.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.rollback()
        holder.close()


def impatient(database: Database) -> None:
    """Give up waiting for the lock after 50 ms instead of half a minute."""

    @event.listens_for(database.derived, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=50")


def test_a_database_that_is_locked_holds_up_no_sender_and_gets_its_rows_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened("sqlite", tmp_path) as database, writer(database, tmp_path) as one:
        impatient(database)
        with station(tmp_path, hand_on=one.rows.put) as node, locked(tmp_path):
            assert send(node.port, [make.instance(number=n) for n in range(5)]) == [0] * 5
            until(lambda: "the database is away" in caplog.text, "the writer has tried")
            assert "one by one" not in caplog.text, "the rows are not at fault"
            assert send(node.port, [make.instance(number=9)]) == [0]
            assert rows(database) == []
        until(lambda: len(rows(database)) == 6, "the rows are there")


def test_a_damaged_database_is_said_once_with_what_to_do_and_no_row_is_blamed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened("sqlite", tmp_path) as database:
        database.close()
        whole = (tmp_path / "node.db").read_bytes()
        page = int.from_bytes(whole[16:18], "big")
        (tmp_path / "node.db").write_bytes(whole[:page] + b"\xff" * (len(whole) - page))
        with writer(database, tmp_path) as one:
            one.put(arrival(1))
            one.put(arrival(2))
            until(lambda: "the database is damaged" in caplog.text, "the writer has tried")
            one.put(arrival(3))
            until(one.rows._queue.empty, "it has tried again")
            database.close()
            (tmp_path / "node.db").write_bytes(whole)
            until(lambda: len(rows(database)) == 3, "the rows are there")
    said = [r.getMessage() for r in caplog.records if r.name == "node.index" and r.levelno >= logging.WARNING]
    assert said[1:] == ["the database takes rows again"]
    assert "malformed" in said[0]
    assert "`dicom-node restore` a backup" in said[0]
    assert one.rows.damaged == ""


def test_a_database_that_went_away_for_long_takes_the_backlog_in_parts(tmp_path: Path) -> None:
    """More rows than one statement may have values."""
    with opened("sqlite", tmp_path) as database:
        impatient(database)
        one = Writer(database, tmp_path)
        with locked(tmp_path):
            one.rows.start()
            one.put(*[arrival(n) for n in range(1500)])
            until(lambda: one.rows._queue.empty(), "all is taken from the queue", 20)
        one.rows.stop(20)
        assert len(rows(database)) == 1500
        assert max(one.groups) <= 500
        one.presence.close()


def test_stop_does_not_wait_for_a_database_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened("sqlite", tmp_path) as database:
        impatient(database)
        one = Writer(database, tmp_path)
        with locked(tmp_path):
            one.rows.start()
            one.put(arrival(1), arrival(2))
            one.rows.stop(5)
        assert "2 instances are in the spool and not in the index" in caplog.text
        assert one.unindexed() == 2
        one.presence.close()
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["writer.mark"], "the next start sees it"


def test_a_postgresql_that_was_restarted_gets_its_rows(postgresql_server_url: str, tmp_path: Path) -> None:
    with postgresql_database(postgresql_server_url) as url, opened(url, tmp_path) as database:
        with writer(database, tmp_path) as one:
            one.put(arrival(1))
            until(lambda: one.unindexed() == 0, "the first row")
            admin = sa.create_engine(
                sa.make_url(postgresql_server_url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool
            )
            name = sa.make_url(url).database
            with admin.connect() as connection:
                connection.execute(
                    sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                    {"name": name},
                )
            one.put(arrival(2))
            until(lambda: one.unindexed() == 0, "the second row")
        assert len(rows(database)) == 2


def test_a_row_that_the_database_refuses_is_held_alone(database_url: str, tmp_path: Path) -> None:
    """A NUL is no text for PostgreSQL, half a surrogate for neither."""
    bad = [arrival(2, called_ae="NO\0DE"), arrival(3, called_ae="NO\udc80DE")]
    with opened(database_url, tmp_path) as database, writer(database, tmp_path) as one:
        one.put(arrival(1), *bad, arrival(4))
        until(lambda: one.unindexed() == 0, "all is indexed")
        found = {row.id: row for row in rows(database)}
        assert len(found) == 4
        row = found[bad[1].receipt]
        assert (row.state, row.called_ae, row.path) == ("held", "", bad[1].path)
        assert "does not fit into the index" in row.reason
        assert sum(row.state == "current" for row in found.values()) >= 2


def test_a_bug_with_one_row_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened("sqlite", tmp_path) as database:
        real = intake(database)
        odd = arrival(2)

        class Broken(type(real)):  # type: ignore[misc]  # the real Intake, with a bug
            def record(self, arrivals: list[Arrival]) -> Counted:
                if odd in arrivals:
                    raise TypeError("a bug")
                return super().record(arrivals)  # type: ignore[no-any-return]

        record(Broken(database, lambda: set()), [arrival(1), odd, arrival(3)])
        assert [row.state for row in sorted(rows(database), key=lambda r: r.path)] == ["current", "held", "current"]
    assert "its row" in caplog.text or "refused" in caplog.text


def test_a_group_may_be_written_again_as_a_whole(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as database:
        group = [arrival(n) for n in range(3)]
        record(intake(database), group[:2])
        record(intake(database), group)
        record(intake(database), group)
        assert len(rows(database)) == 3


def test_the_writer_outlives_whatever_happens_in_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened("sqlite", tmp_path) as database, writer(database, tmp_path) as one:
        real, calls = module.record, iter([True, True])

        def fails_twice(*arguments: object) -> None:
            if next(calls, False):
                raise RuntimeError("a bug")
            real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "record", fails_twice)
        one.put(arrival(1))
        until(lambda: one.unindexed() == 0, "it is written in the end")
        assert len(rows(database)) == 1
    assert "tried again" in caplog.text


def test_two_writers_index_the_same_instances_once(database_url: str, tmp_path: Path) -> None:
    """Two processes: the one that received, and one that sweeps."""
    group = [arrival(n) for n in range(20)]
    with opened(database_url, tmp_path) as one, opened(database_url, tmp_path) as two:
        threads = [threading.Thread(target=record, args=(intake(db), group)) for db in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(rows(one)) == 20


def test_a_nameless_row_says_only_that_there_is_a_file() -> None:
    made = nameless(ReceiptId("x"), "2026-11-22/10/x.dcm", 5, datetime.now(UTC), "why")
    assert (made.held, made.size, made.origin.called_ae, made.identity.series) == ("why", 5, "", "")
    assert replace(made, held="") != made


def test_nothing_about_a_patient_is_logged_while_the_database_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "node")
    with opened("sqlite", tmp_path) as database:
        impatient(database)
        one = Writer(database, tmp_path)
        with locked(tmp_path):
            one.rows.start()
            one.put(replace(arrival(1), header=pack({"00100010": ["PN", ["Secret^Name"]]})))
            one.rows.stop(5)
        one.presence.close()
    assert "Secret" not in caplog.text
