"""Text in a data set: which character set it is in, and how to read it all the same when that is wrong.

PS3.5 6.1 and PS3.3 C.12.1.1.2. Real senders leave (0008,0005) out, or write another set than they use;
an instance is never refused for that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

ESCAPE = 0x1B
"""Begins a sequence that switches the character set (ISO/IEC 2022)."""
_TERMS = {re.sub(r"[^A-Z0-9]", "", term.upper()): codec for term, codec in python_encoding.items() if term}
_TERMS |= {"UTF8": "utf-8", "LATIN1": "latin-1", "ISO88591": "latin-1", "ISO646": "ascii", "ASCII": "ascii"}
_TERMS |= {f"ISO8859{n}": f"iso8859-{n}" for n in range(2, 17) if n != 12}
# Python's codecs for these want the escape sequence. Their second bytes may be 0x5C, which is also the delimiter
# of values: split what was decoded, never the bytes.
_WHOLE_ESCAPES = frozenset({"iso2022_jp", "iso2022_jp_2"})
_RESET = re.compile(rb"[\\^=\r\n\t\f]")


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """How text of one data set or item is decoded."""

    codec: str | None
    """Python's name of the set that text begins in; None where the data set names none, or one unknown."""
    fallback: str | None = None
    """Python's name of the set this peer really uses, taken where `codec` is None or does not fit."""

    def decode(self, raw: bytes) -> tuple[str, bool]:
        """The text, and whether it was read as its data set says. Never raises.

        Tried in this order: the declared set, the peer's fallback, UTF-8 (which other text hardly ever is by
        chance), and the first of them with U+FFFD for what does not fit.
        """
        if raw.isascii() and ESCAPE not in raw:
            return raw.decode("ascii"), True
        for codec in (self.codec, self.fallback, "utf-8"):
            if codec is None:
                continue
            try:
                text = _decode(raw, codec)
            except UnicodeDecodeError:
                continue
            return unicodedata.normalize("NFC", text), codec == self.codec
        return raw.decode(self.codec or self.fallback or "latin-1", "replace"), False


def character_set(terms: Sequence[str], fallback: str | None = None) -> CharacterSet:
    """From the values of (0008,0005) and a peer's configured defined term.

    Only the first value matters here: it is what text begins in (an empty one is ISO_IR 6); the others
    announce escape sequences, which name their sets themselves. Spellings such as `ISO-IR 100` are understood.
    """
    own = None
    if terms and (terms[0] or len(terms) > 1):
        own = codec_of(terms[0]) if terms[0] else "ascii"
    return CharacterSet(own, codec_of(fallback) if fallback else None)


def known_term(term: str) -> bool:
    """Whether `charset: term` of a peer can be used."""
    return codec_of(term) is not None


def codec_of(term: str) -> str | None:
    """Python's name of the character set of a defined term, in whatever spelling; None for one unknown."""
    name = _TERMS.get(re.sub(r"[^A-Z0-9]", "", term.upper()))
    # pydicom reads ISO_IR 6 as Latin-1 so that nothing fails; here failing is what leads to the fallback.
    return "ascii" if name == "iso8859" else name


def _decode(raw: bytes, codec: str) -> str:
    if ESCAPE not in raw:
        return raw.decode(codec)
    return "".join(_decode_fragment(f, codec) for f in _split_at_escapes(raw))


def _split_at_escapes(raw: bytes) -> list[bytes]:
    first, *others = raw.split(b"\x1b")
    return [first, *(b"\x1b" + other for other in others)]


def _decode_fragment(fragment: bytes, codec: str) -> str:
    """One stretch of text with at most one escape sequence, at its beginning (PS3.5 6.1.2.5)."""
    if fragment[:1] != b"\x1b":
        return fragment.decode(codec)
    for length in (4, 3):
        escaped = CODES_TO_ENCODINGS.get(fragment[:length])
        if escaped is None:
            continue
        if escaped in _WHOLE_ESCAPES:
            return fragment.decode(escaped)
        if escaped == "iso8859":  # back to ASCII in G0; G1 stays what it was, in practice the first set
            return fragment[length:].decode(codec)
        # PS3.5 6.1.2.5.3: delimiters and control characters end what an escape sequence switched on.
        text = fragment[length:]
        reset = _RESET.search(text)
        own, rest = (text[: reset.end()], text[reset.end() :]) if reset else (text, b"")
        try:
            return own.decode(escaped) + rest.decode(codec)
        except UnicodeDecodeError:
            return text.decode(escaped)  # Korean senders do not repeat the escape sequence after `^`
    raise UnicodeDecodeError(codec, fragment, 0, 1, "unknown escape sequence")


def folded(identifier: str) -> str:
    """An identifier in the form in which two are compared: NFC, without padding, upper case.

    Systems pad and spell one patient's identifier in several ways; PS3.5 6.2 makes trailing spaces of LO mean nothing.
    """
    return unicodedata.normalize("NFC", identifier).strip().upper()
