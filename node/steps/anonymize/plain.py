"""The elements of a data set as pydicom finds them: for walk.py, and for what reads headers and writes nothing."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from node.dicom.attributes import VR_BY_TAG, describe, is_creator
from node.steps.anonymize.header import CHARACTER_SET, Header
from node.steps.anonymize.scope import UndecidableError

_UNDEFINED = 0xFFFFFFFF
_PIXEL_REPRESENTATION = 0x00280103


def element_of(ds: Dataset, tag: int) -> DataElement | RawDataElement:
    """The element as pydicom read it, not decoded; pydicom's own annotation leaves the raw one out."""
    return cast("DataElement | RawDataElement", ds.get_item(tag))


def raw_bytes(ds: Dataset, tag: int) -> bytes:
    """The encoded value of an element that is no sequence; b"" when it is absent, or was decoded."""
    element: object = ds.get_item(tag)
    if tag == _PIXEL_REPRESENTATION and isinstance(element, DataElement) and element.VR == "US":
        # pydicom decodes it in the item of a sequence, to know how to read what depends on it.
        several = [] if element.is_empty else element.value if element.VM > 1 else [element.value]
        return struct.pack(f"<{len(several)}H", *several)
    if not isinstance(element, RawDataElement):
        return b""
    return element.value or b""


def character_set(ds: Dataset) -> bytes:
    """The value of (0008,0005), which pydicom decodes while it reads."""
    return _ascii(ds, CHARACTER_SET)


def _ascii(ds: Dataset, tag: int) -> bytes:
    """The value of an element that pydicom decodes without being asked: it says nothing that can be relied on of a
    character set unknown to it."""
    element: object = ds.get_item(tag)
    value = element.value if isinstance(element, DataElement | RawDataElement) else None
    if value is None or isinstance(value, bytes):
        return value or b""
    several = [value] if isinstance(value, str) else value
    return "\\".join(map(str, several)).encode("ascii", "replace")


def check_complete(element: DataElement | RawDataElement) -> None:
    """Raise UndecidableError for an element whose value is shorter than its length says."""
    if isinstance(element, RawDataElement) and element.length not in (_UNDEFINED, len(element.value or b"")):
        raise UndecidableError(f"{describe(int(element.tag))} is cut short")


def vr_of(ds: Dataset, tag: int) -> str:
    """`Header.vr`. Raises UndecidableError for a sequence written as UN that pydicom does not read as one."""
    known = VR_BY_TAG.get(tag, "")
    vr = str(element_of(ds, tag).VR or known)
    if vr == "UN" and known:
        if known != "SQ":
            return known
        vr = str(ds[tag].VR)  # pydicom reads it as a sequence; beyond 64 KiB it does not try
        if vr != "SQ":
            raise UndecidableError(f"{describe(tag)} is a sequence encoded as UN that is too long to be read")
    return vr


class Plain:
    """A Header of what pydicom has read."""

    __slots__ = ("_ds", "tags")

    def __init__(self, ds: Dataset) -> None:
        self._ds = ds
        self.tags: AbstractSet[int] = dict.fromkeys(map(int, ds.keys())).keys()

    def raw(self, tag: int) -> bytes:
        # Creators it decodes with the first of their block that is asked for.
        by_itself = tag == CHARACTER_SET or tag >> 16 == 2 or is_creator(tag)
        return _ascii(self._ds, tag) if by_itself else raw_bytes(self._ds, tag)

    def vr(self, tag: int) -> str:
        return vr_of(self._ds, tag)

    def sequences(self) -> Sequence[int]:
        return [tag for tag in self.tags if self.vr(tag) == "SQ"]

    def items(self, tag: int) -> Sequence[Header]:
        """Raises UndecidableError for a sequence that is cut short."""
        if tag not in self._ds:
            return ()
        check_complete(element_of(self._ds, tag))  # here: what was read as a sequence does not tell any more
        if self.vr(tag) != "SQ" or self._ds[tag].VR != "SQ":
            return ()
        return [Plain(item) for item in self._ds[tag].value]

    def meta(self) -> Header | None:
        found = getattr(self._ds, "file_meta", None)
        return None if found is None else Plain(found)
