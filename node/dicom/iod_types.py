"""What the IODs ask of an attribute whose code in PS3.15 Table E.1-1 is Z, X or compound: its Type (PS3.5 7.4).

Source: the module tables of PS3.3 and the SOP Classes of PS3.4, kept in `iod_types.json` in a form of our own;
tests/dicom/iod_tables.py makes it. Of several modules that ask for one attribute the strictest counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

STRICTNESS = ("1", "1C", "2", "2C", "3")
"""Types from the strictest: 1 has a value, 2 is present and may be empty, 3 may be absent; C under a condition."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."


def type_at_top(tag: int, sop_class: str) -> str:
    """The Type of an attribute at the top of an instance; "3" for one that its IOD does not have.

    For a SOP class that the tables do not name it is the strictest of any IOD: a dummy too many harms nobody.
    """
    entry = _data()["top"].get(f"{tag:08X}", {"most": "3"})
    iod = _iod_of().get(sop_class)
    kinds = [kind for kind in STRICTNESS if kind in entry]
    if iod is None:
        return min((*kinds, str(entry["most"])), key=STRICTNESS.index)
    return next((kind for kind in kinds if iod in entry[kind]), str(entry["most"]))


@cache
def in_items() -> Mapping[tuple[int, int], str]:
    """(sequence, attribute in its items) -> Type, for every place that the modules of PS3.3 name."""
    return MappingProxyType(
        {
            (int(sequence, 16), int(tag, 16)): str(kind)
            for sequence, found in _data()["items"].items()
            for tag, kind in found.items()
        }
    )


@cache
def _strictest_in_items() -> Mapping[int, str]:
    found: dict[int, str] = {}
    for (_, tag), kind in in_items().items():
        found[tag] = min(kind, found.get(tag, "3"), key=STRICTNESS.index)
    return MappingProxyType(found)


def type_in_any_item(tag: int) -> str:
    """The strictest Type of an attribute within any sequence: for those that the tables do not name, such as
    functional groups and sequences of vendors."""
    return _strictest_in_items().get(tag, "3")


@cache
def of_removed(sop_class: str) -> Mapping[tuple[int, ...], str]:
    """(attribute,) at the top or (sequence, attribute) -> "1" or "2", of those whose code is X and nothing else: the
    table would have them go from an IOD that may not be without them. Empty for a SOP class that no table names.
    """
    iod = _iod_of().get(sop_class)
    return MappingProxyType(
        {
            tuple(int(tag, 16) for tag in place.split()): kind
            for place, kinds in _data()["removed"].items()
            for kind in kinds
            if iod in kinds[kind]
        }
    )


@cache
def _data() -> Mapping[str, Any]:
    text = files("node.dicom").joinpath("iod_types.json").read_text(encoding="utf-8")
    data: Mapping[str, Any] = json.loads(text)
    return data


@cache
def _iod_of() -> Mapping[str, str]:
    return {
        uid if uid.startswith("1.2.840.") else _STORAGE + uid: iod
        for iod, uids in _data()["iods"].items()
        for uid in uids
    }
