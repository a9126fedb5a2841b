"""Text under (0008,0005) Specific Character Set, strictly: what cannot be read is never guessed (PS3.3 C.12.1.1.2).

What a data set declares counts; and where it declares nothing, or what its text is not in, what a site says of the peer
that sent it (`peers.X.charset`). That it lies shows where text does not decode, and where UTF-8 stands under Latin 1,
by which all decodes: other text is hardly ever valid UTF-8 by chance.
"""

from __future__ import annotations

import re
from codecs import lookup
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from pydicom.charset import CODES_TO_ENCODINGS

from node.dicom.text import codec_of
from node.steps.anonymize.known import run_together, spellings, unspaced
from node.steps.anonymize.vocabulary import folded

_LEAST = 4
"""Characters of a part of a name, or of an id, that is looked for alone."""
_FRAGMENT = re.compile(rb"\x1b[^\x1b]*|[^\x1b]+")
_STRIPS_ITS_ESCAPE = frozenset({"iso2022_jp", "iso2022_jp_2"})  # the codec itself reads the escape sequence


class UnreadableTextError(ValueError):
    """A character set is not known, or text does not decode by it. Says nothing of the text."""


def encodings(declared: bytes, fallback: Sequence[str] = ()) -> tuple[str, ...]:
    """Python's names of the character set that text begins in, and of the one that is tried where it does not read.

    declared    a value of Specific Character Set; its other terms announce escape sequences, which name their sets
    fallback    from `fallback_of`, or what this returned for a data set around, without the first

    Raises UnreadableTextError for a term that is unknown, where there is no fallback.
    """
    codecs = _codecs(declared)
    if codecs[0] is not None and None not in codecs:
        return codecs[0], *fallback
    if not fallback:
        raise UnreadableTextError("the character set that it declares is unknown")
    return fallback[0], *fallback


@lru_cache(maxsize=256)
def _codecs(declared: bytes) -> tuple[str | None, ...]:
    """None for a term that is unknown. Hardly a site has more than a few values."""
    terms = [term.strip(" \0") for term in declared.decode("ascii", "replace").split("\\")]
    return tuple(codec_of(term) if term else "ascii" for term in terms)


def fallback_of(charset: str) -> tuple[str, ...]:
    """From `charset` of a peer, as `encodings` takes it; "" for none. Raises UnreadableTextError."""
    return encodings(charset.encode("ascii", "replace"))[:1] if charset else ()


def decode(value: bytes, by: Sequence[str]) -> str:
    """Text of an encoded value, code extensions included (PS3.5 6.1.2.5). Raises UnreadableTextError."""
    return read(value, by)[0]


def read(value: bytes, by: Sequence[str]) -> tuple[str, str]:
    """The text, and Python's name of the character set that it begins in. Raises UnreadableTextError."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(" \0"), by[0]
    for codec in by:
        if lookup(codec).name == "iso8859-1" and _is_utf8(value):
            continue
        try:
            return "".join(_fragment(piece, codec) for piece in _FRAGMENT.findall(value)).strip(" \0"), codec
        except UnicodeError:
            continue
    raise UnreadableTextError("text does not decode by the character set that it declares, nor by its peer's `charset`")


def _is_utf8(value: bytes) -> bool:
    try:
        return bool(value.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def words(name: str, patient_id: str) -> re.Pattern[str] | None:
    """What finds the parts of a Patient's Name and a Patient ID in other text, as it is and `folded`; None when they
    are too short. Names also as they are spelled without their accents, and with ue for ü.

    Parts of fewer than four characters would hit by chance: Li, Ray, MR. Two beside each other, in either order, do
    not, nor does one that is a whole value, and written as a name is: May, not MAY. Long ones are found run together
    too, and those of scripts without spaces in the middle of a text.
    """
    of_name = [part for part in re.split(r"[\^=\s,\\-]+", name) if part]
    parts = {form for part in of_name for form in (part, *spellings(part)) if len(form) >= _LEAST}
    parts |= {patient_id.strip()} if len(patient_id.strip()) >= _LEAST else set()
    found = {re.escape(part) for part in parts} | {form for two in pairwise(of_name) for form in _together(*two)}
    alone = {re.escape(part.title()) for part in of_name if 2 <= len(part) < _LEAST and part.isalpha()}
    found |= {rf"(?-i:(?:\A|(?<=\\))\s*{part}\s*(?=\\|\Z))" for part in alone}
    found |= {re.escape(run) for run in run_together(name)}
    forms = [r"(?<![^\W_])(?:" + "|".join(sorted(found)) + r")(?![^\W_])"] if found else []
    forms += sorted(set(unspaced(name)))
    return re.compile("|".join(forms), re.IGNORECASE) if forms else None


def _together(one: str, other: str) -> Iterator[str]:
    if min(len(one), len(other)) < 2 or len(one) + len(other) < _LEAST or max(len(one), len(other)) >= _LEAST:
        return
    for first, second in ((one, other), (folded(one), folded(other))):
        yield re.escape(first) + r"[\W_]+" + re.escape(second)
        yield re.escape(second) + r"[\W_]+" + re.escape(first)


def _fragment(piece: bytes, codec: str) -> str:
    """A stretch of text with at most one escape sequence, at its beginning; `codec` is what text begins in."""
    if not piece.startswith(b"\x1b"):
        return piece.decode(codec)
    length = 4 if piece[:3] in (b"\x1b$(", b"\x1b$)") else 3
    name = CODES_TO_ENCODINGS.get(piece[:length])
    if name is None:
        raise UnreadableTextError("text switches to a character set that the standard does not have")
    if name in _STRIPS_ITS_ESCAPE:
        return piece.decode(name)
    # A delimiter (backslash, caret, equals, line end) switches back to the first character set without an escape.
    ends = [at for at in (piece.find(mark, length) for mark in (b"\\", b"^", b"=", b"\r", b"\n")) if at > 0]
    end = min(ends, default=len(piece))
    try:
        return piece[length:end].decode(name) + piece[end:].decode(codec)
    except UnicodeDecodeError:
        return piece[length:].decode(name)  # Korean senders do not repeat the escape sequence after `^`
