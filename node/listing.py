"""Tables that a person made: CSV with a header, read with the line of every row, so that each mistake has its place."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_DELIMITERS = ",;\t"
"""A spreadsheet writes the one that is usual in its country."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    """From 1; of a row over several lines the last."""
    cells: Mapping[str, str]
    """By column; without blanks around them. "" for a column that the table does not have."""


Problem = tuple[int, str]
"""(line, what is wrong)"""


def read(text: str, needed: Collection[str], allowed: Collection[str]) -> tuple[Sequence[Row], Sequence[Problem]]:
    """The rows of a table, and what is wrong with it; the rows are of use only when nothing is.

    needed, allowed  names of columns, in lower case; any other is a problem, because it may be one misspelt
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    head = lines[0] if lines else ""
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
        problems = _header(columns, needed, allowed)
        if problems:
            return [], problems
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                problems.append((reader.line_num, f"{len(cells)} cells in a table of {len(columns)} columns"))
                continue
            found = dict.fromkeys((*needed, *allowed), "") | dict(zip(columns, map(str.strip, cells), strict=True))
            rows.append(Row(reader.line_num, found))
    except csv.Error:
        problems.append((reader.line_num, "it is no line of a CSV: is a quote missing?"))
    return rows, problems


def _header(columns: Sequence[str], needed: Collection[str], allowed: Collection[str]) -> list[Problem]:
    problems = [(1, f'the column "{name}" is missing') for name in needed if name not in columns]
    # Without their text: in a table that has no header the first line is a patient's.
    unknown = [str(at) for at, name in enumerate(columns, 1) if name not in (*needed, *allowed)]
    if unknown:
        known = ", ".join((*needed, *allowed))
        problems.append((1, f"column {', '.join(unknown)} of the first line is none of: {known}"))
    if len(set(columns)) < len(columns):
        problems.append((1, "a column is there twice"))
    return problems
