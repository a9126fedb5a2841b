"""A copy of everything that cannot be made again, and putting it back.

    <folder>/tables.jsonl.gz     every row, the same for SQLite and PostgreSQL
    <folder>/spool, outbox       the files that the rows speak of
    <folder>/crosswalk.jsonl.gz  who became whom
    <folder>/secret, secrets     the key of the pseudonyms, and those before it
    <folder>/about.json          when, by which version

Rows are read first and files after: what comes meanwhile has a file and no row. After a restore the world may
be further than the backup: what was on its way then may have been sent since, and what has a file in the spool and
no row in the backup may have been indexed and sent since, also when it came before the backup. Neither is sent
again by itself; both are held.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

import sqlalchemy as sa

from node import __version__
from node import secret as secrets
from node.crosswalk import copies as copies_of_crosswalk
from node.crosswalk import mark
from node.crosswalk.doors import Doors
from node.engine.engine import Engine
from node.errors import ConfigurationError
from node.index import Database
from node.index.copies import check, dump, load
from node.index.schema import VERSION, delivery, job, metadata, obligation, parcel
from node.index.versions import read_meta, write_meta

_HELD = "restored from a backup while it was on its way: it may have been sent since; release it, or drop it"


def backup(database: Database, crosswalk: Doors, data: Path, folder: Path, now: Callable[[], float] = time.time) -> int:
    """Write a backup into a new folder, beside a running node. Returns the number of rows.

    Raises ConfigurationError when the folder is there already.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ConfigurationError(f"{folder} exists already: name a new folder") from None
    taken = now()
    with database.reader.connect() as connection:
        rows = dump(connection, folder / "tables.jsonl.gz")
    copies_of_crosswalk.dump(crosswalk, folder / "crosswalk.jsonl.gz")
    for name in ("spool", "outbox", secrets.FOLDER):
        _copy_tree(data / name, folder / name)
    if (data / "secret").exists():
        _copy(data / "secret", folder / "secret")
    about = {"taken": taken, "version": __version__, "schema": VERSION}
    (folder / "about.json").write_text(json.dumps(about))
    return rows


def restore(
    database: Database, crosswalk: Doors, engine: Engine, data: Path, folder: Path,
    now: Callable[[], float] = time.time,
) -> int:  # fmt: skip
    """Put a backup back. The node must be stopped. Returns the number of rows.

    now    seconds since 1970, by the clock that also dates receipts

    Files that the backup has no row for stay in the spool; the next start indexes them as held. Raises
    ConfigurationError when the folder is no backup, damaged, or of a newer program; then nothing was changed.
    """
    check_about(folder)
    check(folder / "tables.jsonl.gz")  # all of it, before anything of what is here is touched
    mapped = folder / "crosswalk.jsonl.gz"  # older backups have none
    patients = copies_of_crosswalk.read(mapped) if mapped.exists() else []
    # Before the rows: units are numbered on from those of the backup, so jobs that were made since come again
    # under the same ids. What they left, on disk and in the engine, is of other patients. Cut off here, the node
    # makes its work files again and `heal` puts its jobs in again.
    _remove(data / "work")
    engine.clear()
    for name in ("spool", "outbox"):
        _copy_tree(folder / name, data / name)
    with database.durable.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
        rows = load(connection, folder / "tables.jsonl.gz")
        if read_meta(connection, "schema") != str(VERSION):
            write_meta(connection, "schema", str(VERSION))
        write_meta(connection, "restored", str(now()))
        _hold_what_was_on_its_way(connection)
        named = set(connection.scalars(sa.select(parcel.c.path)))
    _remove(data / "outbox", but=named)
    copies_of_crosswalk.merge(crosswalk, patients)
    mark.pair(database, crosswalk)
    _restore_secrets(data, folder)
    return rows


def check_about(folder: Path) -> None:
    """That it is a backup, and of no newer program. Raises ConfigurationError."""
    try:
        about = json.loads((folder / "about.json").read_text())
    except (OSError, ValueError):
        raise ConfigurationError(f"{folder} is no backup: it has no readable about.json") from None
    if about["schema"] > VERSION:
        raise ConfigurationError(f"{folder} was made by dicom-node {about['version']}, which is newer than this one")


def _restore_secrets(data: Path, folder: Path) -> None:
    """The key of then is in use again; those since then stay, for the patients who were mapped with them."""
    own, then = data / "secret", folder / "secret"
    _copy_tree(folder / secrets.FOLDER, data / secrets.FOLDER)
    if then.exists():
        if own.exists() and own.read_bytes() != then.read_bytes():
            secrets.put_by(data / secrets.FOLDER, secrets.load_or_make(own))
        _copy(then, own)


def _hold_what_was_on_its_way(connection: sa.Connection) -> None:
    running = job.c.state.in_(("queued", "running"))
    connection.execute(sa.update(job).where(running).values(state="held", reason=_HELD))
    connection.execute(sa.update(parcel).where(parcel.c.state == "waiting").values(state="held", reason=_HELD))
    connection.execute(
        sa.update(delivery).where(delivery.c.state == "waiting").values(state="held", reason=_HELD, next_at=None)
    )
    connection.execute(
        sa.update(obligation).where(obligation.c.state.in_(("in_job", "waiting"))).values(state="held", reason=_HELD)
    )


def _remove(folder: Path, but: Collection[str] = ()) -> None:
    """Every file below `folder`, those aside whose path in it is named, and the folders that are then empty."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in but:
            path.unlink()


def _copy_tree(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and "incoming" not in path.relative_to(source).parts and path.suffix != ".part":
            goal = target / path.relative_to(source)
            goal.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy(path, goal)
            except FileNotFoundError:  # delivered, or removed by retention, while we copied
                continue


def _copy(source: Path, target: Path) -> None:
    hidden = target.with_name(target.name + ".copy")
    shutil.copy2(source, hidden)
    descriptor = os.open(hidden, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    hidden.replace(target)
