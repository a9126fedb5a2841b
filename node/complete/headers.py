"""What the headers of instances say of how many there are, where it is decisive.

PET series (PS3.3 C.8.9.1, C.8.9.4.1.9): the images of a series are an array whose dimensions depend on Series Type
(0054,1000) Value 1. Each number is the largest that may exist, so a full array cannot grow any more, and one that
is not full may be complete all the same.

    STATIC, WHOLE BODY   Number of Slices (0054,0081)
    DYNAMIC              Number of Time Slices (0054,0101) x Number of Slices
    GATED                Number of R-R Intervals (0054,0061) x Number of Time Slots (0054,0071) x Number of Slices

Concatenation (PS3.3 C.7.6.16.2.2.4): In-concatenation Total Number (0020,9163) is how many instances one multi-frame
object was cut into, exactly.

Others are not decisive. Images in Acquisition (0020,1002) counts an acquisition, of which a series may have several
and a reconstruction any part. Number of Series or Study Related Instances (0020,1209), (0020,1208) inside an image
are what some archive had when it sent that image. Number of Temporal Positions (0020,0105) has no number of slices
beside it. Instance Number (0020,0013) need not begin at 1 nor be without gaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from node.complete.facts import HeaderCount
from node.model import Header

_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
_SLICES = "00540081"
_DIMENSIONS = {
    "STATIC": (_SLICES,),
    "WHOLE BODY": (_SLICES,),
    "DYNAMIC": ("00540101", _SLICES),
    "GATED": ("00540061", "00540071", _SLICES),
}


def header_counts(members: Sequence[Header]) -> tuple[HeaderCount, ...]:
    """Of one series. Instances that say nothing, or do not agree with each other, are in no count."""
    return (*_pet(members), *_concatenations(members))


def _pet(members: Sequence[Header]) -> list[HeaderCount]:
    arrays = {_array(header) for header in members}
    if len(arrays) != 1 or (size := arrays.pop()) is None:
        return []
    return [HeaderCount(what="the PET series", announced=size, here=len(members), exact=False)]


def _array(header: Header) -> int | None:
    """How many images the array of a PET series has at most."""
    if _first(header, "00080016") != _PET_IMAGE:
        return None
    sizes = [_number(header, key) for key in _DIMENSIONS.get(str(_first(header, "00541000")), ())]
    known = [size for size in sizes if size is not None and size > 0]
    return prod(known) if sizes and len(known) == len(sizes) else None


def _concatenations(members: Sequence[Header]) -> list[HeaderCount]:
    parts: dict[str, list[Header]] = {}
    for header in members:
        if uid := _first(header, "00209161"):  # Concatenation UID
            parts.setdefault(str(uid), []).append(header)
    found = []
    for uid, group in sorted(parts.items()):
        totals = {_number(header, "00209163") for header in group}
        numbers = {_number(header, "00209162") for header in group}  # In-concatenation Number, from 1
        if len(totals) == 1 and (total := totals.pop()) and len(numbers) == len(group):
            found.append(HeaderCount(what=f"concatenation {uid}", announced=total, here=len(group), exact=True))
    return found


def _first(header: Mapping[str, Any], key: str) -> object:
    _, values = header.get(key, ("", None))
    return values[0] if values else None


def _number(header: Mapping[str, Any], key: str) -> int | None:
    value = _first(header, key)
    return value if isinstance(value, int) else None
