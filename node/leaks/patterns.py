"""Names, identifiers, telephone numbers and institutions -> the keys that they are looked for by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

from node.leaks.fold import fold, spellings
from node.leaks.tokens import TOKEN, key_of
from node.leaks.what import What
from node.leaks.words import PLACEHOLDERS, counts_alone, ordinary

_LEAST_NUMBER, _LEAST_MIXED = 5, 5
"""Significant characters of an identifier that counts wherever it stands."""
_LEAST_OTHER = 6
"""The same of what belongs to the device, and of what people number from 1."""
_LEAST_PHONE = 6
ALL = -3
"""The part that is the whole of a name of one word, such as UCLA."""
_LEAST_WORD = 5
"""Letters of the word by which an institution is known wherever it stands."""
_WORDS, _LONG_PHRASE = 3, 16
"""Ordinary words, and their letters, that together are the name of an institution: Elsewhere Memorial Hospital."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a key means."""

    what: What
    owner: int
    """Whose: parts of one name, or words of one address, count together."""
    part: int
    alone: bool
    """It counts wherever it stands; otherwise beside another part, or in a place of its kind."""
    named: bool = False
    """A part of a person's name."""
    ordinary: bool = False
    split: bool = True
    """It may stand in several tokens."""


Keyed = Iterator[tuple[str, Pattern]]


def tokens_of(text: str) -> list[str]:
    return [found.group() for found in TOKEN.finditer(text)]


def of_name(what: What, name: str, owner: int) -> Keyed:
    """The parts of a PN value (PS3.5 6.2.1): components of all three groups, alone and run together.

    Titles, particles and names that stand for none give nothing.
    """
    for group in name.split("="):
        components = [component for component in re.split(r"[\^,;]", group) if component.strip(" \0")]
        parts = [part for component in components for part in _parts(component)]
        for number, part in enumerate(parts):
            yield from _one_part(what, part, owner, number)
        yield from _run_together(what, parts, owner)


def _parts(component: str) -> Iterator[str]:
    """A component, and where it has several words each of them."""
    words = [word for word in re.split(r"[\s\-./]+", component.strip(" \0")) if word]
    yield from words
    if len(words) > 1:
        yield component.strip(" \0")
    particles: list[str] = []
    for word in words:
        particles.append(word)
        if fold(word) not in PLACEHOLDERS:
            if 1 < len(particles) < len(words):
                yield " ".join(particles)  # `vanderaalst`
            particles = []


def _one_part(what: What, part: str, owner: int, number: int) -> Keyed:
    for spelling in spellings(part):
        tokens = tokens_of(spelling)
        key = key_of(tokens)
        if (
            not key
            or key.isdigit()
            or all(token in PLACEHOLDERS for token in tokens)
            or (len(key) == 1 and key.isascii())
        ):
            continue
        words = [token for token in tokens if token not in PLACEHOLDERS]
        known = all(ordinary(word) for word in words)
        alone = counts_alone(key) and not known if key.isalpha() else any(counts_alone(word) for word in words)
        # In scripts without spaces each character is a token, and a name always several.
        split = len(tokens) > 1 or "'" in part or "’" in part or "-" in part
        yield key, Pattern(what, owner, number, alone, named=True, ordinary=known, split=split)


def _run_together(what: What, parts: list[str], owner: int) -> Keyed:
    """`annamueller`, `amueller` and `muellera`, as in user names and file names."""
    latin = [[s for s in spellings(part) if s.isascii() and s.isalpha() and s not in PLACEHOLDERS] for part in parts]
    for (_, first), (_, second) in permutations(enumerate(latin[:4]), 2):
        for one, other in product(first, second):
            joined = [one + other] if len(one) > 1 and len(other) > 1 else []
            if counts_alone(one):
                joined += [one + other[0], other[0] + one]
            for key in joined:
                if len(key) > 5 and not ordinary(key):
                    yield key, Pattern(what, owner, -1, alone=True, named=True, split=False)


