"""Folded text -> tokens: letters, digits, UIDs, hexadecimal hashes, and each ideograph or syllable by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SINGLE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7a3"
TOKEN = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-z])"
    r"|(?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![0-9a-z])"
    r"|[0-9]+(?:\.[0-9]+){3,}|[0-2]\.[0-9]+\.[0-9]{9,}|[0-9]+|[a-z]+"
    rf"|[{_SINGLE}]|[^\W\d_a-z{_SINGLE}]+"
)  # fmt: skip
"""A hash is one token: a short number in the middle of it is there by chance. Scripts that write
no spaces give a token for each character: a name is then found in the middle of a sentence."""

_JOINS = re.compile(r"[ \-._/:,^#*+()@]{0,3}")


def joins(between: str) -> bool:
    """Whether two tokens with this between them may be parts of one identifier or name."""
    return _JOINS.fullmatch(between) is not None


def appended(key: str, token: str) -> str:
    """A key with one token more: without separators, and without the zeros that begin a number."""
    if token[0] == "0" and not key[-1:].isdigit():
        token = token.lstrip("0") or "0"
    return key + token


def key_of(tokens: Iterable[str]) -> str:
    """What tokens are looked up by: `MRN 00-123` and `mrn123` have one key."""
    key = ""
    for token in tokens:
        key = appended(key, token)
    return key
