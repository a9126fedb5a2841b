"""What became of an element, told from what was there before and after: what was done, not what was meant to be."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataelem import DataElement, RawDataElement

from node.certificate.actions import Done
from node.dicom.attributes import VR_BY_TAG
from node.steps.anonymize.plan import Action, Do

Element = DataElement | RawDataElement


def became(before: Element, after: Element | None, meant: Action | None) -> tuple[Done, bytes | None, bytes | None]:
    """(what was done, the encoded value before, and after); no values of a sequence.

    Where the value happens to be the same afterwards, what the plan meant decides: a Patient's Birth Date that was
    empty is emptied, and none was kept.
    """
    if after is None:
        return Done.REMOVED, value_of(before), None
    if is_sequence(after):
        empty = isinstance(after, DataElement) and not after.value
        emptied = meant is Do.EMPTY and empty
        return Done.EMPTIED if emptied else Done.REPLACED if meant is Do.DUMMY else Done.KEPT, None, None
    old, new = value_of(before), value_of(after)
    if meant is Do.EMPTY and not new:
        return Done.EMPTIED, old, new
    if (isinstance(meant, str) or meant in (Do.DUMMY, Do.PATIENT)) and not is_uid(after):
        return Done.REPLACED, old, new
    if after is before or old == new:
        return Done.KEPT, old, new
    return (Done.UID if is_uid(after) else Done.REPLACED), old, new


def value_of(element: Element) -> bytes | None:
    """The encoded value; None of a sequence, whose items are told of by themselves."""
    if is_sequence(element):
        return None
    if isinstance(element, RawDataElement):
        return element.value or b""
    # Decoded, so written by us (a recipe's literal) or by pydicom (the character set): ASCII both.
    value = element.value
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return "\\".join(map(str, value if several else [value])).encode("ascii", "replace")


def is_sequence(element: Element) -> bool:
    return (element.VR or VR_BY_TAG.get(int(element.tag))) == "SQ"


def is_uid(element: Element) -> bool:
    return (element.VR or VR_BY_TAG.get(int(element.tag))) == "UI"
