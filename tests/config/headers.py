"""Headers of the index, made by hand for the tests of conditions and routes."""

from __future__ import annotations

from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from node.config import Members
from node.model import Header, Origin

ORIGIN = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.7")


def header(**values: Any) -> Header:
    """Keywords to values; None is a value that was too long to keep, [] an empty element."""
    made: dict[str, Any] = {}
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        listed = value if value is None or isinstance(value, list) else [value]
        made[f"{tag:08X}"] = [dictionary_VR(tag)[:2], listed]
    return made


def unit(*headers: Header, origin: Origin = ORIGIN) -> Members:
    return [(one, origin) for one in headers]
