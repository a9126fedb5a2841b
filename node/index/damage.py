"""A database file that SQLite cannot read any more: found, and put aside so that another one can be made."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from node.index.database import FILE

_BESIDE = ("", "-wal", "-shm")
"""What SQLite keeps a database in, behind the name of its file."""


def is_damaged(data: Path) -> bool:
    """Whether the database of a data folder is there and cannot be read to its end. Nothing else may use it.

    It reads all of it: some seconds for a gigabyte. False also where it cannot be opened for another reason, which
    whoever opens it is told.
    """
    file = data / FILE
    if not file.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]
    except sqlite3.OperationalError:  # locked, not ours, on a disk that fails
        return False
    except sqlite3.DatabaseError:
        return True


def put_aside(data: Path, moment: str) -> Path:
    """Move a damaged database into a folder of its own below the data folder, and return that.

    moment  what tells it from others, part of its name
    """
    folder = data / f"damaged-{moment}"
    folder.mkdir()
    for name in (f"{FILE}{end}" for end in _BESIDE):
        with contextlib.suppress(FileNotFoundError):
            (data / name).rename(folder / name)
    return folder
