"""Names, tags and value representations of attributes (PS3.6 Table 6-1, PS3.5 7.8 for private ones).

A tag is an int, `group << 16 | element`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary  # pydicom.datadict has lookups only
from pydicom._private_dict import private_dictionaries
from pydicom.datadict import (
    dictionary_description,
    dictionary_VM,
    dictionary_VR,
    keyword_dict,
    private_dictionary_VR,
)

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?\s*([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r'\(([0-9A-Fa-f]{4}),\s*"([^"\\]{1,64})",\s*([0-9A-Fa-f]{2})\)')

_IN_BLOCK = re.compile(r"[0-9A-Fa-f]{4}xx[0-9A-Fa-f]{2}")

# Which of two representations applies depends on other elements. The first listed is what most data sets have;
# header.py looks at Pixel Representation where US or SS matters. OW because implicit VR is always OW (PS3.5 A.1).
_CHOSEN = {"OB or OW": "OW", "US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW", "NONE": "UN"}

VR_BY_TAG: dict[int, str] = {tag: _CHOSEN.get(entry[0], entry[0]) for tag, entry in DicomDictionary.items()}
"""Value representation of every attribute with one tag; repeating groups are in `vr_of`."""

SIGNED_BY_PIXELS: frozenset[int] = frozenset(
    tag for tag, entry in DicomDictionary.items() if entry[0].startswith("US or SS")
)
"""Attributes whose representation is US or SS as (0028,0103) Pixel Representation says (PS3.3 C.7.6.3.1)."""


@dataclass(frozen=True, slots=True)
class PrivateTag:
    """A private attribute by its creator: the block it lies in differs from data set to data set."""

    group: int
    creator: str
    element: int
    """The lower byte of the element number, 0x00 to 0xFF."""

    def __str__(self) -> str:
        return f'({self.group:04X},"{self.creator}",{self.element:02X})'


def is_private(tag: int) -> bool:
    return bool(tag & 0x10000)


def is_creator(tag: int) -> bool:
    """(gggg,0010-00FF) in an odd group reserves a block of private elements (PS3.5 7.8.1)."""
    return bool(tag & 0x10000) and 0x10 <= (tag & 0xFFFF) <= 0xFF


def vr_of(tag: int) -> str:
    """Value representation of a standard attribute; UN for one that PS3.6 does not have."""
    vr = VR_BY_TAG.get(tag)
    if vr is not None:
        return vr
    if tag & 0xFFFF == 0:
        return "UL"
    if tag & 0x10000:
        return "LO" if is_creator(tag) else "UN"
    return _repeating(tag)


@lru_cache(maxsize=4096)
def _repeating(tag: int) -> str:
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return "UN"
    return _CHOSEN.get(vr, vr)


@lru_cache(maxsize=4096)
def private_vr(tag: int, creator: str) -> str:
    """Value representation of a private attribute as vendors published it; UN when they did not."""
    try:
        vr = str(private_dictionary_VR(tag, creator))
    except KeyError:
        return "UN"
    return _CHOSEN.get(vr, vr)


def tag_of(keyword: str) -> int | None:
    """The tag for a keyword such as `StudyDescription`; None for no keyword of PS3.6."""
    tag = keyword_dict.get(keyword) if keyword else None  # some retired attributes have an empty one
    return None if tag is None else int(tag)


def keyword_of(tag: int) -> str | None:
    entry = DicomDictionary.get(tag)
    return entry[4] or None if entry else None


def suggestions(keyword: str) -> list[str]:
    """Keywords that look like a mistyped one, nearest first, at most three."""
    folded = {k.casefold(): k for k in keyword_dict if k}
    return [folded[k] for k in difflib.get_close_matches(keyword.casefold(), folded, n=3, cutoff=0.75)]


def parse_tag(text: str) -> int | PrivateTag | None:
    """`StudyDescription`, `(0008,1030)`, `00081030` or `(0019,"SIEMENS MR HEADER",0C)`; None for anything else."""
    if match := _TAG.fullmatch(text):
        return int(match[1], 16) << 16 | int(match[2], 16)
    if (match := _PRIVATE.fullmatch(text)) and int(match[1], 16) & 1:
        return PrivateTag(int(match[1], 16), match[2], int(match[3], 16))
    return tag_of(text)


def published(creator: str) -> tuple[PrivateTag, ...]:
    """The private attributes of a creator as vendors published them, in the order of their tags; () for none."""
    found = private_dictionaries.get(creator, {})
    return tuple(
        PrivateTag(int(key[:4], 16), creator, int(key[6:], 16)) for key in sorted(found) if _IN_BLOCK.fullmatch(key)
    )


def is_multiple(tag: int) -> bool:
    """Whether the attribute may have more than one value (PS3.6 column VM)."""
    try:
        return str(dictionary_VM(tag)) != "1"
    except KeyError:
        return True


def name_of(tag: int) -> str:
    """The standard's name; for an attribute outside PS3.6, what kind it is."""
    if is_creator(tag):
        return "Private Creator"
    if tag & 0xFFFF == 0:
        return "Group Length"
    try:
        return str(dictionary_description(tag))
    except KeyError:
        return "Private" if is_private(tag) else "Unknown"


def describe(tag: int) -> str:
    """`(0028,0100) Bits Allocated`: how every message here writes an attribute."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {name_of(tag)}"


def key_of(tag: int) -> str:
    """`00280100`: the key of an attribute in a Header."""
    return f"{tag:08X}"
