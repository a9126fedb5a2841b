"""The schema's version: made, brought forward after a copy, or refused when it is newer than this program."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.errors import ConfigurationError
from node.index.copies import dump
from node.index.database import insert
from node.index.schema import (
    VERSION,
    asked,
    asked_item,
    certificate,
    certificate_head,
    commitment,
    commitment_item,
    expected,
    meta,
    metadata,
    parcel,
    procedure_step,
    pull,
    reading,
    receipt,
)

_MADE = "folder "

log = logging.getLogger("node.index")

Migration = Callable[[sa.Connection], None]


def _to_2(connection: sa.Connection) -> None:
    """Storage commitment, what sources say a study has and were asked, what was pulled from them, and of each parcel
    whether it may identify a patient; indexes for what is looked at often and is few."""
    new = [commitment, commitment_item, asked, asked_item, procedure_step, expected, reading, pull]
    metadata.create_all(connection, tables=new)
    # Not derived from the delivery's: one identified file makes a whole delivery identified.
    connection.exec_driver_sql("ALTER TABLE node_parcel ADD COLUMN disclosure TEXT NOT NULL DEFAULT ''")
    for index in (*receipt.indexes, *parcel.indexes):
        index.create(connection, checkfirst=True)


def _to_3(connection: sa.Connection) -> None:
    """Certificates of de-identification."""
    metadata.create_all(connection, tables=[certificate, certificate_head])


def _to_4(connection: sa.Connection) -> None:
    """Who asks a source and who pulls, so that what a dead process was doing is done by another at once."""
    for table in (reading, pull):
        # From version 1 or 2 the table was made a moment ago, as it is today.
        if "claimed" not in {column["name"] for column in sa.inspect(connection).get_columns(table.name)}:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN claimed TEXT NOT NULL DEFAULT ''")


MIGRATIONS: Mapping[int, Migration] = {2: _to_2, 3: _to_3, 4: _to_4}
"""Version -> what brings the schema from the one before to it. Version 1 is made, not migrated to."""


def prepare(
    engine: sa.Engine,
    data: Path,
    *,
    version: int = VERSION,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    migrate: bool = True,
) -> None:
    """Make the tables, or bring them to this version; a copy of everything is written before.

    Two processes that start together: the second waits for the first one's transaction and finds its work
    done. Raises ConfigurationError when the database is newer than the program, and without `migrate` also when
    it is older.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('dicom-node schema'))"))
        found = _version(connection)
        if found is None:
            # A new database numbers units from 1 again. What a job of an older one left under the same name, of the
            # same receipts, would be taken for done, and is not in this one.
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(data / "work")
            metadata.create_all(connection)
            connection.execute(sa.insert(meta).values(key="schema", value=str(version)))
            return
        _refuse_newer(found, version)
        if not migrate:
            _refuse_older(found, version)
        if found < version:
            copy = data / f"before-schema-{found + 1}.jsonl.gz"
            dump(connection, copy)
            log.warning("schema %d is brought to %d; a copy of the tables is in %s", found, version, copy)
            for step in range(found + 1, version + 1):
                migrations[step](connection)
            connection.execute(sa.update(meta).where(meta.c.key == "schema").values(value=str(version)))
        if migrate:
            _complete(connection, version, data)


def _complete(connection: sa.Connection, version: int, data: Path) -> None:
    """Tables, columns and indexes that a program of the same version did not know yet: before a release a version may
    have grown. Raises ConfigurationError where that cannot be done without guessing values."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    new = [table for table in metadata.sorted_tables if table.name not in tables]
    lacking: list[sa.Column[Any]] = []
    for table in (table for table in metadata.sorted_tables if table.name in tables):
        there = {column["name"] for column in inspector.get_columns(table.name)}
        lacking += [column for column in table.columns if column.name not in there]
    unknown = [f"{c.table.name}.{c.name}" for c in lacking if not c.nullable and c.server_default is None]
    if unknown:
        raise ConfigurationError(
            f"the database has schema {version} and lacks {', '.join(unknown)}: a program from before the release made "
            "it. Have that program make a `dicom-node backup`, and `dicom-node restore` that into a new data folder"
        )
    if new or lacking:
        copy = data / f"before-schema-{version}-was-complete.jsonl.gz"
        dump(connection, copy)
        log.warning("schema %d is completed; a copy of the tables is in %s", version, copy)
    metadata.create_all(connection, tables=new)
    for column in lacking:
        written = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {written}")
    for table in metadata.sorted_tables:
        known = {index["name"] for index in inspector.get_indexes(table.name)} if table not in new else None
        for index in table.indexes:
            if known is not None and index.name not in known:
                index.create(connection)


def check(connection: sa.Connection, data: Path, *, version: int = VERSION) -> None:
    """For who only looks: a node has made the tables, and they are of this version. It waits for no writer.

    Raises ConfigurationError.
    """
    found = _version(connection)
    if found is None:
        raise ConfigurationError(nobody_ran(data))
    _refuse_newer(found, version)
    _refuse_older(found, version)


def nobody_ran(data: Path) -> str:
    return (
        f"no node has run on {data} yet: start one with `dicom-node serve`, or correct rules.yaml (`data`, `database`)"
    )


def _refuse_newer(found: int, version: int) -> None:
    if found > version:
        raise ConfigurationError(
            f"the database has schema {found} and this dicom-node knows {version}: "
            "install the newer program again, or restore a backup made before the upgrade"
        )


def _refuse_older(found: int, version: int) -> None:
    if found < version:
        raise ConfigurationError(
            f"the database has schema {found} and this dicom-node needs {version}: start it once with "
            "`dicom-node serve`, which brings the database forward after a copy"
        )


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(meta.name):
        return None
    value = connection.scalar(sa.select(meta.c.value).where(meta.c.key == "schema"))
    return None if value is None else int(value)


def read_meta(connection: sa.Connection, key: str) -> str | None:
    return connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))


def read_made(connection: sa.Connection) -> set[str]:
    """Folders of destinations that were made once, by whichever node on this database and under whichever rules."""
    keys = connection.scalars(sa.select(meta.c.key).where(meta.c.key.startswith(_MADE, autoescape=True)))
    # One list of all was the note of an older program, which may still be running beside this one.
    return {key.removeprefix(_MADE) for key in keys} | set(json.loads(read_meta(connection, "folders") or "[]"))


def note_made(connection: sa.Connection, folders: Iterable[str]) -> None:
    """For good: rules that do not name a folder today may do so tomorrow, or on another node."""
    for folder in sorted(folders):
        connection.execute(
            insert(connection, meta).values(key=f"{_MADE}{folder}", value="made").on_conflict_do_nothing()
        )


def write_meta(connection: sa.Connection, key: str, value: str) -> None:
    connection.execute(sa.delete(meta).where(meta.c.key == key))
    connection.execute(sa.insert(meta).values(key=key, value=value))
