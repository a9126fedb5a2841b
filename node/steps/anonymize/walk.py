"""A plan applied by pydicom to a data set and to all it nests: the plain way, and the reference for engine.py.

pydicom finds the elements, decision.py says what becomes of each. The node itself goes the way of engine.py; that both
come to the same is held by tests/steps/anonymize/test_reference.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.dicom.attributes import VR_BY_TAG, describe, is_creator, is_private
from node.steps.anonymize import coding, decision, text
from node.steps.anonymize.decision import CHARACTER_SET, ISSUER, Scope, UndecidableError
from node.steps.anonymize.plan import PATIENT_ID, Action, Do

_UNDEFINED = 0xFFFFFFFF


def walk(ds: Dataset, scope: Scope) -> None:
    """De-identify `ds` in place. Raises UndecidableError or UnreadableTextError; `ds` is then of no use."""
    encodings = text.declared(ds) if CHARACTER_SET in ds else None
    scope = decision.entered(scope, encodings, raw_bytes(ds, PATIENT_ID), raw_bytes(ds, ISSUER))
    private = decision.kept_private(map(int, ds.keys()), lambda tag: raw_bytes(ds, tag), scope.plan)
    meanings_stay = coding.is_standard(raw_bytes(ds, coding.SCHEME))
    for key in list(ds.keys()):
        _complete(element_of(ds, key))
        tag = int(key)
        if is_private(tag):
            if tag not in private:
                del ds[tag]
            elif not is_creator(tag):
                _private(ds, tag, private[tag], scope)
        elif decision.always_goes(tag):
            del ds[tag]
        elif tag == coding.MEANING and not meanings_stay:
            _write(ds, tag, "LO", decision.dummy(tag, "LO"))
        else:
            _public(ds, tag, scope)


def element_of(ds: Dataset, tag: int) -> DataElement | RawDataElement:
    """The element as pydicom read it, not decoded; pydicom's own annotation leaves the raw one out."""
    return cast("DataElement | RawDataElement", ds.get_item(tag))


def raw_bytes(ds: Dataset, tag: int) -> bytes:
    """The encoded value of an element that is no sequence; b"" when it is absent."""
    element: object = ds.get_item(tag)
    if not isinstance(element, RawDataElement):
        return b""
    return element.value or b""


def _private(ds: Dataset, tag: int, vr: str, scope: Scope) -> None:
    """A private element on the list: its sequences are walked, its UIDs replaced (PS3.15 E.3.10)."""
    found = _vr(ds, tag)
    if vr == "SQ" or found == "SQ":
        if ds[tag].VR == "SQ":
            _items(ds, tag, scope)
        else:
            del ds[tag]  # listed as a sequence, but not readable as one
    elif "UI" in (vr, found) and scope.plan.maps_uids:
        _write(ds, tag, found, decision.mapped(tag, raw_bytes(ds, tag), scope, always=True))


def _public(ds: Dataset, tag: int, scope: Scope) -> None:
    action, known = scope.action(tag), VR_BY_TAG.get(tag)
    if decision.goes(tag, action):
        del ds[tag]
        return
    vr = _vr(ds, tag)
    if vr == "SQ":
        if known not in (None, "SQ"):
            raise UndecidableError(f"{describe(tag)} is encoded as SQ, not {known}")
        _sequence(ds, tag, action, scope)
    elif known is None and vr in ("", "UN"):
        del ds[tag]  # newer than our PS3.6 and of unknown representation: no dummy would be valid
    else:
        changed = decision.new_value(tag, vr, raw_bytes(ds, tag), action, scope)
        if changed is not None:
            _write(ds, tag, *changed)


def _sequence(ds: Dataset, tag: int, action: Action | None, scope: Scope) -> None:
    if action is None or action in (Do.KEEP, Do.UID):
        _items(ds, tag, scope)
    elif action is Do.EMPTY:
        ds[tag] = DataElement(tag, "SQ", [])
    else:
        del ds[tag].value[1:]
        _items(ds, tag, replace(scope, in_dummy=True))


def _items(ds: Dataset, tag: int, scope: Scope) -> None:
    for item in ds[tag].value:
        walk(item, replace(scope, nested=True))


def _vr(ds: Dataset, tag: int) -> str:
    """The VR that the element is to be read by; a UN of the standard by PS3.6 (PS3.5 6.2.2), "" for unknown."""
    element = element_of(ds, tag)
    known = VR_BY_TAG.get(tag, "")
    vr = str(element.VR or known)
    if vr == "UN" and known:
        if known != "SQ":
            return known
        vr = str(ds[tag].VR)  # pydicom reads it as a sequence; beyond 64 KiB it does not try
        if vr != "SQ":
            raise UndecidableError(f"{describe(tag)} is a sequence encoded as UN that is too long to be read")
    return vr


def _complete(element: DataElement | RawDataElement) -> None:
    if isinstance(element, RawDataElement) and element.length not in (_UNDEFINED, len(element.value or b"")):
        raise UndecidableError(f"{describe(int(element.tag))} is cut short")


def _write(ds: Dataset, tag: int, vr: str, value: bytes) -> None:
    old = element_of(ds, tag)
    implicit = isinstance(old, RawDataElement) and old.is_implicit_VR
    little = not isinstance(old, RawDataElement) or old.is_little_endian
    ds[tag] = RawDataElement(Tag(tag), None if implicit else vr, len(value), value, 0, implicit, little)
