"""Encoded values moved in time, cleaned or hashed: what SHIFT, CLEAN and HASH make of one element's bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from node.steps.anonymize import text, values
from node.steps.anonymize.actions import Do
from node.steps.anonymize.cleaning import Cleaner, clean_values
from node.steps.anonymize.pseudonyms import Pseudonyms
from node.steps.anonymize.shifting import UnshiftableError, shift

SHIFTED = frozenset({"DA", "TM", "DT"})
CLEANED = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UT"})
HASHED = CLEANED | {"CS", "PN"}
"""Representations that take the 16 digits of a hash."""
_ONE_VALUE = frozenset({"LT", "ST", "UT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What is the same for all elements of an instance."""

    pseudonyms: Pseudonyms
    cleaner: Cleaner | None = None
    """None in a plan that cleans nothing."""
    days: int = 0
    """By how many days the patient's dates move."""


def changed(action: Do, vr: str, value: bytes, encodings: Sequence[str], means: Means) -> bytes | None:
    """The new encoded value, of even length; None when the action comes to nothing: then `Plan.otherwise` counts.

    An empty value stays empty. Raises UnreadableTextError for text that its character set does not decode, and
    ValueError for an action that is none of the three.
    """
    if not value.strip(b" \0"):
        return b""
    if action is Do.SHIFT:
        return _shifted(vr, value, means.days)
    if action is Do.CLEAN:
        return _cleaned(vr, value, encodings, means.cleaner)
    if action is Do.HASH:
        return _hashed(vr, value, encodings, means.pseudonyms)
    raise ValueError(f"{action} changes no single value")


_OFFSET = re.compile(rb"[+-][01]\d[0-5]\d[ \0]*")
"""Timezone Offset From UTC (0008,0201), an SH: moved by days, times stay in their zone."""


def _shifted(vr: str, value: bytes, days: int) -> bytes | None:
    if vr == "SH":
        return value if _OFFSET.fullmatch(value) else None
    if vr not in SHIFTED:
        return None
    try:
        return values.padded(shift(vr, value.decode("ascii"), days, 0).encode("ascii"), vr)
    except (UnshiftableError, UnicodeDecodeError):
        return None


def _cleaned(vr: str, value: bytes, encodings: Sequence[str], cleaner: Cleaner | None) -> bytes | None:
    if vr not in CLEANED or cleaner is None:
        return None
    said, codec = text.read(value, encodings)
    cleaned = clean_values(cleaner, vr, said)
    if not cleaned:
        return None
    try:  # in the first character set: the others need escape sequences, and their words are in no list that ships
        return values.padded(cleaned.encode("ascii" if cleaned.isascii() else codec), vr)
    except UnicodeEncodeError:
        return None


def _hashed(vr: str, value: bytes, encodings: Sequence[str], pseudonyms: Pseudonyms) -> bytes | None:
    if vr not in HASHED:
        return None
    said = text.decode(value, encodings)
    parts = [said] if vr in _ONE_VALUE else said.split("\\")
    hashed = (pseudonyms.value(part.strip(" \0")) if part.strip(" \0") else "" for part in parts)
    return values.padded("\\".join(hashed).encode("ascii"), vr)
