"""What becomes of one element, decided from its tag, representation and encoded value: pure, and all that decides.

Whoever finds the elements asks here: engine.py on the encoded bytes, walk.py with pydicom. A value that stays is never
decoded, so that a wrong number elsewhere in the header fails nothing and pixels pass as they came. What cannot be told
apart with certainty raises UndecidableError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from node.dicom.attributes import VR_BY_TAG, describe, private_vr
from node.dicom.deid_table import is_repeating
from node.dicom.uids import STANDARD_ROOT
from node.steps.anonymize import coding, representation, text, values, vocabulary
from node.steps.anonymize.ages import InvalidAgeError, cap_age
from node.steps.anonymize.changes import CLEANED, changed
from node.steps.anonymize.cleaning import cleaner_for, is_personal
from node.steps.anonymize.known import Known
from node.steps.anonymize.plan import Action, Do, Plan
from node.steps.anonymize.scope import Scope, UndecidableError
from node.steps.anonymize.vocabulary import folded

Change = tuple[str, bytes] | None
"""(VR, encoded value) to write, REMOVED, or None for what stays as it is."""
REMOVED: Final = ("", b"")
Outcome = tuple[Change, Action | None]
"""What becomes of a value, and the action that was carried out in the end: not every value can be moved or cleaned."""

_SAYING = values.FREE_TEXT | values.CODES | values.NUMERALS | {"UI"}
_NOBODY = Known()
_CHANGING = frozenset({Do.SHIFT, Do.CLEAN, Do.HASH, Do.CONTENT})
_FORMED_ALONE = values.NUMERALS - {"AS"}
_SHORT, _SHORT_LENGTH = frozenset({"AE", "CS", "SH"}), 16


def kept_private(tags: Iterable[int], value_of: Callable[[int], bytes], plan: Plan) -> dict[int, tuple[str, Action]]:
    """Private elements to keep -> the VR they must have and what is done; and their blocks' creators (PS3.5 7.8.1).

    "" for any VR; one that a rule changes, and that has none of its own, is read as its vendor published it.
    """
    kept: dict[int, tuple[str, Action]] = {}
    if not plan.keeps_private:
        return kept
    creators: dict[int, str] = {}
    for tag in tags:
        if not tag & 0x10000 or tag & 0xFFFF < 0x1000:
            continue  # not of an odd group, or of no block
        creator_tag = tag & 0xFFFF0000 | tag >> 8 & 0xFF
        creator = creators.get(creator_tag)
        if creator is None:
            creator = creators[creator_tag] = value_of(creator_tag).decode("ascii", "replace").strip(" \0")
        key = (tag >> 16, creator, tag & 0xFF)
        vr, action = plan.private.get(key), plan.private_actions.get(key, Do.KEEP)
        if action is not Do.KEEP:
            vr = private_vr(tag, creator)
        if vr is not None:
            kept[tag] = (vr, action)
            kept[creator_tag] = ("LO", Do.KEEP)
    return kept


def always_goes(tag: int) -> bool:
    """Whether a public element is of no data set (PS3.7, PS3.10), a group length, or of a curve or overlay."""
    return tag >> 16 <= 7 or tag & 0xFFFF == 0 or is_repeating(tag)


def goes(tag: int, action: Action | None) -> bool:
    """Whether a public element is removed whatever it is: by its action, or because neither PS3.6 as we have it nor the
    plan knows it."""
    return action is Do.REMOVE or (action is None and tag not in VR_BY_TAG)


def looked_at(vr: str, action: Action | None) -> bool:
    """Whether `new_value` reads the value; of what it does not read, it need only be told how long it is."""
    return vr in _SAYING or action not in (None, Do.KEEP)


def lasting(vr: str, value: bytes, action: Action | None, scope: Scope) -> bool:
    """Whether `new_value` is the same for every instance of the scope, whatever its own UIDs are."""
    if vr != "UI" or action not in (None, Do.KEEP) or not scope.plan.maps_uids:
        return True
    return not value or all(uid.startswith(STANDARD_ROOT.encode()) for uid in value.split(b"\\"))


@lru_cache(maxsize=8192)
def form_that_stays(tag: int, vr: str, action: Action | None) -> re.Pattern[bytes] | None:
    """The form of encoded values of a public element that `new_value` leaves in every scope: of numbers, dates and
    times that the plan leaves, where PS3.6 has them in this representation. None where that depends on more.
    """
    if action not in (None, Do.KEEP) or vr not in _FORMED_ALONE or VR_BY_TAG.get(tag) != vr or always_goes(tag):
        return None
    return representation.form_of(vr)


def new_value(tag: int, vr: str, value: bytes, action: Action | None, scope: Scope) -> Outcome:
    """What becomes of a public element that is no sequence.

    vr    to read the value by; of a UN of the standard that which PS3.6 gives it (PS3.5 6.2.2)

    Raises UndecidableError, or UnreadableTextError where a text that would stay does not decode.
    """
    known = VR_BY_TAG.get(tag, vr)
    if action in (None, Do.KEEP):
        representation.check_encoding(tag, vr, len(value))
        if vr in representation.FORMED:
            representation.check_form(tag, vr, value)
        if action is None and vr in CLEANED and not scope.in_dummy and not coding.is_code(tag):
            if scope.in_clean:
                return _changed(tag, vr, value, Do.CLEAN, scope)
            if _is_about_somebody(value, scope):
                return _without_people(tag, vr, value, scope)
        if action is None and vr in values.CODES and _is_about_somebody(value, scope):
            return (vr, _without_words(tag, vr, value, scope, anybodys=True)), action
        if action is None and tag == coding.MEANING and _says_somebody(value, scope):
            return (vr, dummy(tag, vr)), action
        return _kept(tag, vr, value, scope), action
    if action in _CHANGING and isinstance(action, Do):
        return _changed(tag, vr, value, action, scope)
    if action is Do.EMPTY:
        return (vr, b""), action
    if action is Do.PATIENT:
        return (vr, _name(tag, vr, scope)), action
    if action is Do.UID or (action is Do.DUMMY and known == "UI"):
        return ("UI", mapped(tag, value, scope, always=True)), action
    if isinstance(action, str):
        return (known, values.literal(tag, action)), action
    return (known, dummy(tag, known)), action


def new_private_value(vr: str, value: bytes, action: Action, scope: Scope) -> Change:
    """What a site's rule makes of a private element; it goes where its representation does not take that."""
    if vr == "SQ":
        return REMOVED
    if action is Do.EMPTY:
        return vr, b""
    if isinstance(action, Do):
        new = changed(action, vr, value, scope.encodings, scope.means)
    else:
        new = values.padded(action.encode("ascii"), vr) if values.fits(vr, action) is None else None
    return REMOVED if new is None else (vr, new)


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
    of = scope.patient.pseudonyms.uid
    # Under the standard's root too, where `of` leaves what the standard has: nobody else has UIDs there.
    new = (of(uid) if always or uid in scope.own_uids or uid.startswith(STANDARD_ROOT) else uid for uid in uids)
    return values.padded("\\".join(new).encode(), "UI")


