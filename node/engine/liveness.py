"""Who lives: every process holds a lock in its name, and the system or the database frees it at death.

No clock and no heartbeat, so a process that is only slow, or stopped for a minute, is not taken for dead.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO, Protocol

import sqlalchemy as sa


class Locks(Protocol):
    """Named locks, held until released or until the process ends. Used by one thread at a time."""

    def hold(self, name: str) -> bool:
        """Whether this process holds the lock now; does not wait. Held already: True."""
        ...

    def release(self, name: str) -> None: ...

    def forget(self, name: str) -> None:
        """Release, and remove what is left of a process that will not come back."""
        ...

    def close(self) -> None:
        """Release all."""
        ...


class FileLocks:
    """`flock` on `<folder>/<name>.lock`, for processes on one machine (SQLite).

    A child made by fork without exec keeps its parent's locks; pools here are made by spawn or forkserver.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, IO[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def hold(self, name: str) -> bool:
        while name not in self._held:
            path = self._folder / f"{name}.lock"
            file = path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Removed between open and lock: this lock would be on a file that nobody else sees.
                if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    self._held[name] = file
                    return True
                file.close()
            except BlockingIOError:
                file.close()
                return False
        return True

    def release(self, name: str) -> None:
        if file := self._held.pop(name, None):
            file.close()

    def forget(self, name: str) -> None:
        (self._folder / f"{name}.lock").unlink(missing_ok=True)
        self.release(name)

    def close(self) -> None:
        for name in list(self._held):
            self.release(name)


class AdvisoryLocks:
    """Session-level advisory locks on one connection of its own (PostgreSQL, any number of machines).

    Not through a pooler in transaction mode, which lends the session to others. When the connection is lost the
    locks are; the next `hold` connects anew and takes only what it is asked for.
    """

    def __init__(self, database: sa.Engine) -> None:
        # Apart from the pool, which would roll back, reset or recycle the session.
        self._database = sa.create_engine(
            database.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, connect_args=KEEPALIVES
        )
        self._connection: sa.Connection | None = None
        self._held: set[str] = set()

    def hold(self, name: str) -> bool:
        connection = self._connected()
        if name in self._held:
            return True
        if connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _number(name)}):
            self._held.add(name)
        return name in self._held

    def release(self, name: str) -> None:
        """Never raises for a session that is lost: its locks went with it."""
        if name in self._held and self._connection is not None:
            self._held.discard(name)
            try:
                self._connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _number(name)})
            except sa.exc.SQLAlchemyError:
                self.close()

    def forget(self, name: str) -> None:
        self.release(name)

    def close(self) -> None:
        self._held.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> sa.Connection:
        """The session, asked whether it is still there: only then are the locks still held."""
        try:
            if self._connection is not None:
                self._connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:  # also what SQLAlchemy says of a session that was lost in an earlier call
            self.close()
        if self._connection is None:
            self._connection = self._database.connect()
        return self._connection


KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""The server and this process notice within 25 s that the other vanished."""


def _number(name: str) -> int:
    """A lock's 64-bit number from its name."""
    return int.from_bytes(hashlib.sha256(f"dicom-node:{name}".encode()).digest()[:8], "big", signed=True)
