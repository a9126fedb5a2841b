"""Which data element a rule speaks of: `Modality`, `(0008,0060)`, `(0019,"CREATOR",0c)`, `Sequence.Keyword`.

An `Element` finds the values in a header of the index (`node.model.Header`). A private element is found through
its creator (PS3.5 7.8.1): block 10 at one sender may be block 11 at the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_keyword, dictionary_VR, keyword_dict, tag_for_keyword

from node.config.section import suggestion
from node.model import Header

Entry = tuple[str, list[Any] | None]
"""VR and values of one element; None when the index did not keep the values."""

UNKNOWN: Entry = ("UN", None)

_TAG = re.compile(r"\(([0-9A-Fa-f]{4}),\s*([0-9A-Fa-f]{4})\)")
_PRIVATE = re.compile(r"""\(([0-9A-Fa-f]{4}),\s*(?:"([^"\\]{1,64})"|'([^'\\]{1,64})'),\s*([0-9A-Fa-f]{2})\)""")
_PART = re.compile(rf"{_PRIVATE.pattern}|{_TAG.pattern}|[^.()]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """An element with a fixed tag: 8 hexadecimal digits, upper case."""

    tag: str
    vr: str
    """From the dictionary; empty when the tag is not in it."""

    def entries(self, header: Header) -> Iterator[Entry]:
        found = header.get(self.tag)
        if found is not None:
            yield found[0], found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """An element of a private block, wherever in the group the creator reserved it."""

    group: str
    creator: str
    low: str
    vr: str = ""

    def entries(self, header: Header) -> Iterator[Entry]:
        for key in sorted(_reservations(self.group) & header.keys()):
            values = header[key][1]
            if values and str(values[0]).strip() == self.creator:
                found = header.get(f"{self.group}{key[6:]}{self.low}")
                if found is not None:
                    yield found[0], found[1]


@cache
def _reservations(group: str) -> frozenset[str]:
    return frozenset(f"{group}00{block:02X}" for block in range(0x10, 0x100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A path to an element: the last part, and the sequences it stands in, outermost first."""

    written: str
    sequences: tuple[Standard | Private, ...]
    last: Standard | Private

    @property
    def vr(self) -> str:
        return self.last.vr

    def entries(self, header: Header) -> Iterator[Entry]:
        """Every occurrence, in any item of the sequences. `UNKNOWN` for a sequence whose items were not kept."""
        return self._within(header, 0)

    def _within(self, header: Header, depth: int) -> Iterator[Entry]:
        if depth == len(self.sequences):
            yield from self.last.entries(header)
            return
        for vr, items in self.sequences[depth].entries(header):
            if items is None:
                yield UNKNOWN
            elif vr == "SQ":
                for item in items:
                    if isinstance(item, Mapping):
                        yield from self._within(item, depth + 1)
                    else:
                        yield UNKNOWN


def parse_element(written: str) -> Element:
    """Read the left side of a condition. Raises ValueError with a sentence for the operator."""
    parts: list[Standard | Private] = []
    position = 0
    while position < len(written):
        part = _PART.match(written, position)
        if part is None or (part.end() < len(written) and written[part.end()] != "."):
            raise ValueError(_unreadable(written))
        parts.append(_part(part[0].strip()))
        position = part.end() + 1
    if not parts or written.endswith("."):
        raise ValueError(_unreadable(written))
    for outer in parts[:-1]:
        if outer.vr not in ("SQ", ""):
            raise ValueError(f'"{written}": only a sequence has elements in it, and {_name(outer)} has VR {outer.vr}')
    return Element(written=written, sequences=tuple(parts[:-1]), last=parts[-1])


def _unreadable(written: str) -> str:
    hint = " Inside { } write it in quotes, as the comma ends the key there." if "(" in written else ""
    return (
        f'"{written}" is not an element: write a keyword, (gggg,eeee), (gggg,"CREATOR",ee) '
        f"or a path such as RequestAttributesSequence.ScheduledProcedureStepID.{hint}"
    )


def _part(text: str) -> Standard | Private:
    if private := _PRIVATE.fullmatch(text):
        group = private[1].upper()
        if int(group, 16) % 2 == 0:
            raise ValueError(f'"{text}": a private group is odd, and {group} is even')
        return Private(group=group, creator=(private[2] or private[3]).strip(), low=private[4].upper())
    if tag := _TAG.fullmatch(text):
        number = int(tag[1] + tag[2], 16)
        return Standard(tag=f"{number:08X}", vr=_vr(number))
    if "(" in text or ")" in text:
        raise ValueError(_unreadable(text))
    number_of = tag_for_keyword(text)
    if number_of is None:
        raise ValueError(f'unknown keyword "{text}".{suggestion(text, keyword_dict)}')
    return Standard(tag=f"{number_of:08X}", vr=_vr(number_of))


def _vr(tag: int) -> str:
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return ""
    # `US or SS` and the like: decided by the image, so the header knows and the dictionary does not.
    return vr if len(vr) == 2 else "US" if vr == "US or SS" else ""


def _name(part: Standard | Private) -> str:
    if isinstance(part, Private):
        return f'({part.group},"{part.creator}",{part.low})'
    try:
        return str(dictionary_keyword(int(part.tag, 16)))
    except KeyError:
        return f"({part.tag[:4]},{part.tag[4:]})"


# ---- what the index does not hold -------------------------------------------------------------------------

_PIXEL_DATA = 0x7FE00010
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_IN_META = {
    "00020002": "SOPClassUID",
    "00020003": "SOPInstanceUID",
    "00020016": "calling_ae",
    "00020017": "calling_ae",
    "00020018": "called_ae",
}
"""What stands in the file meta information or the association -> where a rule finds the same."""


def not_kept(element: Element) -> str:
    """Why no header of the index ever has this element, with what to write instead; empty where one may."""
    for part in (*element.sequences, element.last):
        if isinstance(part, Private):
            continue
        number, name = int(part.tag, 16), _name(part)
        if number >> 16 in (0x0000, 0x0002):
            instead = _IN_META.get(part.tag, "SOPClassUID, calling_ae, called_ae or sender")
            return f"{name} is no part of the data set, which is what the index holds: write {instead}"
        if number & 0xFFFF == 0:
            return f"{name} is the length of a group, which the index leaves out: ask for an element of the group"
        if number > _PIXEL_DATA:
            return f"{name} lies behind the pixel data, where the index does not read: ask for an element before them"
    for outer in element.sequences:
        if isinstance(outer, Standard) and _is_bulk(outer):
            return f"{_name(outer)} has no elements in it that the index keeps: ask {_name(outer)}: {{exists: true}}"
    return ""


def only_exists(element: Element) -> str:
    """Why the index can only say whether this element is there, with what to write instead; empty where it may know
    more."""
    if element.vr == "SQ":
        name = element.written
        return f"{name} is a sequence: name an element in it, such as {name}.CodeValue, or ask {{exists: true}}"
    if isinstance(element.last, Standard) and _is_bulk(element.last):
        return (
            f"{element.written} holds bytes, which the index does not keep: ask {{exists: true}}, or for what "
            "describes them, such as SOPClassUID, Rows or PhotometricInterpretation"
        )
    return ""


def _is_bulk(part: Standard) -> bool:
    try:
        return _BULK.issuperset(str(dictionary_VR(int(part.tag, 16))).split(" or "))
    except KeyError:
        return False


# ---- what may be shown ---------------------------------------------------------------------------------

_VALUE_SHOWN = frozenset({"00080060", "00080016"})
"""Modality and SOP Class UID: codes of the standard. No free text, as people write names into descriptions."""

_PERSONAL_GROUPS = frozenset({"0010", "0012", "0032", "0038"})
_PERSONAL_VRS = frozenset({"PN", "DA", "DT", "TM", "AS", ""})


def value_may_be_shown(element: Element) -> bool:
    """True when a value of this element never is patient data."""
    return not element.sequences and isinstance(element.last, Standard) and element.last.tag in _VALUE_SHOWN


def rule_may_be_shown(element: Element) -> bool:
    """True when the right side of a rule on this element may stand in the history of a unit.

    A rule `PatientID: "4711"` that matched says the patient's id as plainly as the value would. So patients,
    visits, requests, people, dates, identifiers and what the dictionary does not know are left out.
    """
    if isinstance(element.last, Private):
        return False
    keyword = _name(element.last)
    identifier = keyword.endswith(("ID", "IDs", "AccessionNumber", "Name")) and element.vr != "UI"
    return not (element.last.tag[:4] in _PERSONAL_GROUPS or element.vr in _PERSONAL_VRS or identifier)