def _kept(tag: int, vr: str, value: bytes, scope: Scope) -> Change:
    """A value that the plan leaves: without the instance's own UIDs, its patient's name and id, and great ages."""
    if vr == "UI" and scope.plan.maps_uids:
        return vr, mapped(tag, value, scope, always=False)
    if vr == "AS":
        return vr, _age(tag, value, scope)
    if vr in values.FREE_TEXT and (scope.in_dummy or names_patient(text.decode(value, scope.encodings), scope)):
        return vr, dummy(tag, vr)
    if vr in values.CODES and any(tells(vr, one, scope) for one in text.decode(value, scope.encodings).split("\\")):
        return vr, _without_words(tag, vr, value, scope, anybodys=False)
    return None


def _changed(tag: int, vr: str, value: bytes, action: Do, scope: Scope) -> Outcome:
    """A value moved, cleaned or hashed; where that comes to nothing, what the Basic Profile does."""
    if action is not Do.CONTENT and not (action is Do.CLEAN and scope.in_dummy):
        new = changed(action, vr, value, scope.encodings, scope.means)
        if new is not None:
            return (vr, new), action
    otherwise = scope.plan.otherwise.get(tag, Do.DUMMY if action is Do.CLEAN else Do.EMPTY)
    return (REMOVED, otherwise) if otherwise is Do.REMOVE else new_value(tag, vr, value, otherwise, scope)


