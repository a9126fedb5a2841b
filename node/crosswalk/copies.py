"""The crosswalk to a file and back, for `dicom-node backup` and `restore`. Lines of JSON: [table, {column: value}].

A restore adds and takes nothing away: a name that was given since the backup is in the world, and must stay its
patient's. Numbers that were given since may be lost with the disk, so counting goes on well above.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.crosswalk.doors import Doors
from node.crosswalk.schema import key, metadata, name, number, patient, study, use
from node.errors import ConfigurationError
from node.index.database import insert

LEFT_OUT = 1000
"""Numbers that are not given after a restore: more than a node gives between two backups."""


def dump(doors: Doors, path: Path) -> int:
    """Write every table, as one moment saw them, for the owner alone. Returns the number of rows."""
    count = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with doors.reader.connect() as connection, os.fdopen(descriptor, "wb") as raw:
        with gzip.open(raw, "wt", encoding="utf-8") as file:
            for table in metadata.sorted_tables:
                for row in connection.execute(sa.select(table)).mappings():
                    file.write(json.dumps([table.name, dict(row)]) + "\n")
                    count += 1
        raw.flush()
        os.fsync(raw.fileno())
    return count


def read(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(table, row) of a dump. Raises ConfigurationError when it is damaged."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [(str(table), dict(row)) for table, row in map(json.loads, file)]
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise ConfigurationError(f"{path} cannot be read to its end ({type(error).__name__})") from None


def merge(doors: Doors, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Add what is not there; the key that was in use then is in use again."""
    of = {table.name: [row for found, row in rows if found == table.name] for table in metadata.sorted_tables}
    with doors.durable.begin() as connection:
        if any(row["retired"] is None for row in of[key.name]):
            connection.execute(sa.update(key).values(retired=key.c.since).where(key.c.retired.is_(None)))
        for row in of[key.name]:
            added = insert(connection, key).values(row)
            back = added.on_conflict_do_update(index_elements=["id"], set_={"retired": added.excluded.retired})
            connection.execute(back if row["retired"] is None else added.on_conflict_do_nothing())
        ids = {row["id"]: _patient(connection, row) for row in of[patient.name]}
        for row in of[name.name]:
            connection.execute(
                insert(connection, name).values({**row, "patient": ids[row["patient"]]}).on_conflict_do_nothing()
            )
        for row in of[study.name]:
            connection.execute(insert(connection, study).values(row).on_conflict_do_nothing())
        for row in of[use.name]:
            _use(connection, row)
        _numbers(connection, of[number.name])


def _patient(connection: sa.Connection, row: dict[str, Any]) -> int:
    values = {column: value for column, value in row.items() if column != "id"}
    connection.execute(insert(connection, patient).values(values).on_conflict_do_nothing())
    natural = ("issuer_folded", "patient_id_folded", "study")
    where = (patient.c[one] == row[one] for one in natural)
    return int(connection.scalars(sa.select(patient.c.id).where(*where)).one())


def _use(connection: sa.Connection, row: dict[str, Any]) -> None:
    same = (use.c.at == row["at"], use.c.who == row["who"], use.c.act == row["act"])
    if connection.scalar(sa.select(use.c.id).where(*same)) is None:
        connection.execute(sa.insert(use).values({column: value for column, value in row.items() if column != "id"}))


def _numbers(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        added = insert(connection, number).values(prefix=row["prefix"], last=row["last"])
        higher = sa.case((number.c.last > added.excluded.last, number.c.last), else_=added.excluded.last)
        connection.execute(added.on_conflict_do_update(index_elements=["prefix"], set_={"last": higher}))
    connection.execute(sa.update(number).values(last=number.c.last + LEFT_OUT))
