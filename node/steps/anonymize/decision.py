"""What becomes of one element, decided from its tag, representation and encoded value: pure, and all that decides.

Whoever finds the elements asks here: engine.py on the encoded bytes, walk.py with pydicom. A value that stays is never
decoded, so that a wrong number elsewhere in the header fails nothing and pixels pass as they came. What cannot be told
apart with certainty raises UndecidableError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from node.dicom.attributes import VR_BY_TAG, describe
from node.dicom.deid_table import is_repeating
from node.steps.anonymize import coding, text, values
from node.steps.anonymize.plan import Action, Do, Plan
from node.steps.anonymize.pseudonyms import STANDARD_ROOT, Pseudonyms

CHARACTER_SET, ISSUER, PIXEL_DATA = 0x00080005, 0x00100021, 0x7FE00010
IDENTITY_UIDS = (0x00080018, 0x0020000D, 0x0020000E, 0x00200052)
"""SOP, Study and Series Instance UID, Frame of Reference UID."""

_SAYING = values.FREE_TEXT | values.CODES | values.NUMERALS | {"UI"}


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

    def action(self, tag: int) -> Action | None:
        return (self.plan.nested if self.nested else self.plan.top).get(tag)


def entered(scope: Scope, encodings: Sequence[str] | None, patient_id: bytes, issuer: bytes) -> Scope:
    """The scope within a data set: its own character set and patient, where it declares them.

    encodings    of its Specific Character Set; None where it has none
    """
    if encodings is not None:
        scope = replace(scope, encodings=encodings)
    identifier = text.decode(patient_id, scope.encodings)
    if scope.nested and identifier:
        scope = replace(scope, patient=scope.pseudonyms.patient(text.decode(issuer, scope.encodings), identifier))
    return scope


def kept_private(tags: Iterable[int], value_of: Callable[[int], bytes], plan: Plan) -> dict[int, str]:
    """Private elements to keep -> the VR they must have, "" for any; and their blocks' creators (PS3.5 7.8.1)."""
    kept: dict[int, str] = {}
    if not plan.private:
        return kept
    creators: dict[int, str] = {}
    for tag in tags:
        if not tag & 0x10000 or tag & 0xFFFF < 0x1000:
            continue  # not of an odd group, or of no block
        creator_tag = tag & 0xFFFF0000 | tag >> 8 & 0xFF
        creator = creators.get(creator_tag)
        if creator is None:
            creator = creators[creator_tag] = value_of(creator_tag).decode("ascii", "replace").strip(" \0")
        vr = plan.private.get((tag >> 16, creator, tag & 0xFF))
        if vr is not None:
            kept[tag] = vr
            kept[creator_tag] = "LO"
    return kept


def always_goes(tag: int) -> bool:
    """Whether a public element is of no data set (PS3.7, PS3.10), a group length, or of a curve or overlay."""
    return tag >> 16 <= 7 or tag & 0xFFFF == 0 or is_repeating(tag)


def goes(tag: int, action: Action | None) -> bool:
    """Whether a public element is removed whatever it is: by its action, or because PS3.6 does not have it."""
    return action is Do.REMOVE or (action in (None, Do.KEEP) and tag not in VR_BY_TAG)


def looked_at(vr: str, action: Action | None) -> bool:
    """Whether `new_value` reads the value; of what it does not read, it need only be told whether there is any."""
    return vr in _SAYING or action not in (None, Do.KEEP)


def lasting(vr: str, value: bytes, action: Action | None) -> bool:
    """Whether `new_value` is the same for every instance of the scope, whatever its own UIDs are."""
    if vr != "UI" or action not in (None, Do.KEEP):
        return True
    return not value or all(uid.startswith(STANDARD_ROOT.encode()) for uid in value.split(b"\\"))


