"""What becomes of a private element that Table E.3.10-1 lists as safe: it stays only as what is listed there.

PS3.15 E.3.10 calls an element safe with the representation of its row: a sentence in the place of a number is another
one. What cannot be told goes, for no data set needs a private element.
"""

from __future__ import annotations

from typing import Final

from node.steps.anonymize import representation, text, values
from node.steps.anonymize.changes import CLEANED, changed
from node.steps.anonymize.decision import REMOVED, Change, Outcome, mapped, names_patient, tells
from node.steps.anonymize.plan import Do
from node.steps.anonymize.scope import Scope

_UNSAID: Final = ("", "UN")


def may_be_sequence(vr: str, found: str) -> bool:
    """Whether an element may stay as a sequence.

    vr     that it must have, "" for any
    found  that it is written in, "" for none
    """
    return vr in ("SQ", "") and found in ("SQ", *_UNSAID)


def kept_value(tag: int, vr: str, found: str, value: bytes, scope: Scope) -> Outcome:
    """What becomes of one that stays and is no sequence, and what was done. `vr` and `found` as above.

    What a site's own rule keeps, of any VR, stays as it is but for UIDs: a person has looked at it. Raises
    UndecidableError for one of those that is no UID, UnreadableTextError as `new_value` does.
    """
    read_as = vr or found if found in _UNSAID else found
    if not vr:
        return _with_uids(tag, read_as, found, value, scope), Do.KEEP
    of_its_form = representation.is_one(vr, value) and representation.are_numbers(tag, vr, len(value))
    if read_as != vr or not of_its_form:
        return REMOVED, Do.REMOVE
    if vr in values.FREE_TEXT | values.CODES:
        return _text(vr, found, value, scope)
    if vr in values.OPAQUE and names_patient(value.decode("latin-1"), scope):
        return REMOVED, Do.REMOVE
    return _with_uids(tag, vr, found, value, scope), Do.KEEP


def _with_uids(tag: int, vr: str, found: str, value: bytes, scope: Scope) -> Change:
    if vr == "UI" and scope.plan.maps_uids:
        return found or "UI", mapped(tag, value, scope, always=True)
    return None


def _text(vr: str, found: str, value: bytes, scope: Scope) -> Outcome:
    """Cleaned where texts are, as those of Table E.1-1; else one that names the patient goes."""
    said = text.decode(value, scope.encodings)
    if vr in values.CODES:
        people = scope.cleaner
        named = any(tells(vr, one, scope) for one in said.split("\\"))
        named = named or (people is not None and people.is_about_somebody(said))
        return (REMOVED, Do.REMOVE) if named else (None, Do.KEEP)
    if vr in CLEANED and "clean_descriptors" in scope.plan.options:
        new = changed(Do.CLEAN, vr, value, scope.encodings, scope.means)
        if new is None:
            return REMOVED, Do.REMOVE
        if text.decode(new, scope.encodings) != said:
            named = names_patient(text.decode(new, scope.encodings), scope)
            return (REMOVED, Do.REMOVE) if named else ((found or vr, new), Do.CLEAN)
    return (REMOVED, Do.REMOVE) if names_patient(said, scope) else (None, Do.KEEP)
