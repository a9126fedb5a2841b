"""Which regions are wanted, and what they are called: names differ from planner to planner, and are free text. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Others = Literal["drop", "keep"]

_LONGEST = 64
"""Characters of a Segment Label (LO)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A region that is wanted. Names are free text of the sender: never log them."""

    place: int
    """Its index in the list that was given."""
    name: str
    """By the table, else as it was."""
    file: str
    """The same with letters that every file system takes; no other region of the list has it."""
    label: int
    """Its value in a label map: its row in the table, from 1, so that one structure has one value for all patients;
    without a row what comes after."""


def problems_of(table: Mapping[str, str]) -> list[str]:
    """What is wrong with a table of regular expression -> name."""
    found = []
    for pattern, name in table.items():
        if not name.strip():
            found.append(f'rois: "{pattern}" has no name')
        try:
            re.compile(pattern).sub(name, "")  # parses the name too, whether it fits or not
        except (re.error, IndexError) as error:
            found.append(f'rois: "{pattern}" -> "{name}": {error}')
    return found


def choose(
    regions: Sequence[tuple[int, str]], table: Mapping[str, str], others: Others
) -> tuple[list[Called], list[int]]:
    """The wanted of (number, name), and the places of those that are not. The first row that fits the whole name wins,
    without regard to case; `\\1` in the new name is the first group.

    regions  in order; an empty name becomes ROI_<number>
    """
    wanted: list[tuple[int, str, int | None]] = []
    unwanted = []
    for place, (number, given) in enumerate(regions):
        name = unicodedata.normalize("NFC", given).strip() or f"ROI_{number}"
        for row, (pattern, new) in enumerate(table.items()):
            if match := re.fullmatch(pattern, name, re.IGNORECASE):
                wanted.append((place, match.expand(new).strip() or name, row))
                break
        else:
            if table and others == "drop":
                unwanted.append(place)
            else:
                wanted.append((place, name, None))
    called: list[Called] = []
    taken: set[str] = set()
    extra = len(table)
    for place, name, of_row in wanted:
        file = _free(_safe(name) or f"ROI_{regions[place][0]}", taken)
        extra += of_row is None
        label = extra if of_row is None else of_row + 1
        called.append(Called(place=place, name=name[:_LONGEST], file=file, label=label))
    return called, unwanted


def _safe(name: str) -> str:
    return re.sub(
        r"[^A-Za-z0-9+-]+", "_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    ).strip("_")[:_LONGEST]


def _free(name: str, taken: set[str]) -> str:
    """`name`, or with a number where another region has it; file systems may not tell upper from lower case."""
    found, n = name, 1
    while found.casefold() in taken:
        n += 1
        found = f"{name}_{n}"
    taken.add(found.casefold())
    return found
