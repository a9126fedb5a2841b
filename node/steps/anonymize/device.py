"""Which devices and layouts a pixel rule means: conditions on a header, as deid filters and CTP scripts write them.

A condition sees an attribute as its texts, or as absent; how the texts come out of a data set is `texts_of`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from pydicom._dicom_dict import RepeatersDictionary  # pydicom.datadict has lookups only

from node.dicom.attributes import suggestions, tag_of, vr_of
from node.steps.anonymize import text, values
from node.steps.anonymize.header import CHARACTER_SET, Header

Path = tuple[int, ...]
"""Tags from the top of the data set: sequences, of which the first item is meant, and the attribute."""

Texts = Callable[[Path], tuple[str, ...] | None]
"""The values of an attribute without padding; () for one that is there without a value, None for one that is not."""

_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}

_NAMED = {"SeqOfUltrasoundRegions": 0x00186011}
"""CTP's names for attributes (those of dcm4che 1) that PS3.6 has another keyword for."""

_REPEATED = {entry[4]: int(mask.replace("x", "0"), 16) for mask, entry in RepeatersDictionary.items()}
"""Keywords of attributes in repeating groups -> the tag in the first of them (PS3.5 7.6)."""


@dataclass(frozen=True, slots=True)
class Says:
    """One attribute held against one argument, by one of METHODS."""

    path: Path
    method: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Either:
    left: Condition
    right: Condition


Condition = Says | Not | Both | Either | bool


def holds(condition: Condition, texts: Texts) -> bool:
    """Whether a header is meant by a condition."""
    match condition:
        case Says(path, method, argument):
            return METHODS[method](texts(path), argument)
        case Not(inner):
            return not holds(inner, texts)
        case Both(left, right):
            return holds(left, texts) and holds(right, texts)
        case Either(left, right):
            return holds(left, texts) or holds(right, texts)
        case bool():
            return condition


def paths_of(condition: Condition) -> frozenset[Path]:
    """The attributes that a condition looks at."""
    match condition:
        case Says(path):
            return frozenset({path})
        case Not(inner):
            return paths_of(inner)
        case Both(left, right) | Either(left, right):
            return paths_of(left) | paths_of(right)
        case bool():
            return frozenset()


def tag_named(word: str) -> int:
    """The tag of a keyword, or of eight hexadecimal digits after 0x. Raises ValueError, with the nearest keyword."""
    if re.fullmatch(r"0x[0-9A-Fa-f]{8}", word):
        return int(word, 16)
    tag = tag_of(word) or _NAMED.get(word) or _REPEATED.get(word)
    if tag is None:
        near = suggestions(word)
        raise ValueError(f'unknown attribute "{word}"' + (f'. Did you mean "{near[0]}"?' if near else ""))
    return tag


# ---- deid: each value on its own, without case ---------------------------------------------------------

_Values = tuple[str, ...] | None


@lru_cache(maxsize=4096)
def _pattern(argument: str) -> re.Pattern[str]:
    return re.compile(argument, re.IGNORECASE)


def _contains(found: _Values, argument: str) -> bool:
    search = _pattern(argument).search
    return any(search(value.strip()) for value in found or ())


def _equals(found: _Values, argument: str) -> bool:
    return any(value.strip().lower() == argument.strip().lower() for value in found or ())


# ---- CTP: all values as one text, "" where the attribute is absent -------------------------------------


def _joined(found: _Values) -> str:
    return "\\".join(found or ())


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _below(found: _Values, argument: str) -> bool:
    value, limit = _number(_joined(found)), _number(argument)
    return value is not None and limit is not None and value < limit


def _above(found: _Values, argument: str) -> bool:
    value, limit = _number(_joined(found)), _number(argument)
    return value is not None and limit is not None and value > limit


METHODS: Mapping[str, Callable[[_Values, str], bool]] = {
    "deid contains": _contains,
    "deid notcontains": lambda found, argument: not _contains(found, argument),
    "deid equals": _equals,
    "deid notequals": lambda found, argument: not _equals(found, argument),
    "deid missing": lambda found, argument: found is None,
    "deid present": lambda found, argument: found is not None,
    "deid empty": lambda found, argument: found is not None and not any(found),
    "equals": lambda found, argument: _joined(found) == argument,
    "equalsIgnoreCase": lambda found, argument: _joined(found).lower() == argument.lower(),
    "matches": lambda found, argument: re.fullmatch(argument, _joined(found)) is not None,
    "contains": lambda found, argument: argument in _joined(found),
    "containsIgnoreCase": lambda found, argument: argument.lower() in _joined(found).lower(),
    "startsWith": lambda found, argument: _joined(found).startswith(argument),
    "startsWithIgnoreCase": lambda found, argument: _joined(found).lower().startswith(argument.lower()),
    "endsWith": lambda found, argument: _joined(found).endswith(argument),
    "endsWithIgnoreCase": lambda found, argument: _joined(found).lower().endswith(argument.lower()),
    "isLessThan": _below,
    "isGreaterThan": _above,
}
"""How an attribute can be held against an argument, in the words of deid (with `deid` before) and of CTP."""


# ---- the texts of a data set ---------------------------------------------------------------------------


def texts_of(header: Header) -> Texts:
    """The attributes of a data set, and of its file meta information, as conditions see them.

    A sequence or bulk data are one text that says so. Text that its character set does not explain is taken as Latin 1.
    """
    try:
        by = text.encodings(header.raw(CHARACTER_SET))
    except text.UnreadableTextError:
        by = ("latin-1",)

    @cache  # a hundred rules ask for the same few attributes
    def texts(path: Path) -> tuple[str, ...] | None:
        inner = header.meta() if path[0] >> 16 == 2 else header
        for tag in path[:-1]:
            items = inner.items(tag) if inner is not None else ()
            inner = items[0] if items else None
        if inner is None or path[-1] not in inner.tags:
            return None
        return _texts(inner, path[-1], by)

    return texts


def whole_number(header: Header, tag: int) -> int | None:
    """The one whole number (US, SS, UL, SL) of an attribute; None where it has another kind of value, or none."""
    found = _texts(header, tag, ("ascii",)) if tag in header.tags else ()
    return int(found[0]) if len(found) == 1 and re.fullmatch(r"-?\d+", found[0]) else None


def _texts(header: Header, tag: int, by: tuple[str, ...]) -> tuple[str, ...]:
    vr = header.vr(tag) or vr_of(tag)
    if vr == "SQ":
        return ("(a sequence)",) if header.items(tag) else ()
    value = header.raw(tag)
    if not value:
        return ()
    if vr in _NUMBERS:
        code = _NUMBERS[vr]
        count = len(value) // struct.calcsize(code)
        return tuple(f"{one:g}" if vr in ("FL", "FD") else str(one)
                     for one in struct.unpack_from(f"<{count}{code}", value))  # fmt: skip
    if vr in values.OPAQUE or vr == "AT":
        return ("(binary)",)
    try:
        said = text.decode(value, by)
    except text.UnreadableTextError:
        said = value.decode("latin-1").strip(" \0")
    return tuple(one.strip(" \0") for one in said.split("\\"))