def _without_people(tag: int, vr: str, value: bytes, scope: Scope) -> Outcome:
    """A text that nobody has to clean, and that says who somebody is: cleaned as others are, or a dummy."""
    new = changed(Do.CLEAN, vr, value, scope.encodings, scope.means)
    if new is None or names_patient(text.decode(new, scope.encodings), scope):
        return (vr, dummy(tag, vr)), Do.DUMMY
    return (vr, new), Do.CLEAN


def _name(tag: int, vr: str, scope: Scope) -> bytes:
    """The patient's pseudonym, where a recipe may want it in more places than name and id (PS3.5 6.2)."""
    name = scope.patient.name
    if vr in _SHORT and len(name) > _SHORT_LENGTH:
        raise UndecidableError(f"{describe(tag)} is {vr}, and its patient's pseudonym is longer than that may be")
    return values.padded(name.encode(), vr)


def _age(tag: int, value: bytes, scope: Scope) -> bytes:
    try:
        return values.padded(cap_age(text.decode(value, scope.encodings)).encode("ascii"), "AS")
    except InvalidAgeError:
        raise UndecidableError(f"{describe(tag)} is no valid AS") from None


def _without_words(tag: int, vr: str, value: bytes, scope: Scope, *, anybodys: bool) -> bytes:
    """The values of a code, those that name the patient replaced.

    anybodys  whether the names of others count too, as where texts are cleaned

    A term that the standard has for every patient stays: Mr Head has a HEAD like all others, and to replace it, or
    to hold him, would say more of him than the term does.
    """
    other = dummy(tag, vr).strip().decode()
    said = text.decode(value, scope.encodings).split("\\")
    people = scope.cleaner if anybodys else None

    def names(one: str) -> bool:
        if people is not None and people.is_about_somebody(one) and not coding.is_term(one):
            return True
        return tells(vr, one, scope)

    kept = [other if names(one) else one for one in said]
    return values.padded("\\".join(kept).encode("ascii", "replace"), vr)


def tells(vr: str, one: str, scope: Scope) -> bool:
    """Whether a value of a code names the patient, or is no code but words that are not all of the vocabulary."""
    if names_patient(one, scope):
        return not coding.is_term(one)
    if representation.is_code(vr, one.strip(" \0")) or not any(map(str.isalnum, one)):
        return False
    words = vocabulary.with_words(scope.plan.keep_words)
    return cleaner_for(_NOBODY, words, keep_characteristics=True).clean(one) != one


def _is_about_somebody(value: bytes, scope: Scope) -> bool:
    """Whether a text that the table leaves says who somebody is, where texts are cleaned (PS3.15 E.3.5)."""
    return scope.cleaner is not None and scope.cleaner.is_about_somebody(text.decode(value, scope.encodings))


def _says_somebody(value: bytes, scope: Scope) -> bool:
    """Whether the meaning of a published code, as somebody wrote it, has more in it than the code."""
    said = text.decode(value, scope.encodings)
    return is_personal(said) or (scope.cleaner is not None and scope.cleaner.names_in_a_code(said))


def names_patient(said: str, scope: Scope) -> bool:
    """Whether a text says the patient's name or id, with accents or without."""
    if scope.own_words is None:
        return False
    if scope.own_words.search(said) is not None:
        return True
    return not said.isascii() and scope.own_words.search(folded(said)) is not None
