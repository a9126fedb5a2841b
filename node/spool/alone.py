"""That one node at a time runs on a data folder whose database is SQLite.

Its lock is freed by the operating system when the process ends, as that of a mark (`presence`); who holds it is asked
of the marks, which a node of an older program has, too.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from node.spool.presence import living

_LOCK = "alone.lock"


class Alone:
    """A try to be the only node on a data folder. Raises OSError where its folder cannot be made."""

    def __init__(self, run: Path) -> None:
        """run    where the marks of processes are"""
        run.parent.mkdir(parents=True, exist_ok=True)  # apart, so that an error names the data folder
        run.mkdir(exist_ok=True)
        self._run = run
        self._file: IO[bytes] = (run / _LOCK).open("ab")

    def others(self) -> str:
        """Who is in the way, in words; empty when this process is the only one, from now on and until it ends."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ", ".join(living(self._run)) or "one that is just starting"
        # Who starts has the lock before it has a mark: these have come without one.
        return ", ".join(living(self._run))

    def close(self) -> None:
        self._file.close()
