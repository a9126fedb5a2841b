"""The words that cleaning leaves: clinical and protocol words in several languages, and those of PS3.6 and PS3.16.

`vocabulary.txt` was made from the names of PS3.6 and the code meanings of PS3.16 as pydicom has them, without animal
breeds, without what the US census knows for a name unless it is a plain word too, and without months, and from lists
of our own. A person's name that is a word here is removed all the same where the data set names that person.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files

_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
"""Letters that Unicode does not take apart into a plain one and an accent."""


MARKS = "\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f"
"""Accents that stand as characters of their own, for a class in a regular expression: part of the word before."""


@lru_cache(maxsize=4096)
def plain(character: str) -> str:
    """A character in lower case without accents; "" for an accent alone."""
    parts = unicodedata.normalize("NFKD", character.casefold())
    return "".join(_LETTERS.get(part, part) for part in parts if not unicodedata.combining(part))


def folded(text: str) -> str:
    """A text in lower case without accents: what words are compared as."""
    return "".join(map(plain, text))


@cache
def shipped() -> frozenset[str]:
    """The words of `vocabulary.txt`."""
    text = files("node.steps.anonymize").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=32)
def with_words(own: frozenset[str]) -> frozenset[str]:
    """The shipped words and a site's own."""
    return shipped() | frozenset(map(folded, own))


def unusable(own: Iterable[str]) -> tuple[str, ...]:
    """What is wrong with a site's own words, a sentence each: each is one word, of letters and digits."""
    return tuple(
        f'"{word}" in keep_words is no single word of letters and digits' for word in own if not folded(word).isalnum()
    )
