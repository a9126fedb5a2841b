"""What to do with every attribute: PS3.15 Table E.1-1, the options and a recipe, compiled into one lookup.

Compiling is pure and knows no data set, so that what walks the data (walk.py today) can be replaced alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from types import MappingProxyType

from node.dicom import deid_table
from node.dicom.attributes import PrivateTag


class Do(Enum):
    """What to do with an attribute that is there."""

    KEEP = auto()
    """Leave the value; clean the items of a sequence by this same plan."""
    REMOVE = auto()
    EMPTY = auto()
    """Zero length; a sequence without items."""
    DUMMY = auto()
    """A value that means nothing; of a sequence one item, in which all text is replaced too."""
    UID = auto()
    """The keyed UID of each value."""
    PATIENT = auto()
    """The patient's keyed pseudonym."""


Action = Do | str
"""A text is the literal value that a recipe asks for."""

PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020

# Not in Table E.1-1, and yet they identify or have lost their meaning once the data set has changed:
BEYOND_THE_TABLE: Mapping[int, Do] = MappingProxyType(
    {
        0x04000500: Do.REMOVE,  # Encrypted Attributes Sequence: the identity itself, under somebody's key
        0x04000305: Do.REMOVE,  # Certified Timestamp Type: of a timestamp that is removed
        0x4FFE0001: Do.REMOVE,  # MAC Parameters Sequence: of signatures that are removed
        0x00880200: Do.REMOVE,  # Icon Image Sequence: in the table; here so that a later edition cannot lose it
    }
)

# The table says X unless the reference is required. Kept with keyed UIDs always: which image a localizer or
# a derivation refers to is worth keeping and, keyed, tells no more than the instance's own UID.
_MAPPED_REFERENCES = frozenset({0x00081140, 0x00082112})

UNAVAILABLE: Mapping[str, str] = MappingProxyType(
    {
        "retain_long_modified_dates": "dates cannot be shifted yet",
        "clean_descriptors": "free text cannot be cleaned yet",
        "clean_structured_content": "structured content cannot be cleaned yet",
        "clean_graphics": "graphics cannot be cleaned yet",
        "clean_pixel_data": "pixels cannot be cleaned yet",
        "clean_recognizable_visual_features": "faces cannot be removed yet",
    }
)
"""Options of PS3.15 that are refused when rules.yaml is loaded, and why. Claiming one without doing it would leak."""

AVAILABLE: tuple[str, ...] = tuple(name for name in deid_table.METHOD_CODES if name not in {"basic", *UNAVAILABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a recipe lays over the profile; recipe.py makes it."""

    actions: Mapping[int, Action] = field(default_factory=dict)
    add: Mapping[int, str] = field(default_factory=dict)
    """Top-level attributes to write whether they were there or not."""
    private: Mapping[PrivateTag, bool] = field(default_factory=dict)
    """True keeps a private element, False removes one that retain_safe_private would keep."""
    digest: str = ""
    """The first 12 digits of the recipe's SHA-256, for the output's De-identification Method."""
    sha256: str = ""
    """Of the whole recipe, for the certificate."""
    lines: Mapping[int | PrivateTag, int] = field(default_factory=dict)
    """Which line of the recipe decides for an attribute."""
    weakens: bool = False
    """Whether something is kept that the profile and options would have changed."""


NO_RULES = Rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One SOP class's lookup: tag -> action. An attribute in neither mapping is kept when PS3.6 knows it."""

    top: Mapping[int, Action]
    nested: Mapping[int, Action]
    add: Mapping[int, str]
    private: Mapping[tuple[int, str, int], str]
    """(group, creator, low byte) of private elements to keep -> the VR that they must have, "" for any."""
    options: frozenset[str]
    digest: str
    weakened: bool

    @property
    def maps_uids(self) -> bool:
        return "retain_uids" not in self.options


def compile_plan(options: frozenset[str], rules: Rules, sop_class: str) -> Plan:
    """The plan for instances of a SOP class. `options` must be AVAILABLE ones."""
    return Plan(
        top=MappingProxyType({**_profile(options, sop_class, nested=False), **rules.actions}),
        nested=MappingProxyType({**_profile(options, sop_class, nested=True), **rules.actions}),
        add=rules.add,
        private=_private(options, rules),
        options=options,
        digest=rules.digest,
        weakened=rules.weakens,
    )


@lru_cache(maxsize=256)
def _profile(options: frozenset[str], sop_class: str, *, nested: bool) -> Mapping[int, Action]:
    actions: dict[int, Action] = {
        row.tag: by_profile(row, options, deid_table.attribute_type(row.tag, sop_class, nested=nested))
        for row in deid_table.rows().values()
    }
    return {**actions, **BEYOND_THE_TABLE}


def by_profile(row: deid_table.Row, options: frozenset[str], attribute_type: str) -> Do:
    """Table E.1-1 read for one attribute of Type 1, 2 or 3 (Table E.1-1a).

    An option whose column says C does not yet clean, so the Basic Profile's code stands: stricter, never laxer.
    """
    if row.keeps & options:
        return Do.KEEP
    if row.tag in _MAPPED_REFERENCES:
        return Do.KEEP
    if row.tag in (PATIENT_NAME, PATIENT_ID):
        return Do.PATIENT
    codes = row.basic.rstrip("*").split("/")
    if "U" in codes:
        return Do.UID
    if attribute_type == "3" and "X" in codes:
        return Do.REMOVE
    if attribute_type != "1" and "Z" in codes:
        return Do.EMPTY
    return Do.REMOVE if codes == ["X"] else Do.DUMMY


def _private(options: frozenset[str], rules: Rules) -> Mapping[tuple[int, str, int], str]:
    kept = dict(deid_table.safe_private()) if "retain_safe_private" in options else {}
    for tag, keep in rules.private.items():
        key = (tag.group, tag.creator, tag.element)
        if keep:
            kept[key] = ""
        else:
            kept.pop(key, None)
    return MappingProxyType(kept)
