"""The items of structured content (PS3.3 C.17.3, 10.2): what each is, and what the plan has for it (PS3.15 E.3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from node.dicom.deid_content import Concept
from node.steps.anonymize.actions import Do

VALUE_TYPE, CONCEPT_NAME, CONTENT = 0x0040A040, 0x0040A043, 0x0040A730
_BY_PLACE = 0x0040DB73
"""Referenced Content Item Identifier: names an item by its place in the tree, which a removed item would change."""
_CODES, _SCHEME = (0x00080100, 0x00080119, 0x00080120), 0x00080102

VALUES: Mapping[str, int] = MappingProxyType(
    {"TEXT": 0x0040A160, "PNAME": 0x0040A123, "DATE": 0x0040A121, "TIME": 0x0040A122, "DATETIME": 0x0040A120}
)
"""Value types whose value is text, a name or a time -> the attribute that has it."""


def concept_of(item: Dataset) -> Concept:
    """Scheme, code and value type of an item; "" for what it does not have."""
    names = item[CONCEPT_NAME].value if CONCEPT_NAME in item else ()
    name = names[0] if names else Dataset()
    code = next((found for tag in _CODES if (found := _word(name, tag))), "")
    return _word(name, _SCHEME), code, _word(item, VALUE_TYPE)


def action_of(concept: Concept, plan: Mapping[Concept, Do]) -> Do:
    """By the concept's row, or by the value type alone; KEEP for values that say nothing by themselves, such as NUM."""
    found = plan.get(concept)
    return plan.get(("", "", concept[2]), Do.KEEP) if found is None else found


def is_referred_to_by_place(ds: Dataset) -> bool:
    """Whether any item below names another by its place."""
    if _BY_PLACE in ds:
        return True
    return CONTENT in ds and any(map(is_referred_to_by_place, ds[CONTENT].value))


def _word(ds: Dataset, tag: int) -> str:
    element: object = ds.get_item(tag)
    value = element.value if isinstance(element, RawDataElement) else None
    return value.decode("ascii", "replace").strip(" \0") if value else ""
