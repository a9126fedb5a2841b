"""Statements that run for every group of instances. Their text is made once: making it takes SQLAlchemy longer than
running it takes the database.

Values go to the driver as they are, and come back as they are: on SQLite a boolean is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

Values = Mapping[str, Any]
_Arguments = Callable[[Values], Any]


class Prepared:
    """One statement, for whatever database is behind the connection."""

    def __init__(self, build: Callable[[sa.Connection], sa.ClauseElement]) -> None:
        """`build` gives the statement, with a `sa.bindparam` for each value; it must not depend on anything else."""
        self._build = build
        self._texts: dict[str, tuple[str, _Arguments]] = {}

    def run(self, connection: sa.Connection, values: Values) -> sa.CursorResult[tuple[Any, ...]]:
        text, arguments = self._text(connection)
        return connection.exec_driver_sql(text, arguments(values))

    def run_all(self, connection: sa.Connection, rows: Iterable[Values]) -> None:
        """Once for each row, and there must be one."""
        text, arguments = self._text(connection)
        connection.exec_driver_sql(text, [arguments(row) for row in rows])

    def _text(self, connection: sa.Connection) -> tuple[str, _Arguments]:
        name = connection.dialect.name
        if name not in self._texts:
            self._texts[name] = _compiled(self._build(connection), connection.dialect)
        return self._texts[name]


class PreparedIn:
    """One query for rows with any of some values: a text for each power of two of them."""

    def __init__(self, select: sa.Select[Any], column: sa.ColumnElement[Any]) -> None:
        self._select, self._column = select, column
        self._sizes: dict[int, Prepared] = {}

    def run(self, connection: sa.Connection, values: Sequence[str]) -> sa.CursorResult[tuple[Any, ...]]:
        """There must be a value. Given more than once it changes nothing."""
        size = 1 << (len(values) - 1).bit_length()
        names = [f"value_{number}" for number in range(size)]
        if size not in self._sizes:
            among = self._column.in_([sa.bindparam(name, type_=self._column.type) for name in names])
            statement = self._select.where(among)
            self._sizes[size] = Prepared(lambda _: statement)
        padded = [*values, *[values[0]] * (size - len(values))]
        return self._sizes[size].run(connection, dict(zip(names, padded, strict=True)))


def _compiled(statement: sa.ClauseElement, dialect: sa.Dialect) -> tuple[str, _Arguments]:
    compiled = statement.compile(dialect=dialect)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    order = getattr(compiled, "positiontup", None)
    if not order:
        return str(compiled), lambda values: {**constants, **values}
    if constants or len(order) == 1:
        return str(compiled), lambda values: tuple([values[n] if n in values else constants[n] for n in order])
    return str(compiled), itemgetter(*order)
