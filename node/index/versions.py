"""The schema's version: made, brought forward after a copy, or refused when it is newer than this program."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import sqlalchemy as sa

from node.errors import ConfigurationError
from node.index.copies import dump
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


MIGRATIONS: Mapping[int, Migration] = {2: _to_2, 3: _to_3}
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


def write_meta(connection: sa.Connection, key: str, value: str) -> None:
    connection.execute(sa.delete(meta).where(meta.c.key == key))
    connection.execute(sa.insert(meta).values(key=key, value=value))
