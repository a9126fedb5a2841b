"""What two instances with one SOP Instance UID differ in, in words: names of attributes, and values that name nobody.

A value is shown only where PS3.15 Table E.1-1 does not name the attribute, nor a sequence that it lies in. Private
attributes, dates, times, names and what PS3.6 does not have are never shown either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from node.dicom import deid_table
from node.dicom.attributes import describe, is_private, keyword_of, vr_of
from node.model import Header

MOST = 40
"""Attributes that are listed."""

_LONGEST = 40
_STEP = re.compile(r"([0-9A-F]{8})(?:\[(\d+)\])?")
_HIDDEN = frozenset({"PN", "DA", "TM", "DT", "UN", "SQ"})
_ABSENT = object()


def told(paths: Sequence[str], first: Header, second: Header) -> list[str]:
    """One line for each attribute that differs.

    paths    as `node.dicom.content.header_difference` gives them: `00081140[0].00081155`
    """
    lines = [_line(path, first, second) for path in paths[:MOST]]
    return [*lines, f"and {len(paths) - MOST} more attributes"] if len(paths) > MOST else lines


def may_be_shown(tags: Sequence[int]) -> bool:
    """Whether the value at the end of a path of tags, outermost first, identifies nobody."""
    named = deid_table.rows()
    known = all(
        not is_private(tag) and not deid_table.is_repeating(tag) and tag not in named and keyword_of(tag)
        for tag in tags
    )
    return known and vr_of(tags[-1]) not in _HIDDEN


def _line(path: str, first: Header, second: Header) -> str:
    steps = [(match[1], match[2]) for match in _STEP.finditer(path)]
    tags = [int(tag, 16) for tag, _ in steps]
    name = " > ".join(
        describe(tag) + (f" {int(item) + 1}" if item else "") for tag, (_, item) in zip(tags, steps, strict=True)
    )
    if not may_be_shown(tags):
        return f"{name} differs"
    return f"{name}: {_shown(_at(first, steps))} in the first, {_shown(_at(second, steps))} in this one"


def _at(header: object, steps: Sequence[tuple[str, str | None]]) -> object:
    """The values there; None for values that the index does not keep."""
    for tag, item in steps:
        element = header.get(tag, _ABSENT) if isinstance(header, Mapping) else _ABSENT
        if not isinstance(element, list | tuple) or len(element) != 2:
            return _ABSENT
        header = element[1]
        if item:
            if not isinstance(header, list) or int(item) >= len(header):
                return _ABSENT
            header = header[int(item)]
    return header


def _shown(values: object) -> str:
    if values is _ABSENT:
        return "absent"
    if not isinstance(values, list):
        return "a long value"
    text = "\\".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return (text if len(text) <= _LONGEST else text[:_LONGEST] + "…") or "empty"
