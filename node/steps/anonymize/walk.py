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

from node.certificate.actions import Done, Path, Recorder
from node.dicom.attributes import VR_BY_TAG, describe, is_creator, is_private, private_vr
from node.dicom.deid_table import is_repeating
from node.steps.anonymize import coding, content, text, values
from node.steps.anonymize.ages import InvalidAgeError, cap_age
from node.steps.anonymize.changes import CLEANED, Means, changed
from node.steps.anonymize.cleaning import Cleaner
from node.steps.anonymize.patients import Patient, Patients
from node.steps.anonymize.plan import PATIENT_ID, Action, Do, Plan
from node.steps.anonymize.telling import became, value_of

CHARACTER_SET, ISSUER, PIXEL_DATA = 0x00080005, 0x00100021, 0x7FE00010
IDENTITY_UIDS = (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)
"""SOP, Study and Series Instance UID, Frame of Reference UID."""

_UNDEFINED = 0xFFFFFFFF
_SHORT, _SHORT_LENGTH = frozenset({"AE", "CS", "SH"}), 16


class UndecidableError(ValueError):
    """Something in the data set cannot be de-identified with certainty. Names attributes, never values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What holds while one data set, or one item, is walked."""

    plan: Plan
    patients: Patients
    encodings: Sequence[str]
    patient: Patient
    own_uids: frozenset[str]
    """The instance's own UIDs: replaced wherever they stand, also in attributes that the table does not name."""
    own_words: re.Pattern[str] | None = None
    """The patient's name and id: text that says them is replaced, also where the table leaves it alone."""
    nested: bool = False
    in_dummy: bool = False
    """Within an item that stands for a sequence: all its text is replaced."""
    cleaner: Cleaner | None = None
    days: int = 0
    """By how many days the dates of the instance move: those of another patient in it too, or intervals change."""
    recorder: Recorder | None = None
    path: Path = ()
    """The sequences that the item is in, from the top."""
    in_clean: bool = False
    """Within a sequence that is cleaned: text that the plan does not name is cleaned too."""
    in_content: bool = False
    by_place: bool = False
    """Some content item is referred to by its place, so that none may be removed."""
    own: tuple[int, Do] | None = None
    """The value of a content item, and what is done to it."""

    def action(self, tag: int) -> Action | None:
        if not self.nested:
            return self.plan.top.get(tag)
        place = self.plan.paths.get((*self.path, tag)) if self.plan.paths else None
        if place is not None:
            return place
        if self.own is not None and tag == self.own[0]:
            return self.own[1]
        found = self.plan.items.get((self.path[-1], tag))
        return self.plan.nested.get(tag) if found is None else found

    @property
    def means(self) -> Means:
        return Means(pseudonyms=self.patient.pseudonyms, cleaner=self.cleaner, days=self.days)


def walk(ds: Dataset, scope: Scope) -> None:
    """De-identify `ds` in place. Raises UndecidableError or UnreadableTextError; `ds` is then of no use."""
    scope = _entered(ds, scope)
    private = _kept_private(ds, scope.plan)
    meanings_stay = coding.is_standard(raw_bytes(ds, coding.SCHEME))
    for key in list(ds.keys()):
        before = element_of(ds, key)
        check_complete(before)
        tag = int(key)
        done = scope.action(tag)
        if is_private(tag):
            if tag not in private:
                del ds[tag]
            elif not is_creator(tag):
                done = _private(ds, tag, *private[tag], scope)
        elif tag >> 16 <= 7 or tag & 0xFFFF == 0 or is_repeating(tag):
            del ds[tag]
        elif tag == coding.MEANING and not meanings_stay:
            _write(ds, tag, "LO", values.dummy(tag, "LO", little_endian=True))
        else:
            done = _public(ds, tag, scope)
        if scope.recorder is not None:
            scope.recorder.did((*scope.path, tag), *became(before, ds.get_item(key), done))


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
        if not scope.patient.is_of(issuer, patient_id):
            scope = replace(scope, patient=scope.patients.find(issuer, patient_id, ""))
    if scope.in_content:
        value_type = content.concept_of(ds)[2] if content.VALUE_TYPE in ds else ""
        tag = content.VALUES.get(value_type)
        scope = replace(scope, own=None if tag is None else (tag, _of_item(ds, scope)))
    return scope


def _of_item(item: Dataset, scope: Scope) -> Do:
    """What is done to a content item. Raises UndecidableError where one that must go holds others in their place."""
    concept = content.concept_of(item)
    action = content.action_of(concept, scope.plan.content)
    if action is not Do.REMOVE or not scope.by_place:
        return action
    if concept[2] not in content.VALUES:
        raise UndecidableError("an item of its content that must be removed is counted by a reference to another")
    return Do.DUMMY


