"""Tables to a file and back, the same for both databases. Lines of JSON: [table, {column: value}]."""

from __future__ import annotations

import base64
import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.errors import ConfigurationError
from node.index.schema import metadata

PREFIX = "node_"


def dump(connection: sa.Connection, path: Path) -> int:
    """Write every table of the node as it is now, whatever its schema version. Returns the number of rows."""
    found = sa.MetaData()
    names = [n for n in sa.inspect(connection).get_table_names() if n.startswith(PREFIX)]
    found.reflect(connection, only=names)
    hidden = path.with_name(path.name + ".part")
    count = 0
    with gzip.open(hidden, "wt", encoding="utf-8") as file:
        for table in found.sorted_tables:
            for row in connection.execute(sa.select(table)).mappings():
                file.write(json.dumps([table.name, {k: _plain(v) for k, v in row.items()}]) + "\n")
                count += 1
    with hidden.open("rb") as written:
        os.fsync(written.fileno())
    hidden.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a migration begins only when its copy cannot be lost any more
    finally:
        os.close(folder)
    return count


def load(connection: sa.Connection, path: Path) -> int:
    """Fill the empty tables of the current schema from a dump. Returns the number of rows."""
    count = 0
    group: list[dict[str, Any]] = []
    current = ""
    for name, row in _rows(path):
        if name != current or len(group) == 500:
            _insert(connection, current, group)
            current, group = name, []
        group.append(row)
        count += 1
    _insert(connection, current, group)
    _advance_sequences(connection)
    return count


def check(path: Path) -> int:
    """Read a dump to its end. Returns the number of rows. Raises ConfigurationError when it is damaged."""
    try:
        return sum(1 for name, _ in _rows(path) if metadata.tables[name] is not None)
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise ConfigurationError(
            f"{path} cannot be read to its end ({type(error).__name__}): the copy is damaged"
        ) from None


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            name, row = json.loads(line)
            yield name, {k: _value(v) for k, v in row.items()}


def _insert(connection: sa.Connection, name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(metadata.tables[name]), rows)


def _advance_sequences(connection: sa.Connection) -> None:
    """PostgreSQL does not notice that ids were given; the next insert would take one that is used."""
    if connection.dialect.name != "postgresql":
        return
    for name in ("node_unit", "node_history", "node_commitment", "node_asked", "node_expected"):
        connection.execute(
            sa.text(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), "
                f"GREATEST((SELECT COALESCE(MAX(id), 0) FROM {name}), 1))"
            )
        )


def _plain(value: object) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes | memoryview) else value


def _value(value: object) -> object:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
