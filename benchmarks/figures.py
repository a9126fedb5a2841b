"""Figures of several runs: kept in a file that later runs add to, and shown as Markdown tables."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import disk, machine, tree

Row = dict[str, Any]


@dataclass(slots=True)
class Figures:
    """Rows that were measured on one machine, of one commit, with one sender."""

    about: str
    path: Path | None = None
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if self.path is not None:
            self.path.write_text(json.dumps({"about": self.about, "rows": self.rows}, indent=1) + "\n")

    def median(self, key: str, **wanted: object) -> float | None:
        """Of a column, over the rows that have these values in others; None when there is none."""
        rows = [row for row in self.rows if all(row.get(name) == value for name, value in wanted.items())]
        known = [row[key] for row in rows if row.get(key) is not None]
        return statistics.median(known) if known else None

    def values(self, key: str) -> list[Any]:
        """Every value of a column, in the order in which they came."""
        return list(dict.fromkeys(row[key] for row in self.rows))


def open_figures(path: Path | None, folder: Path, what: str) -> Figures:
    """Those of the file, when it is there. Ends the program when they are of something else."""
    about = f"{machine()}, {disk(folder)}; dicom-node {tree()}; {what}"
    if path is None or not path.exists():
        return Figures(about, path)
    stored = json.loads(path.read_text())
    if stored["about"] != about:
        raise SystemExit(f"{path} has figures of something else, give another file:\n {stored['about']}\n {about}")
    return Figures(about, path, stored["rows"])


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Markdown; the first column to the left, numbers to the right."""
    every = [list(head), *map(list, lines)]
    widths = [max(len(line[column]) for line in every) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    shown = [
        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))] for line in every
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [shown[0], rule, *shown[1:]])


def number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}f}"
