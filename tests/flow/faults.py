"""What can go wrong under a node, each fault with three moments: it strikes, the node meets it, it is over."""

from __future__ import annotations

import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import event

from node.index import Database
from tests.flow.clocks import WallClock
from tests.flow.matrix import Fault
from tests.flow.small_disk import fill
from tests.spool.disk import Disk


class Struck(Protocol):
    """A fault that can be brought about."""

    def strike(self) -> None: ...

    def met(self) -> bool:
        """Whether the node has run into it."""
        ...

    def over(self) -> None: ...


class Peer(Protocol):
    """The other end of the line: a sender, or a destination."""

    def abort(self) -> None: ...

    def vanish(self) -> None: ...

    def hang(self) -> None: ...

    def resume(self) -> None: ...


class Warnings(logging.Handler):
    """The lines by which the node tells its operator that something is wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def warnings() -> Iterator[Warnings]:
    found = Warnings()
    logging.getLogger("node").addHandler(found)
    try:
        yield found
    finally:
        logging.getLogger("node").removeHandler(found)


# ---- the disk ----------------------------------------------------------------------------------------

_WRITES = ("mkdir", "create", "write", "patch", "show", "link", "remove")


class FailingDisk:
    """EIO or EROFS from every call that writes, of all that goes through the file layer."""

    def __init__(self, disk: Disk, error: int) -> None:
        self._disk, self._error = disk, error

    def strike(self) -> None:
        # A file system that is read-only has nothing to sync and says so with success.
        kinds = _WRITES if self._error == errno.EROFS else (*_WRITES, "sync", "sync_folder")
        self._disk.faults = {kind: {0: self._error} for kind in kinds}

    def met(self) -> bool:
        return any(call.error for call in list(self._disk.calls))

    def over(self) -> None:
        self._disk.faults = {}


class FullDisk:
    """A real file system without a free block, under spool, database, outbox, work files and share."""

    def __init__(self, folder: Path, seen: Warnings) -> None:
        self._file, self._seen, self._before = folder / "somebody else's", seen, 0

    def strike(self) -> None:
        fill(self._file)
        self._before = len(self._seen.lines)

    def met(self) -> bool:
        return len(self._seen.lines) > self._before

    def over(self) -> None:
        self._file.unlink()


# ---- the database ------------------------------------------------------------------------------------


class LockedDatabase:
    """Somebody holds the lock that every writer needs. Readers go on."""

    def __init__(self, url: str, data: Path, database: Database) -> None:
        self._url, self._data, self._database = url, data, database
        self._begun = threading.Event()
        self._free: Callable[[], None] = lambda: None

    def strike(self) -> None:
        self._free = self._lock_sqlite() if self._url == "sqlite" else self._lock_postgresql()
        for engine in {self._database.derived, self._database.durable}:
            event.listen(engine, "before_cursor_execute", self._execute)

    def met(self) -> bool:
        return self._begun.is_set()

    def over(self) -> None:
        self._free()

    def _execute(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE")):
            self._begun.set()

    def _lock_sqlite(self) -> Callable[[], None]:
        connection = sqlite3.connect(self._data / "node.db", timeout=20, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        return connection.close

    def _lock_postgresql(self) -> Callable[[], None]:
        engine = _administrator(self._url)
        connection = engine.connect()
        names = [name for name in sa.inspect(connection).get_table_names() if name.startswith("node_")]
        for tries in range(20):
            connection.exec_driver_sql("BEGIN")
            try:
                connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE")
                break
            except sa.exc.OperationalError:  # a writer had one of them and wanted another: the server lets it go first
                connection.rollback()
                assert tries < 19
        return connection.close


class DatabaseAway:
    """SQLite: locked for longer than a writer waits. PostgreSQL: every connection ends, and no new one is taken."""

    def __init__(self, url: str, data: Path, database: Database) -> None:
        self._url, self._failed = url, threading.Event()
        self._lock = LockedDatabase(url, data, database)
        self._engines = {database.derived, database.durable, database.reader}

    def strike(self) -> None:
        for engine in self._engines:
            event.listen(engine, "handle_error", lambda context: self._failed.set())
        if self._url == "sqlite":
            self._lock.strike()
        else:
            send_away(self._url)

    def met(self) -> bool:
        return self._failed.is_set()

    def over(self) -> None:
        if self._url == "sqlite":
            self._lock.over()
        else:
            let_back(self._url)


def send_away(url: str) -> None:
    """A PostgreSQL database ends every session, and takes no new one."""
    name = sa.make_url(url).database
    with _administrator(url, "postgres").connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def let_back(url: str) -> None:
    with _administrator(url, "postgres").connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {sa.make_url(url).database} ALLOW_CONNECTIONS true")


def _administrator(url: str, database: str | None = None) -> sa.Engine:
    """Connections beside the node's, to its database or another one of the same server."""
    other = sa.make_url(url).set(drivername="postgresql+psycopg")
    if database is not None:
        other = other.set(database=database)
    return sa.create_engine(other, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)


# ---- peers and clocks --------------------------------------------------------------------------------


class PeerFault:
    """The other end aborts, falls silent, or is gone without a word."""

    def __init__(self, fault: Fault, peer: Peer, met: Callable[[], bool]) -> None:
        self._fault, self._peer, self._met = fault, peer, met

    def strike(self) -> None:
        {Fault.ABORT: self._peer.abort, Fault.HANG: self._peer.hang, Fault.HALF_OPEN: self._peer.vanish}[self._fault]()

    def met(self) -> bool:
        return self._met()

    def over(self) -> None:
        self._peer.resume()


class ClockJump:
    """The wall clock of the node's machine jumps, and stays so."""

    def __init__(self, clock: WallClock, hours: float) -> None:
        self._clock, self._hours = clock, hours

    def strike(self) -> None:
        self._clock.jump(self._hours)

    def met(self) -> bool:
        return self._clock.asked > 0

    def over(self) -> None:
        pass


def brought_about(
    fault: Fault, *, root: Path, small: bool, files: Disk, seen: Warnings, url: str, data: Path, database: Database,
    peer: Peer, noticed: Callable[[], bool], clock: WallClock,
) -> Struck:  # fmt: skip
    """A fault of this kind, ready to strike a node that runs in this process.

    root        the folder under everything
    small       whether that is a small file system of its own; else ENOSPC comes from the file layer
    noticed     whether the node has noticed what its peer did
    """
    errors = {Fault.EIO: errno.EIO, Fault.READ_ONLY: errno.EROFS, Fault.FULL: errno.ENOSPC}
    if fault is Fault.FULL and small:
        return FullDisk(root, seen)
    if fault in errors:
        return FailingDisk(files, errors[fault])
    if fault is Fault.LOCKED:
        return LockedDatabase(url, data, database)
    if fault is Fault.AWAY:
        return DatabaseAway(url, data, database)
    if fault.of_the_clock:
        return ClockJump(clock, 1 if fault is Fault.AHEAD else -1)
    return PeerFault(fault, peer, noticed)
