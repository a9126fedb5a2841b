"""A plan applied to a data set and to all it nests, on the encoded values.

pydicom finds the elements; a value that stays is never decoded, so that a wrong number elsewhere in the header
fails nothing and pixels pass as they came. What cannot be told apart with certainty raises UndecidableError.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.certificate.actions import Path, Recorder
from node.dicom.attributes import VR_BY_TAG, describe, is_creator, is_private
from node.dicom.deid_table import is_repeating
from node.steps.anonymize import coding, text, values
from node.steps.anonymize.plan import PATIENT_ID, Action, Do, Plan
from node.steps.anonymize.pseudonyms import Pseudonyms
from node.steps.anonymize.telling import became

CHARACTER_SET, ISSUER, PIXEL_DATA = 0x00080005, 0x00100021, 0x7FE00010
IDENTITY_UIDS = (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)
"""SOP, Study and Series Instance UID, Frame of Reference UID."""

_UNDEFINED = 0xFFFFFFFF


class UndecidableError(ValueError):
    """Something in the data set cannot be de-identified with certainty. Names attributes, never values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What holds while one data set, or one item, is walked."""

    plan: Plan
    pseudonyms: Pseudonyms
    encodings: Sequence[str]
    patient: str
    own_uids: frozenset[str]
    """The instance's own UIDs: replaced wherever they stand, also in attributes that the table does not name."""
    own_words: re.Pattern[str] | None = None
    """The patient's name and id: text that says them is replaced, also where the table leaves it alone."""
    nested: bool = False
    in_dummy: bool = False
    """Within an item that stands for a sequence: all its text is replaced."""
    recorder: Recorder | None = None
    path: Path = ()
    """The sequences that this item is in, from the top."""

    def action(self, tag: int) -> Action | None:
        return (self.plan.nested if self.nested else self.plan.top).get(tag)


def walk(ds: Dataset, scope: Scope) -> None:
    """De-identify `ds` in place. Raises UndecidableError or UnreadableTextError; `ds` is then of no use."""
    scope = _entered(ds, scope)
    private = _kept_private(ds, scope.plan)
    meanings_stay = coding.is_standard(raw_bytes(ds, coding.SCHEME))
    for key in list(ds.keys()):
        before = element_of(ds, key)
        _complete(before)
        tag = int(key)
        if is_private(tag):
            if tag not in private:
                del ds[tag]
            elif not is_creator(tag):
                _private(ds, tag, private[tag], scope)
        elif tag >> 16 <= 7 or tag & 0xFFFF == 0 or is_repeating(tag):
            del ds[tag]
        elif tag == coding.MEANING and not meanings_stay:
            _write(ds, tag, "LO", values.dummy(tag, "LO", little_endian=True))
        else:
            _public(ds, tag, scope)
        if scope.recorder is not None:
            scope.recorder.did((*scope.path, tag), *became(before, ds.get_item(key), scope.action(tag)))


def element_of(ds: Dataset, tag: int) -> DataElement | RawDataElement:
    """The element as pydicom read it, not decoded; pydicom's own annotation leaves the raw one out."""
    return cast("DataElement | RawDataElement", ds.get_item(tag))


def raw_bytes(ds: Dataset, tag: int) -> bytes:
    """The encoded value of an element that is no sequence; b"" when it is absent."""
    element: object = ds.get_item(tag)
    if not isinstance(element, RawDataElement):
        return b""
    return element.value or b""


def _entered(ds: Dataset, scope: Scope) -> Scope:
    """The scope for this data set: its own character set and patient, where it declares them."""
    if CHARACTER_SET in ds:
        scope = replace(scope, encodings=text.declared(ds))
    patient_id = text.decode(raw_bytes(ds, PATIENT_ID), scope.encodings)
    if scope.nested and patient_id:
        issuer = text.decode(raw_bytes(ds, ISSUER), scope.encodings)
        scope = replace(scope, patient=scope.pseudonyms.patient(issuer, patient_id))
    return scope


def _kept_private(ds: Dataset, plan: Plan) -> dict[int, str]:
    """Private elements to keep -> the VR they must have, "" for any; and their blocks' creators (PS3.5 7.8.1)."""
    kept: dict[int, str] = {}
    if not plan.private:
        return kept
    for tag in map(int, ds.keys()):
        creator_tag = tag & 0xFFFF0000 | (tag & 0xFF00) >> 8
        if not is_private(tag) or is_creator(tag) or creator_tag & 0xFFFF < 0x10:
            continue
        creator = raw_bytes(ds, creator_tag).decode("ascii", "replace").strip(" \0")
        vr = plan.private.get((tag >> 16, creator, tag & 0xFF))
        if vr is not None:
            kept[tag] = vr
            kept[creator_tag] = "LO"
    return kept


