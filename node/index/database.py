"""Open the database: SQLite in the data folder by default, PostgreSQL by URL.

SQLite is opened twice or three times, each time with another promise. All write one file, `data/node.db`:

    full_sync=True    a commit is on the disk (synchronous=FULL): what cannot be derived again
    full_sync=False   a power cut may take the last commits (NORMAL), never the consistency: what can be
    open_reader       begins DEFERRED and may only read, so that a long report never holds the write lock

PostgreSQL commits are always on the disk; there the difference is only that a reader may not write.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from node.errors import ConfigurationError

FILE = "node.db"
BUSY_MS = 30_000
"""How long a writer waits for another one; a commit takes milliseconds, a backup may take seconds."""

OLDEST_SQLITE = (3, 35)  # RETURNING, which the job engine claims work with
OLDEST_POSTGRESQL = 13  # the oldest that the job engine's schema is tried on

NETWORK_FILE_SYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "beegfs", "gpfs", "gfs2", "ocfs2",
    "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs",
})  # fmt: skip

_DAMAGED = "it is damaged: stop the node and `dicom-node restore` a backup, which puts the damaged one aside"
_ANOTHERS = (
    "it or its folder belongs to another user, or its disk is read-only: run this as the user of the node, or `chown` "
    "the data folder"
)
_ADVICE = {
    "file is not a database": _DAMAGED,
    "malformed": _DAMAGED,
    "unable to open": _ANOTHERS,
    "readonly": _ANOTHERS,
    "disk I/O": "see whether its disk is full, or broken: `df`, `dmesg`",
}  # fmt: skip
"""What SQLite says -> what to do."""

Insert = sqlite.Insert | postgresql.Insert


def open_database(url: str, data: Path, *, full_sync: bool, file: str = FILE) -> sa.Engine:
    """An engine whose transactions write. Nothing is connected yet.

    url:  `sqlite`, or `postgresql://user@host/name`.
    data: the data folder; made when it is not there. Holds the `file` for `sqlite`.
    Raises ConfigurationError: unknown kind of URL, or SQLite on a network file system.
    """
    if url == "sqlite":
        pragmas = {"synchronous": "FULL" if full_sync else "NORMAL"}
        return _sqlite(data / file, begin="BEGIN IMMEDIATE", pragmas=pragmas)
    return _postgresql(url, options="")


def open_reader(url: str, data: Path, *, file: str = FILE) -> sa.Engine:
    """An engine whose transactions only read; one transaction sees one state of the database.

    Arguments and errors as for `open_database`.
    """
    if url == "sqlite":
        return _sqlite(data / file, begin="BEGIN DEFERRED", pragmas={"query_only": "ON"})
    return _postgresql(url, options="-c default_transaction_read_only=on").execution_options(
        isolation_level="REPEATABLE READ"
    )


def check_versions(engine: sa.Engine) -> None:
    """Connect, and refuse a database that is too old.

    Raises ConfigurationError: too old, no database, another user's, or PostgreSQL cannot be reached.
    """
    try:
        with engine.connect() as connection:
            version = connection.dialect.server_version_info or ()
    except sa.exc.DatabaseError as error:
        # The driver's text names host, port and user, which is what the operator needs; it has no password.
        file = f" {engine.url.database}" if engine.dialect.name == "sqlite" else ""
        raise ConfigurationError(f"the database{file} cannot be opened: {error.orig}{_advice(error)}") from error
    if engine.dialect.name == "sqlite" and sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or newer is needed")
    if engine.dialect.name == "postgresql" and version < (OLDEST_POSTGRESQL,):
        raise ConfigurationError(f"PostgreSQL {version[0]} is too old; {OLDEST_POSTGRESQL} or newer is needed")


def _advice(error: sa.exc.DatabaseError) -> str:
    """What to do about what SQLite says of a file; nothing where that is clear."""
    said = str(error.orig)
    for text, advice in _ADVICE.items():
        if text in said:
            return f" ({advice})"
    return ""


def damage(error: Exception) -> str:
    """What SQLite says of a file that is not whole any more, and what to do; empty for every other error."""
    if isinstance(error, sa.exc.DatabaseError) and _advice(error) == f" ({_DAMAGED})":
        return f"{error.orig} ({_DAMAGED})"
    return ""


def database_clock(connection: sa.Connection) -> datetime:
    """Now, UTC, by the clock that all processes share; milliseconds on SQLite, microseconds on PostgreSQL.

    It moves on within a transaction.
    """
    if connection.dialect.name == "sqlite":
        text = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')").scalar_one()
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    now: datetime = connection.scalars(sa.text("SELECT clock_timestamp()")).one()
    return now.astimezone(UTC)


def insert(connection: sa.Connection, table: sa.Table) -> Insert:
    """INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`, for the database behind the connection.

    `select(...).with_for_update(skip_locked=True)` needs no such help: SQLAlchemy leaves it out on SQLite,
    where BEGIN IMMEDIATE has already put the writers in a row.
    """
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that an absolute path is on, `ext4` for instance; "" when unknown.

    mounts: text of /proc/mounts: device, mount point, type, ...; blanks in a mount point are written `\\040`.
    """
    found: tuple[int, str] = (-1, "")
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        # A later mount on the same point hides the earlier one, therefore >= and not >.
        if path.is_relative_to(point) and len(point.parts) >= found[0]:
            found = (len(point.parts), fields[2])
    return found[1]


def _sqlite(path: Path, *, begin: str, pragmas: Mapping[str, str]) -> sa.Engine:
    data = path.parent
    data.mkdir(parents=True, exist_ok=True)
    mounts = Path("/proc/mounts")
    kind = file_system(data.resolve(), mounts.read_text(errors="replace")) if mounts.exists() else ""
    if kind in NETWORK_FILE_SYSTEMS:
        # The WAL's index is memory shared between processes; over a network it is not shared, and the file breaks.
        raise ConfigurationError(
            f"{data} is on a network file system ({kind}), where SQLite cannot keep the database whole; "
            "put node.data on a local disk, or use PostgreSQL (node.database)"
        )
    engine = sa.create_engine(f"sqlite:///{path}", pool_size=20, max_overflow=20, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # else the driver begins too, and only before the first write
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name}={value}")

    @event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        # IMMEDIATE: two transactions that read and then write would otherwise both read before either writes.
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(url: str, *, options: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError("node.database: write sqlite, or postgresql://user@host/name") from error
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ConfigurationError(
            f"node.database: unknown kind {parsed.drivername!r}; write sqlite, or postgresql://user@host/name"
        )
    # A peer that vanished is noticed after 25 s, and with it the locks by which a process shows that it lives.
    arguments: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    if options:
        arguments["options"] = f"{parsed.query.get('options', '')} {options}".strip()
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args=arguments, pool_size=20, max_overflow=20, pool_pre_ping=True, hide_parameters=True,
    )  # fmt: skip