def new_value(tag: int, vr: str, value: bytes, action: Action | None, scope: Scope) -> tuple[str, bytes] | None:
    """(VR, encoded value) to write for a public element that is no sequence; None: it stays as it is.

    vr    to read the value by; of a UN of the standard that which PS3.6 gives it (PS3.5 6.2.2)

    Raises UndecidableError, or UnreadableTextError where a text that would stay does not decode.
    """
    known = VR_BY_TAG.get(tag, vr)
    if action in (None, Do.KEEP):
        check_representation(tag, vr, there=bool(value))
        return _unless_it_names(tag, vr, value, scope)
    if action is Do.EMPTY:
        return vr, b""
    if action is Do.PATIENT:
        return vr, values.padded(scope.patient.encode(), vr)
    if action is Do.UID or (action is Do.DUMMY and known == "UI"):
        return "UI", mapped(tag, value, scope, always=True)
    if isinstance(action, str):
        return known, values.literal(tag, action)
    return known, dummy(tag, known)


def dummy(tag: int, vr: str) -> bytes:
    """values.dummy, all of whose numbers are 0 in either byte order. Raises UndecidableError where there is none."""
    try:
        return values.dummy(tag, vr, little_endian=True)
    except KeyError:
        raise UndecidableError(f"{describe(tag)} is encoded as {vr}, for which there is no dummy") from None


def mapped(tag: int, value: bytes, scope: Scope, *, always: bool) -> bytes:
    """UIDs replaced: all, or those that are the instance's own. Raises UndecidableError."""
    try:
        uids = [uid.strip(" \0") for uid in value.decode("ascii").split("\\")]
    except UnicodeDecodeError:
        raise UndecidableError(f"{describe(tag)} is no UID") from None
    replaced = [scope.pseudonyms.uid(uid) if always or uid in scope.own_uids else uid for uid in uids]
    return values.padded("\\".join(replaced).encode(), "UI")


def check_representation(tag: int, vr: str, *, there: bool) -> None:
    """A value that stays must be what PS3.6 says it is: text in the place of a number, or a sequence
    hidden in bytes, would pass unseen."""
    known = VR_BY_TAG.get(tag, vr)
    if vr == known or not there:
        return
    for family in (values.FREE_TEXT, values.OPAQUE):
        if vr in family and known not in family:
            raise UndecidableError(f"{describe(tag)} is encoded as {vr}, not {known}")


def _unless_it_names(tag: int, vr: str, value: bytes, scope: Scope) -> tuple[str, bytes] | None:
    if vr == "UI" and scope.plan.maps_uids:
        return vr, mapped(tag, value, scope, always=False)
    if vr in values.FREE_TEXT and (scope.in_dummy or _said(text.decode(value, scope.encodings), scope)):
        return vr, dummy(tag, vr)
    if vr in values.CODES and _said(text.decode(value, scope.encodings), scope):
        return vr, _without_words(tag, vr, value, scope)
    if vr in values.NUMERALS and _is_no_number_and_names(value, scope):
        return vr, dummy(tag, vr)
    return None


def _without_words(tag: int, vr: str, value: bytes, scope: Scope) -> bytes:
    """The values of a code, those that name the patient replaced.

    A term that the standard has for every patient stays: Mr Head has a HEAD like all others, and to replace it, or
    to hold him, would say more of him than the term does.
    """
    other = dummy(tag, vr).strip().decode()
    said = text.decode(value, scope.encodings).split("\\")
    kept = [other if _said(one, scope) and not coding.is_term(one) else one for one in said]
    return values.padded("\\".join(kept).encode("ascii", "replace"), vr)


def _is_no_number_and_names(value: bytes, scope: Scope) -> bool:
    """A number that equals a Patient ID is a number; a name in its place was put there by somebody."""
    return not values.is_numeral(value) and _said(text.decode(value, scope.encodings), scope)


def _said(word: str, scope: Scope) -> bool:
    return scope.own_words is not None and scope.own_words.search(word) is not None
