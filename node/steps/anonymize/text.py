"""Text under (0008,0005) Specific Character Set, strictly: what cannot be read is never guessed (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

from node.steps.anonymize.known import spellings

_FRAGMENT = re.compile(rb"\x1b[^\x1b]*|[^\x1b]+")
_STRIPS_ITS_ESCAPE = frozenset({"iso2022_jp", "iso2022_jp_2"})  # the codec itself reads the escape sequence


class UnreadableTextError(ValueError):
    """A character set is not known, or text does not decode by it. Says nothing of the text."""


def encodings(declared: bytes) -> tuple[str, ...]:
    """Python's names for the terms of a Specific Character Set value; the default repertoire when it is empty."""
    terms = [term.strip(" \0") for term in declared.decode("ascii", "replace").split("\\")]
    unknown = [term for term in terms if term not in python_encoding]
    if unknown:
        raise UnreadableTextError("the character set that it declares is unknown")
    return tuple(python_encoding[term] for term in terms)


def decode(value: bytes, by: Sequence[str]) -> str:
    """Text of an encoded value, code extensions included (PS3.5 6.1.2.5). Raises UnreadableTextError."""
    try:
        if b"\x1b" not in value:
            return value.decode(by[0]).strip(" \0")
        return "".join(_fragment(piece, by) for piece in _FRAGMENT.findall(value)).strip(" \0")
    except UnicodeError as error:
        raise UnreadableTextError("text does not decode by the character set that it declares") from error


def words(name: str, patient_id: str) -> re.Pattern[str] | None:
    """What finds the parts of a Patient's Name and a Patient ID in other text, as it is and `folded`; None when they
    are too short. Names also as they are spelled without their accents, and with ue for ü.

    Parts of fewer than four characters would hit by chance: Li, Ray, MR.
    """
    of_name = [part for part in re.split(r"[\^=\s,\\-]+", name) if len(part) >= 4]
    parts = {form for part in of_name for form in (part, *spellings(part)) if len(form) >= 4}
    parts |= {patient_id.strip()} if len(patient_id.strip()) >= 4 else set()
    if not parts:
        return None
    return re.compile(r"(?<![^\W_])(?:" + "|".join(map(re.escape, sorted(parts))) + r")(?![^\W_])", re.IGNORECASE)


def _fragment(piece: bytes, by: Sequence[str]) -> str:
    if not piece.startswith(b"\x1b"):
        return piece.decode(by[0])
    length = 4 if piece[:3] in (b"\x1b$(", b"\x1b$)") else 3
    name = CODES_TO_ENCODINGS.get(piece[:length])
    if name is None:
        raise UnreadableTextError("text switches to a character set that the standard does not have")
    if name in _STRIPS_ITS_ESCAPE:
        return piece.decode(name)
    # A delimiter (backslash, caret, equals, line end) switches back to the first character set without an escape.
    ends = [at for at in (piece.find(mark, length) for mark in (b"\\", b"^", b"=", b"\r", b"\n")) if at > 0]
    end = min(ends, default=len(piece))
    return piece[length:end].decode(name) + piece[end:].decode(by[0])
