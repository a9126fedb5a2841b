"""How the answer key names a place, and how it is found again in what a de-identifier made.

    (0010,0010)                      an attribute
    (0008,1140)[0](0008,1155)        of the first item of a sequence
    (0040,A730)[=121071](0040,A160)  of the content item with this concept name code (PS3.3 C.17.3)
    (0019,"CREATOR",23)              a private element, in whatever block its creator has now (PS3.5 7.8.1)
    meta (0002,0016)                 of the file meta information

Other words, such as `preamble`, name no attribute; score knows them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.values import convert_SQ

META = "meta "
_ITEM = b"\xfe\xff\x00\xe0"
_STEP = re.compile(
    r'\((?P<group>[0-9A-F]{4}),(?:"(?P<creator>[^"]*)",(?P<low>[0-9A-F]{2})|(?P<element>[0-9A-F]{4}))\)'
    r"|\[(?P<index>\d+)\]|\[=(?P<concept>[^\]]+)\]"
)


def attribute(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def private(group: int, creator: str, low: int) -> str:
    return f'({group:04X},"{creator}",{low:02X})'


def of_item(sequence: str, index: int, item: Dataset) -> str:
    """The place of an item: by its concept name where it has one, because others may have gone from before it."""
    concept = concept_of(item)
    return f"{sequence}[={concept}]" if concept else f"{sequence}[{index}]"


def is_attribute(place: str) -> bool:
    return place.removeprefix(META).startswith("(")


def find(ds: FileDataset, place: str) -> DataElement | None:
    """The element at a place; None when it, or what it is in, is not there. ValueError for what is no place."""
    here: Dataset | None = ds.file_meta if place.startswith(META) else ds
    path = place.removeprefix(META)
    steps = list(_STEP.finditer(path))
    if "".join(step[0] for step in steps) != path or not steps:
        raise ValueError(f"{place} names no attribute")
    element: DataElement | None = None
    for step in steps:
        if step["group"]:
            element = _element(here, step) if here is not None else None
        else:
            here = _item(element, step, encodings_of(ds))
            element = None
    return element


def concept_of(item: Dataset) -> str:
    """The Code Value of an item's Concept Name Code Sequence (0040,A043), or ""."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue", "")) if names else ""


def _element(ds: Dataset, step: re.Match[str]) -> DataElement | None:
    group = int(step["group"], 16)
    if step["element"]:
        tag = group << 16 | int(step["element"], 16)
        return ds.get(tag)
    for block in range(0x10, 0x100):
        owner = ds.get((group, block))
        tag = group << 16 | block << 8 | int(step["low"], 16)
        if owner is not None and str(owner.value).strip() == step["creator"] and tag in ds:
            return ds[tag]
    return None


def encodings_of(ds: Dataset) -> list[str]:
    """Python's names of the character sets that a data set declares."""
    declared = ds.original_character_set  # "" where the data set was made and not read
    return [declared or default_encoding] if isinstance(declared, str) else list(declared)


def items_of(element: DataElement, encodings: Sequence[str]) -> list[Dataset]:
    """The items of a sequence; also of a private one that implicit VR gives back as UN (PS3.5 6.2.2)."""
    if element.VR == "SQ":
        return list(element.value)
    if element.VR == "UN" and bytes(element.value or b"").startswith(_ITEM):
        return list(convert_SQ(element.value, True, True, list(encodings)))
    return []


def _item(element: DataElement | None, step: re.Match[str], encodings: Sequence[str]) -> Dataset | None:
    if element is None:
        return None
    items = items_of(element, encodings)
    if step["concept"]:
        return next((one for one in items if concept_of(one) == step["concept"]), None)
    return next((one for n, one in enumerate(items) if n == int(step["index"])), None)
