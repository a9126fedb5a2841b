"""A table on a terminal; plain lines, with no colour and nothing cut off, where something else reads."""

from __future__ import annotations

import sys
from collections.abc import Sequence

Row = tuple[str, int, str, str]
"""(what, how many, where, why)"""


def show(rows: Sequence[Row]) -> None:
    """Print `rows`; columns that are empty in all of them are left out."""
    if not sys.stdout.isatty():
        for what, count, where, why in rows:
            print(f"{what:<12} {count:>8}" + (f"  {where}" if where else "") + (f": {why}" if why else ""))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    for what, count, where, why in rows:
        # Text: what came from the network or from rules.yaml is never read as markup.
        table.add_row(what, str(count), Text(where), Text(why), style="bold red" if what == "held" and count else "")
    Console().print(table)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text below their column's names; where something else reads, with tabs and without the names."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
