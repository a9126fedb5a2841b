"""Elements and sequences by their encoded bytes: the instances of a series have nine of ten in common, and each of
those is decoded once.

What is remembered here is in explicit VR little endian, and of LIMIT. What it decodes to depends on its bytes and on
the character set, and on nothing else that stands around it.
"""

from __future__ import annotations

from struct import Struct
from typing import Generic, NamedTuple, TypeVar

from node.dicom import packing
from node.dicom.attributes import VR_BY_TAG, is_creator, key_of
from node.dicom.elements import PIXEL_DATA, creator_of
from node.dicom.encoding import SHORT
from node.dicom.text import ESCAPE, CharacterSet
from node.dicom.values import LIMIT, TEXT, Values, may_be_kept, value_of

COST_OF_KEY = 24
"""Bytes of JSON beside the value, about."""
KEYS = {tag: key_of(tag) for tag in VR_BY_TAG}
"""Of the attributes of PS3.6 with one tag."""
SPECIFIC_CHARACTER_SET = 0x00080005

_HEAD = 8
LONGEST = 128
"""Bytes of a value: as many as the six decimals of an orientation may have, and some."""
_head = Struct("<HH2sH").unpack_from

Key = bytes | tuple[CharacterSet, bytes] | tuple[str, CharacterSet | None, bytes]
T = TypeVar("T")


class Lately(Generic[T]):
    """What came lately, by its bytes, or by those and their character set. Safe for threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.latest: dict[Key, T] = {}
        self._before: dict[Key, T] = {}
        """As many again. What nobody looks up goes when `latest` is full once more."""

    def find(self, key: Key) -> T | None:
        found = self.latest.get(key)
        if found is None:
            found = self._before.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: Key, value: T) -> None:
        if len(self.latest) >= self._most:
            self._before, self.latest = self.latest, {}
        self.latest[key] = value


Element = tuple[str, str, Values | None, bytes, int, int, tuple[int, str] | None]
"""(key, VR, values, text, cost, cost at the top, creator): one element, decoded.

The values are never given away: others would change them for all. `text` is that of packing.element. `cost` is bytes
of JSON, about, and at the top 0 for those that are always kept there. `creator` is (tag, name) of a private creator,
for what follows it. A tuple, not a class: it is taken apart for every element that is read.
"""


class Sequence(NamedTuple):
    """One sequence, decoded."""

    encoded: bytes
    text: bytes
    """packing.sequence"""
    cost: int
    """Bytes of JSON, about, of all that is in it."""
    places: int
    """How many elements.walk gives for it."""
    guessed: int


ELEMENTS: Lately[Element] = Lately(2048)
SEQUENCES: Lately[Sequence] = Lately(512)


def learn(encoded: bytes, charset: CharacterSet) -> Element | None:
    """Decode and remember the element whose bytes these are.

    None where it is no short one in explicit VR little endian, where what follows it depends on it, and where its text
    is not in its character set.
    """
    group, number, code, length = _head(encoded)
    tag, vr = group << 16 | number, SHORT.get(code)
    if vr is None or group == 0xFFFE or length > LONGEST or length != len(encoded) - _HEAD or depended_on(tag):
        return None
    return recollect(tag, vr, encoded, encoded[_HEAD:], charset)


def recollect(tag: int, vr: str, encoded: bytes, raw: bytes, charset: CharacterSet) -> Element | None:
    """The element, of up to LONGEST bytes, decoded now or before. None where its text is not in its character set."""
    anywhere = vr not in TEXT or (raw.isascii() and ESCAPE not in raw)
    by = encoded if anywhere and len(encoded) == len(raw) + _HEAD else (vr, None if anywhere else charset, encoded)
    found = ELEMENTS.find(by)
    if found is None:
        found = _decoded(tag, vr, raw, charset)
        if found is not None:
            ELEMENTS.keep(by, found)
    return found


def without_value(tag: int, vr: str) -> Element:
    """An element whose value is not kept, whatever it is."""
    return _element(tag, vr, None, COST_OF_KEY, free=True)


def depended_on(tag: int) -> bool:
    """Whether what is read afterwards depends on the element; also group lengths, which no header has."""
    return not tag & 0xFFFF or tag == SPECIFIC_CHARACTER_SET or tag in PIXEL_DATA


def _decoded(tag: int, vr: str, raw: bytes, charset: CharacterSet) -> Element | None:
    if not may_be_kept(vr, len(raw), LIMIT):
        return _element(tag, vr, None, COST_OF_KEY, free=True)
    values, right = value_of(vr, raw, charset, False, LIMIT)
    if not right:
        return None
    free = values is None or len(raw) <= LIMIT
    return _element(tag, vr, values, COST_OF_KEY + len(raw), free=free, creator=creator_of(raw))


def _element(tag: int, vr: str, values: Values | None, cost: int, *, free: bool, creator: str = "") -> Element:
    public = KEYS.get(tag)
    key = public or key_of(tag)
    text = packing.element(key, vr, values)
    creates = (tag, creator) if is_creator(tag) else None
    return key, vr, values, text, cost, 0 if free and public else cost, creates