def _kept_private(ds: Dataset, plan: Plan) -> dict[int, tuple[str, Action]]:
    """Private elements to keep -> the VR they must have and what is done; and their blocks' creators (PS3.5 7.8.1).

    "" for any VR; one that a rule changes, and that has none of its own, is read as its vendor published it.
    """
    kept: dict[int, tuple[str, Action]] = {}
    if not plan.private and not plan.private_actions:
        return kept
    for tag in map(int, ds.keys()):
        creator_tag = tag & 0xFFFF0000 | (tag & 0xFF00) >> 8
        if not is_private(tag) or is_creator(tag) or creator_tag & 0xFFFF < 0x10:
            continue
        creator = raw_bytes(ds, creator_tag).decode("ascii", "replace").strip(" \0")
        key = (tag >> 16, creator, tag & 0xFF)
        vr, action = plan.private.get(key), plan.private_actions.get(key, Do.KEEP)
        if action is not Do.KEEP:
            vr = private_vr(tag, creator)
        if vr is not None:
            kept[tag] = (vr, action)
            kept[creator_tag] = ("LO", Do.KEEP)
    return kept


# What follows returns what was done in the end: not every value can be moved or cleaned.


def _private(ds: Dataset, tag: int, vr: str, action: Action, scope: Scope) -> Action:
    """A private element on the list: its sequences are walked, its UIDs replaced (PS3.15 E.3.10)."""
    found = _vr(ds, tag)
    if action is not Do.KEEP:
        return _ruled(ds, tag, vr if found in ("", "UN") else found, action, scope)
    if vr == "SQ" or found == "SQ":
        if ds[tag].VR == "SQ":
            _items(ds, tag, scope)
        else:
            del ds[tag]  # listed as a sequence, but not readable as one
    elif "UI" in (vr, found) and scope.plan.maps_uids:
        _write(ds, tag, found, _mapped(ds, tag, scope, always=True))
    return action


def _ruled(ds: Dataset, tag: int, vr: str, action: Action, scope: Scope) -> Action:
    """What a site's rule asks for a private element; it goes where its representation does not take that."""
    if action is Do.EMPTY:
        new: bytes | None = b""
    elif isinstance(action, Do):
        new = changed(action, vr, raw_bytes(ds, tag), scope.encodings, scope.means)
    else:
        new = values.padded(action.encode("ascii"), vr) if values.fits(vr, action) is None else None
    if new is None or vr == "SQ":
        del ds[tag]
    else:
        _write(ds, tag, vr, new)
    return action


def _public(ds: Dataset, tag: int, scope: Scope) -> Action | None:
    action = scope.action(tag)
    known = VR_BY_TAG.get(tag)
    if action is Do.REMOVE or (known is None and action in (None, Do.KEEP)):
        del ds[tag]
        return action
    vr = _vr(ds, tag)
    if vr == "SQ":
        if known not in (None, "SQ"):
            raise UndecidableError(f"{describe(tag)} is encoded as SQ, not {known}")
        _sequence(ds, tag, action, scope)
    elif known is None and vr in ("", "UN"):
        del ds[tag]  # newer than our PS3.6 and of unknown representation: no dummy would be valid
    else:
        return _value(ds, tag, vr, action, scope)
    return action


def _sequence(ds: Dataset, tag: int, action: Action | None, scope: Scope) -> None:
    if action is None or action in (Do.KEEP, Do.UID):
        _items(ds, tag, scope)
    elif action is Do.CLEAN:
        _items(ds, tag, replace(scope, in_clean=True))
    elif action is Do.CONTENT:
        _content(ds, tag, replace(scope, in_clean=True, in_content=True))
    elif action is Do.EMPTY:
        ds[tag] = DataElement(tag, "SQ", [])
    else:
        del ds[tag].value[1:]
        _items(ds, tag, replace(scope, in_dummy=True))


def _items(ds: Dataset, tag: int, scope: Scope) -> None:
    inside = replace(scope, nested=True, path=(*scope.path, tag), own=None)
    for item in ds[tag].value:
        walk(item, inside)


def _content(ds: Dataset, tag: int, scope: Scope) -> None:
    """Content items that go are taken out; a sequence of which none is left goes too, as it may not be empty."""
    scope = replace(scope, by_place=scope.by_place or any(map(content.is_referred_to_by_place, ds[tag].value)))
    items = ds[tag].value
    for at in reversed(range(len(items))):
        if content.VALUE_TYPE in items[at] and _of_item(items[at], scope) is Do.REMOVE:
            _tell_removed(items[at], (*scope.path, tag), scope)
            del items[at]
    if items:
        _items(ds, tag, scope)
    else:
        del ds[tag]


