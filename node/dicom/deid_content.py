"""PS3.15 Table E.3.4-1 as facts: what the Clean Structured Content Option asks of the items of a report.

Source: DICOM PS3.15 2026c, kept in `deid_content.json` in a form of our own, with acknowledgement to NEMA.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ContentRow:
    """One row: a concept name with a value type (PS3.3 C.17.3.2.1)."""

    basic: str
    """X remove, D replace by a dummy, or X/D as the template requires."""
    keeps: frozenset[str]
    """Options whose column says K."""
    cleans: frozenset[str]
    """Options whose column says C."""


Concept = tuple[str, str, str]
"""Coding Scheme Designator, Code Value, Value Type."""


@cache
def rows() -> Mapping[Concept, ContentRow]:
    """The table by concept name and value type."""
    data = json.loads(files("node.dicom").joinpath("deid_content.json").read_text(encoding="utf-8"))
    found: dict[Concept, ContentRow] = {}
    for line in data["items"]:
        scheme, code, value_type, basic, letters = line.split()
        cells = dict(zip(data["options"], letters, strict=True))
        found[scheme, code, value_type] = ContentRow(
            basic,
            frozenset(name for name, letter in cells.items() if letter == "K"),
            frozenset(name for name, letter in cells.items() if letter == "C"),
        )
    return MappingProxyType(found)
