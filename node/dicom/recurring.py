"""Elements by their encoded bytes: the instances of a series have nine of ten in common, and each is decoded once.

Only those of which nothing depends on what stands around them: in explicit VR little endian with a 16-bit length, of
at most LIMIT bytes, numbers or text that is the same in every character set.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from node.dicom import packing
from node.dicom.attributes import VR_BY_TAG, is_creator, key_of
from node.dicom.elements import PIXEL_DATA
from node.dicom.encoding import SHORT
from node.dicom.text import ESCAPE, CharacterSet
from node.dicom.values import LIMIT, TEXT, Values, value_of

COST_OF_KEY = 24
"""Bytes of JSON beside the value, about."""
KEYS = {tag: key_of(tag) for tag in VR_BY_TAG}
"""Of the attributes of PS3.6 with one tag."""
SPECIFIC_CHARACTER_SET = 0x00080005

_HEAD = 8
_MOST = 4096
"""Elements that are remembered, of some hundred bytes each."""
_ANY = CharacterSet(None)
_head = Struct("<HH2sH").unpack_from


class Element(NamedTuple):
    """One element, decoded."""

    key: str
    vr: str
    values: Values | None
    """Never given away: others would change it for all."""
    text: bytes
    """packing.element"""
    cost: int
    """Bytes of JSON, about."""
    cost_at_top: int
    """0 for public ones, which are always kept there."""


_elements: dict[bytes, Element] = {}

known = _elements.get
"""The element with exactly these bytes, if it came before."""


def learn(encoded: bytes) -> Element | None:
    """Decode and remember the element whose bytes these are; None for one that depends on what stands around it."""
    group, number, code, length = _head(encoded)
    tag, vr = group << 16 | number, SHORT.get(code)
    if vr is None or group == 0xFFFE or length > LIMIT or length != len(encoded) - _HEAD:
        return None
    if not number or tag == SPECIFIC_CHARACTER_SET or tag in PIXEL_DATA or is_creator(tag):
        return None
    raw = encoded[_HEAD:]
    if vr in TEXT and (ESCAPE in raw or not raw.isascii()):
        return None
    values, _ = value_of(vr, raw, _ANY, False, LIMIT)
    public = KEYS.get(tag)
    key, cost = public or key_of(tag), COST_OF_KEY + length
    found = Element(key, vr, values, packing.element(key, vr, values), cost, 0 if public else cost)
    if len(_elements) >= _MOST:
        _elements.clear()
    _elements[encoded] = found
    return found