def _private(ds: Dataset, tag: int, vr: str, scope: Scope) -> None:
    """A private element on the list: its sequences are walked, its UIDs replaced (PS3.15 E.3.10)."""
    found = _vr(ds, tag)
    if vr == "SQ" or found == "SQ":
        if ds[tag].VR == "SQ":
            _items(ds, tag, scope)
        else:
            del ds[tag]  # listed as a sequence, but not readable as one
    elif "UI" in (vr, found) and scope.plan.maps_uids:
        _write(ds, tag, found, _mapped(ds, tag, scope, always=True))


def _public(ds: Dataset, tag: int, scope: Scope) -> None:
    action = scope.action(tag)
    known = VR_BY_TAG.get(tag)
    if action is Do.REMOVE or (known is None and action in (None, Do.KEEP)):
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
        _value(ds, tag, vr, action, scope)


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
        walk(item, replace(scope, nested=True, path=(*scope.path, tag)))


def _value(ds: Dataset, tag: int, vr: str, action: Action | None, scope: Scope) -> None:
    known = VR_BY_TAG.get(tag, vr)
    if action in (None, Do.KEEP):
        _check_representation(ds, tag, vr, known)
        if vr == "UI" and scope.plan.maps_uids:
            _write(ds, tag, vr, _mapped(ds, tag, scope, always=False))
        elif vr in values.FREE_TEXT and (scope.in_dummy or _names_the_patient(raw_bytes(ds, tag), scope)):
            _write(ds, tag, vr, values.dummy(tag, vr, little_endian=True))
        elif vr in values.CODES and _names_the_patient(raw_bytes(ds, tag), scope):
            _write(ds, tag, vr, _without_words(ds, tag, vr, scope))
        elif vr in values.NUMERALS and _is_no_number_and_names(raw_bytes(ds, tag), scope):
            _write(ds, tag, vr, values.dummy(tag, vr, little_endian=True))
    elif action is Do.EMPTY:
        _write(ds, tag, vr, b"")
    elif action is Do.PATIENT:
        _write(ds, tag, vr, scope.patient.encode())
    elif action is Do.UID or (action is Do.DUMMY and known == "UI"):
        _write(ds, tag, "UI", _mapped(ds, tag, scope, always=True))
    elif isinstance(action, str):
        values.put(ds, tag, action)
    else:
        _write(ds, tag, known, values.dummy(tag, known, little_endian=_is_little(element_of(ds, tag))))


def _names_the_patient(value: bytes, scope: Scope) -> bool:
    """Whether text says who the patient is. Raises UnreadableTextError when that cannot be told."""
    return _said(text.decode(value, scope.encodings), scope)


def _without_words(ds: Dataset, tag: int, vr: str, scope: Scope) -> bytes:
    """The values of a code, those that name the patient replaced.

    A term that the standard has for every patient stays: Mr Head has a HEAD like all others, and to replace it, or
    to hold him, would say more of him than the term does.
    """
    dummy = values.dummy(tag, vr, little_endian=True).strip().decode()
    said = text.decode(raw_bytes(ds, tag), scope.encodings).split("\\")
    kept = [dummy if _said(one, scope) and not coding.is_term(one) else one for one in said]
    return values.padded("\\".join(kept).encode("ascii", "replace"), vr)


def _is_no_number_and_names(value: bytes, scope: Scope) -> bool:
    """A number that equals a Patient ID is a number; a name in its place was put there by somebody."""
    return not values.is_numeral(value) and _said(value.decode("ascii", "replace"), scope)


def _said(word: str, scope: Scope) -> bool:
    return scope.own_words is not None and scope.own_words.search(word) is not None


def _mapped(ds: Dataset, tag: int, scope: Scope, *, always: bool) -> bytes:
    try:
        uids = [uid.strip(" \0") for uid in raw_bytes(ds, tag).decode("ascii").split("\\")]
    except UnicodeDecodeError:
        raise UndecidableError(f"{describe(tag)} is no UID") from None
    replaced = [scope.pseudonyms.uid(uid) if always or uid in scope.own_uids else uid for uid in uids]
    return values.padded("\\".join(replaced).encode(), "UI")


def _check_representation(ds: Dataset, tag: int, vr: str, known: str) -> None:
    """A value that stays must be what PS3.6 says it is: text in the place of a number, or a sequence
    hidden in bytes, would pass unseen."""
    if vr == known or not raw_bytes(ds, tag):
        return
    for family in (values.FREE_TEXT, values.OPAQUE):
        if vr in family and known not in family:
            raise UndecidableError(f"{describe(tag)} is encoded as {vr}, not {known}")


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
    ds[tag] = RawDataElement(Tag(tag), None if implicit else vr, len(value), value, 0, implicit, _is_little(old))


def _is_little(element: DataElement | RawDataElement) -> bool:
    return not isinstance(element, RawDataElement) or element.is_little_endian
