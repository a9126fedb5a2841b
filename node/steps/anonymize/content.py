"""The items of structured content (PS3.3 C.17.3, 10.2): what each is, and what the plan has for it (PS3.15 E.3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from node.dicom.deid_content import Concept
from node.steps.anonymize.actions import Do
from node.steps.anonymize.ages import is_great
from node.steps.anonymize.header import Header

VALUE_TYPE, CONCEPT_NAME, CONTENT = 0x0040A040, 0x0040A043, 0x0040A730
_BY_PLACE = 0x0040DB73
"""Referenced Content Item Identifier: names an item by its place in the tree, which a removed item would change."""
_CODES, _SCHEME = (0x00080100, 0x00080119, 0x00080120), 0x00080102

VALUES: Mapping[str, int] = MappingProxyType(
    {"TEXT": 0x0040A160, "PNAME": 0x0040A123, "DATE": 0x0040A121, "TIME": 0x0040A122, "DATETIME": 0x0040A120}
)
"""Value types whose value is text, a name or a time -> the attribute that has it."""

_AGES = frozenset({("DCM", "121033"), ("LN", "30525-0"), ("SCT", "397669002"), ("SCT", "424144002")})
"""Subject Age and its like (PS3.16 TID 1007), as coding scheme and code."""
_MEASURED, _NUMBER, _UNITS = 0x0040A300, 0x0040A30A, 0x004008EA
_UNITS_OF_AGE = {"d": "D", "wk": "W", "mo": "M"}
"""UCUM (PS3.16 CID 7456); all else counts as years."""


def concept_of(item: Header) -> Concept:
    """Scheme, code and value type of an item; "" for what it does not have."""
    names = item.items(CONCEPT_NAME)
    scheme = code = ""
    if names:
        scheme = _word(names[0], _SCHEME)
        code = next((found for tag in _CODES if (found := _word(names[0], tag))), "")
    return scheme, code, _word(item, VALUE_TYPE)


def action_of(concept: Concept, plan: Mapping[Concept, Do]) -> Do:
    """By the concept's row, or by the value type alone; KEEP for values that say nothing by themselves, such as NUM."""
    found = plan.get(concept)
    return plan.get(("", "", concept[2]), Do.KEEP) if found is None else found


def is_great_age(concept: Concept, item: Header) -> bool:
    """Whether it says an age that few people have, in its Measured Value Sequence or, as an item of an Acquisition
    Context has it, in itself."""
    if concept[:2] not in _AGES or concept[2] != "NUM":
        return False
    return any(
        is_great(number, next((_UNITS_OF_AGE.get(_word(unit, _CODES[0]), "Y") for unit in level.items(_UNITS)), "Y"))
        for level in (item, *item.items(_MEASURED))
        if (number := _word(level, _NUMBER))
    )


def is_referred_to_by_place(item: Header) -> bool:
    """Whether it, or any item below, names another by its place."""
    return _BY_PLACE in item.tags or any(map(is_referred_to_by_place, item.items(CONTENT)))


def _word(item: Header, tag: int) -> str:
    return item.raw(tag).decode("ascii", "replace").strip(" \0")
