"""Values of a data set by keyword or by private creator, at a fraction of what pydicom's own ways cost.

A series is planned from forty attributes of each of its instances, most of which are absent.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from node.imaging.encoded import Encoded

Attributes = Dataset | Encoded
"""A data set or an item of a sequence, whoever reads it."""


def value(ds: Attributes, keyword: str) -> Any:
    """The value of an attribute, None where it is absent or empty. Raises what pydicom does on bytes that are none."""
    return value_at(ds, _tag(keyword))


def value_at(ds: Attributes, tag: BaseTag) -> Any:
    """`value` of an attribute that has no keyword, such as those of repeating groups (PS3.5 7.6)."""
    if isinstance(ds, Encoded):
        return ds.value(tag)
    return ds[tag].value if tag in ds else None


def private(ds: Attributes, group: int, creator: str, element: int) -> Any:
    """The value of a private element in its creator's block (PS3.5 7.8.1), or None; `element` is its last byte."""
    if isinstance(ds, Encoded):
        return ds.private(group, creator, element)
    # Not by private_block, which sorts all tags of the data set for each question.
    for tag in [tag for tag in ds.keys() if tag >> 16 == group and 0x10 <= tag & 0xFFFF <= 0xFF]:  # noqa: SIM118
        if str(ds[tag].value).strip() == creator:
            place = Tag(group << 16 | (tag & 0xFF) << 8 | element)
            return ds[place].value if place in ds else None
    return None


@cache
def _tag(keyword: str) -> BaseTag:
    found = tag_for_keyword(keyword)
    assert found is not None  # it is written in our source
    return Tag(found)
