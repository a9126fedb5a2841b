"""What holds while one data set, or one item of it, is de-identified."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from node.certificate.actions import PIXELS
from node.dicom.attributes import describe
from node.steps.anonymize import content, text
from node.steps.anonymize.changes import Means
from node.steps.anonymize.cleaning import Cleaner
from node.steps.anonymize.header import CHARACTER_SET, Header
from node.steps.anonymize.patients import Patient, Patients
from node.steps.anonymize.plan import PATIENT_ID, Action, Do, Plan

ISSUER, PIXEL_DATA = 0x00100021, 0x7FE00010
IDENTITY_UIDS = (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)
"""SOP, Study and Series Instance UID, Frame of Reference UID."""


class UndecidableError(ValueError):
    """Something in the data set cannot be de-identified with certainty. Names attributes, never values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """All that a decision depends on beside the element itself. What memory.py remembers one by must have it."""

    plan: Plan
    patients: Patients
    encodings: tuple[str, ...]
    """As text.encodings gives them."""
    patient: Patient
    own_uids: frozenset[str]
    """The instance's own UIDs: replaced wherever they stand, also in attributes that the table does not name."""
    own_words: re.Pattern[str] | None = None
    """The patient's name and id: text that says them is replaced, also where the table leaves it alone."""
    cleaner: Cleaner | None = None
    days: int = 0
    """By how many days the dates of the instance move: those of another patient in it too, or intervals change."""
    nested: bool = False
    path: tuple[int, ...] = ()
    """The sequences that the item is in, from the top."""
    in_dummy: bool = False
    """Within an item that stands for a sequence: all its text is replaced."""
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


def entered(scope: Scope, header: Header) -> Scope:
    """The scope within a data set or an item: its own character set and patient, where it declares them, and its
    value, where it is a content item. Raises UndecidableError and UnreadableTextError."""
    if CHARACTER_SET in header.tags:
        encodings = text.encodings(header.raw(CHARACTER_SET), scope.encodings[1:])
        if encodings != scope.encodings:
            scope = replace(scope, encodings=encodings)
    if not scope.nested:
        return scope
    patient_id = text.decode(header.raw(PATIENT_ID), scope.encodings)
    if patient_id:
        issuer = text.decode(header.raw(ISSUER), scope.encodings)
        if not scope.patient.is_of(issuer, patient_id):
            scope = replace(scope, patient=scope.patients.find(issuer, patient_id, ""))
    if scope.in_content:
        value_type = content.concept_of(header)[2] if content.VALUE_TYPE in header.tags else ""
        tag = content.VALUES.get(value_type)
        scope = replace(scope, own=None if tag is None else (tag, _of_item(header, scope)))
    return scope


def within(tag: int, action: Action | None, scope: Scope) -> Scope:
    """The scope for the items of a sequence that stays."""
    inner = replace(scope, nested=True, path=(*scope.path, tag), own=None)
    if action is None or action in (Do.KEEP, Do.UID):
        return inner
    if action is Do.CLEAN:
        return replace(inner, in_clean=True)
    if action is Do.CONTENT:
        return replace(inner, in_clean=True, in_content=True)
    return replace(inner, in_dummy=True)


def is_dummy(action: Action | None) -> bool:
    """Whether a sequence that stays is no more than a dummy, and has one item."""
    return action is not None and action not in (Do.KEEP, Do.UID, Do.CLEAN, Do.CONTENT)


def counted(scope: Scope, items: Sequence[Header]) -> Scope:
    """The scope of content items: whether they are referred to by their places."""
    by_place = scope.by_place or any(map(content.is_referred_to_by_place, items))
    return replace(scope, by_place=by_place)


def check_no_image(tag: int, item: AbstractSet[int]) -> None:
    """Raise UndecidableError where an item of a sequence that stays has pixels: nothing tells what they show.

    tag   of the sequence
    item  the tags in the item
    """
    if not item.isdisjoint(PIXELS):
        raise UndecidableError(f"{describe(tag)} has an image in it, whose pixels nothing is known of")


def may_be_empty(tag: int, scope: Scope) -> bool:
    """Whether a sequence of content items stays where none is left: an Acquisition Context (0040,0555), of Type 2, says
    by that that nothing is told, and a Content Sequence (0040,A730), of Type 1C, may not be empty."""
    return scope.plan.otherwise.get(tag) is Do.EMPTY


def goes_out(item: Header, scope: Scope) -> bool:
    """Whether a content item is taken out of its sequence. Raises UndecidableError."""
    return content.VALUE_TYPE in item.tags and _of_item(item, scope) is Do.REMOVE


def _of_item(item: Header, scope: Scope) -> Do:
    """What is done to a content item. Raises UndecidableError where one that must go holds others in their place."""
    concept = content.concept_of(item)
    action = content.action_of(concept, scope.plan.content)
    if action is Do.KEEP and content.is_great_age(concept, item):
        action = Do.REMOVE
    if action is not Do.REMOVE or not scope.by_place:
        return action
    if concept[2] not in content.VALUES:
        raise UndecidableError("an item of its content that must be removed is counted by a reference to another")
    return Do.DUMMY
