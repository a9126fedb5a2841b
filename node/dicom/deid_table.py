"""PS3.15 Annex E as facts: what the Basic Profile and its options say about each attribute.

Source: DICOM PS3.15 2026d, Table E.1-1 (657 rows) and Table E.3.10-1 (479 safe private elements), kept in
`deid_table.json` in a form of our own, with acknowledgement to NEMA. What the IODs of PS3.3 ask of the
attributes with a compound code, without which `X/Z/D` cannot be read, is in `iod_types`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

METHOD_CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "basic": ("113100", "Basic Application Confidentiality Profile"),
        "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
        "clean_recognizable_visual_features": ("113102", "Clean Recognizable Visual Features Option"),
        "clean_graphics": ("113103", "Clean Graphics Option"),
        "clean_structured_content": ("113104", "Clean Structured Content Option"),
        "clean_descriptors": ("113105", "Clean Descriptors Option"),
        "retain_long_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
        "retain_long_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
        "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
        "retain_device_identity": ("113109", "Retain Device Identity Option"),
        "retain_uids": ("113110", "Retain UIDs Option"),
        "retain_safe_private": ("113111", "Retain Safe Private Option"),
        "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
    }
)
"""Profile and options by our names -> (code value, code meaning) of PS3.16 CID 7050, scheme DCM."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of Table E.1-1."""

    tag: int
    basic: str
    """The Basic Profile's code: X Z D U, or a compound such as `X/Z/D` (Table E.1-1a)."""
    keeps: frozenset[str]
    """Options whose column says K: keep unchanged, clean the items of a sequence."""
    cleans: frozenset[str]
    """Options whose column says C: replace by values of similar meaning that do not identify."""


@cache
def _data() -> Mapping[str, Any]:
    text = files("node.dicom").joinpath("deid_table.json").read_text(encoding="utf-8")
    data: Mapping[str, Any] = json.loads(text)
    return data


def edition() -> str:
    """The edition of PS3.15 that the rows are from, such as `2026d`."""
    return str(_data()["edition"])


def options() -> tuple[str, ...]:
    """The options that have a column in Table E.1-1, in its order."""
    return tuple(_data()["options"])


@cache
def rows() -> Mapping[int, Row]:
    """Table E.1-1 by tag; without the rows for repeating groups and for private attributes.

    Those four rows say X: `repeating_groups` names the groups.
    """
    return MappingProxyType({row.tag: row for row in map(_row, _data()["attributes"])})


def _row(line: str) -> Row:
    tag, basic, letters = line.split()
    cells = dict(zip(options(), letters, strict=True))
    return Row(
        int(tag, 16),
        basic,
        frozenset(name for name, letter in cells.items() if letter == "K"),
        frozenset(name for name, letter in cells.items() if letter == "C"),
    )


def is_repeating(tag: int) -> bool:
    """Whether a tag is in a curve (50xx) or overlay (60xx) group (PS3.5 7.6)."""
    return tag >> 24 in (0x50, 0x60)


@cache
def safe_private() -> Mapping[tuple[int, str, int], str]:
    """Table E.3.10-1: (group, private creator, low byte of the element) -> VR."""
    found: dict[tuple[int, str, int], str] = {}
    for creator, groups in _data()["safe_private"].items():
        for group, elements in groups.items():
            for element, vr in (pair.split(":") for pair in elements.split()):
                found[int(group, 16), creator, int(element, 16)] = vr
    return MappingProxyType(found)