def of_identifier(what: What, value: str, owner: int) -> Keyed:
    """An identifier with and without separators, leading zeros and the letters before its number."""
    least = _LEAST_OTHER if what is What.DEVICE else _LEAST_NUMBER
    for piece in dict.fromkeys([value, *re.split(r"[\^&\\]", value)]):
        for spelling in spellings(piece):
            tokens = tokens_of(spelling)
            key = key_of(tokens)
            if _is_none(key) or (key.isalpha() and all(ordinary(token) for token in tokens)):
                continue
            letters = [token for token in tokens if token.isalpha()]
            counted = bool(letters) and all(len(w) > 2 and ordinary(w) for w in letters)  # `series001`
            yield key, Pattern(what, owner, 0, alone=_identifies(key, tokens, least), ordinary=counted)
            number = key.lstrip("abcdefghijklmnopqrstuvwxyz")
            if number != key and number.isdigit() and len(number.lstrip("0")) >= _LEAST_NUMBER and len(set(number)) > 1:
                yield key_of([number]), Pattern(what, owner, 0, alone=True)


def _is_none(key: str) -> bool:
    """Nothing, zeros, or `11111`, which people type where they must type something."""
    return not key.strip("0") or (len(key) > 2 and len(set(key)) == 1)


def _identifies(key: str, tokens: list[str], least: int) -> bool:
    if key.isdigit():
        return len(key) >= least
    if any(char.isdigit() for char in key):
        letters = [token for token in tokens if token.isalpha()]
        # `head2` and `series001` are no identifiers.
        short = bool(letters) and all(ordinary(word) for word in letters)
        short = short and sum(len(token) for token in tokens if token.isdigit()) < 4
        return len(key) >= max(least, _LEAST_MIXED) and not short
    return len(key) >= least and not all(ordinary(token) for token in tokens)


def of_phone(value: str, owner: int) -> Keyed:
    """A telephone number with and without country code and zeros; of an e-mail address all of it."""
    if "@" in value or "://" in value:
        key = key_of(tokens_of(fold(value)))
        if len(key) > _LEAST_PHONE:
            yield key, Pattern(What.CONTACT, owner, 0, alone=True)
        return
    digits = re.sub(r"\D", "", fold(value)).lstrip("0")
    for cut in (0, 1, 2, 3) if value.lstrip().startswith(("+", "00")) else (0,):
        key = digits[cut:].lstrip("0")
        if len(key) >= _LEAST_PHONE and len(set(key)) > 1:
            yield key, Pattern(What.CONTACT, owner, cut, alone=True)


def of_phrase(what: What, value: str, makes: Iterable[str], owner: int, *, known_by_a_word: bool = False) -> Keyed:
    """An institution or an address: each line of it as a whole, and its words.

    makes   folded words of the device's make: they stand in every header, and name no institution

    One word is enough for an institution (`Charité`) where it is no ordinary one, and of ordinary ones three in its
    own order; of a department or an address two
    side by side, since alone a street, a town or a speciality is a word like others.
    """
    known = frozenset(makes)
    for spelling in spellings(value):
        words = [word for word in tokens_of(spelling) if not word.isdigit() and word not in PLACEHOLDERS]
        for number, word in enumerate(dict.fromkeys(words)):
            common = ordinary(word) or word in known
            alone = known_by_a_word and not common and (len(word) >= _LEAST_WORD or not word.isascii())
            if len(word) > 1 or not word.isascii():
                yield word, Pattern(what, owner, number, alone, ordinary=common)
        if known_by_a_word and len(words) == 1:
            yield words[0], Pattern(what, owner, ALL, alone=False, ordinary=ordinary(words[0]) or words[0] in known)
        for line in re.split(r"[,;\n\r\\^]+", spelling):
            tokens = tokens_of(line)
            own = [token for token in tokens if not token.isdigit() and not ordinary(token) and token not in known]
            key = key_of(tokens)
            several = known_by_a_word and len({*tokens} - PLACEHOLDERS - known) >= _WORDS and len(key) >= _LONG_PHRASE
            if len(tokens) > 1 and ((own and len(key) >= 8) or several):
                yield key, Pattern(what, owner, -2, alone=True)