def _tell_removed(item: Dataset, path: Path, scope: Scope) -> None:
    """An item that goes out of a sequence that stays: each of its attributes does."""
    if scope.recorder is not None:
        for tag in list(item.keys()):
            scope.recorder.did((*path, int(tag)), Done.REMOVED, value_of(element_of(item, tag)), None)


def _value(ds: Dataset, tag: int, vr: str, action: Action | None, scope: Scope) -> Action | None:
    known = VR_BY_TAG.get(tag, vr)
    if action in (None, Do.KEEP):
        _check_representation(ds, tag, vr, known)
        if vr == "UI" and scope.plan.maps_uids:
            _write(ds, tag, vr, _mapped(ds, tag, scope, always=False))
        elif action is None and scope.in_clean and not scope.in_dummy and vr in CLEANED and not coding.is_code(tag):
            return _changed(ds, tag, vr, Do.CLEAN, scope)
        elif vr == "AS":
            _write(ds, tag, vr, _age(ds, tag, scope))
        elif vr in values.FREE_TEXT and (scope.in_dummy or _names_the_patient(raw_bytes(ds, tag), scope)):
            _write(ds, tag, vr, values.dummy(tag, vr, little_endian=True))
        elif vr in values.CODES and _names_the_patient(raw_bytes(ds, tag), scope):
            _write(ds, tag, vr, _without_words(ds, tag, vr, scope))
        elif vr in values.NUMERALS and _is_no_number_and_names(raw_bytes(ds, tag), scope):
            _write(ds, tag, vr, values.dummy(tag, vr, little_endian=True))
    elif action in (Do.SHIFT, Do.CLEAN, Do.HASH, Do.CONTENT):
        return _changed(ds, tag, vr, action, scope)
    elif action is Do.EMPTY:
        _write(ds, tag, vr, b"")
    elif action is Do.PATIENT:
        _write(ds, tag, vr, _name(tag, vr, scope))
    elif action is Do.UID or (action is Do.DUMMY and known == "UI"):
        _write(ds, tag, "UI", _mapped(ds, tag, scope, always=True))
    elif isinstance(action, str):
        values.put(ds, tag, action)
    else:
        _write(ds, tag, known, values.dummy(tag, known, little_endian=_is_little(element_of(ds, tag))))
    return action


def _changed(ds: Dataset, tag: int, vr: str, action: Do, scope: Scope) -> Action | None:
    """A value moved, cleaned or hashed; where that comes to nothing, what the Basic Profile does."""
    new = None
    if action is not Do.CONTENT and not (action is Do.CLEAN and scope.in_dummy):
        new = changed(action, vr, raw_bytes(ds, tag), scope.encodings, scope.means)
    if new is not None:
        _write(ds, tag, vr, new)
        return action
    otherwise = scope.plan.otherwise.get(tag, Do.EMPTY)
    if otherwise is not Do.REMOVE:
        return _value(ds, tag, vr, otherwise, scope)
    del ds[tag]
    return otherwise


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


def _name(tag: int, vr: str, scope: Scope) -> bytes:
    """The patient's pseudonym, where a recipe may want it in more places than name and id (PS3.5 6.2)."""
    name = scope.patient.name
    if vr in _SHORT and len(name) > _SHORT_LENGTH:
        raise UndecidableError(f"{describe(tag)} is {vr}, and its patient's pseudonym is longer than that may be")
    return values.padded(name.encode(), vr)


def _age(ds: Dataset, tag: int, scope: Scope) -> bytes:
    try:
        return values.padded(cap_age(text.decode(raw_bytes(ds, tag), scope.encodings)).encode("ascii"), "AS")
    except InvalidAgeError:
        raise UndecidableError(f"{describe(tag)} is no valid AS") from None


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
    replaced = [scope.patient.pseudonyms.uid(uid) if always or uid in scope.own_uids else uid for uid in uids]
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


def check_complete(element: DataElement | RawDataElement) -> None:
    """Raise UndecidableError for an element whose value is shorter than its length says."""
    if isinstance(element, RawDataElement) and element.length not in (_UNDEFINED, len(element.value or b"")):
        raise UndecidableError(f"{describe(int(element.tag))} is cut short")


def _write(ds: Dataset, tag: int, vr: str, value: bytes) -> None:
    old = element_of(ds, tag)
    implicit = isinstance(old, RawDataElement) and old.is_implicit_VR
    ds[tag] = RawDataElement(Tag(tag), None if implicit else vr, len(value), value, 0, implicit, _is_little(old))


def _is_little(element: DataElement | RawDataElement) -> bool:
    return not isinstance(element, RawDataElement) or element.is_little_endian
