"""All that identifies one patient as one automaton over tokens, and what of it a text says.

A state is the key of the tokens read so far. A text is read once: at each token the automaton begins anew, and goes on
as long as the key begins some pattern, which is a few tokens at most; so the time does not depend on how many values
are looked for. Short and ordinary words are found as well, and count together with another part of the same name or
address, or where nothing but a name stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from node.leaks.collect import Collected
from node.leaks.dates import Date, dates_in
from node.leaks.fold import fold
from node.leaks.kept import Kept
from node.leaks.patterns import ALL, Pattern, of_identifier, of_name, of_phone, of_phrase
from node.leaks.tokens import TOKEN, appended, joins
from node.leaks.what import Place, What
from node.leaks.words import LEAST

STANDARD_ROOT = "1.2.840.10008."
_LONG_RUN = 8
"""Digits of an identifier that is found in the middle of a longer number."""
_LONG_UID = 20
"""Characters of a UID that is found at the beginning of a longer one."""
_LONGEST_UID = 128
_LEAST_IN_BYTES = 6
_LEAST_BESIDE = 3
"""Characters of an identifier that counts beside a part of a name, behind a label, and as the whole of a text."""
_LABELS = frozenset({"id", "mrn", "pid", "pat", "patid", "patient", "patientid", "pt", "subject"})
"""Words behind which an identifier stands."""
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class _Found:
    pattern: Pattern
    key: str
    first: int
    last: int
    """Numbers of its first and last token."""
    length: int
    """Characters as they stand, zeros and separators included."""


class Automaton:
    """Looks for the values of one patient. Remembers texts that said nothing: instances of a series share most."""

    def __init__(self, collected: Collected, kept: Kept) -> None:
        self._uids = frozenset() if What.UID in kept.whats else collected.uids
        self._dates: dict[Date, What] = {date: what for what, date in sorted(collected.dates) if what not in kept.whats}
        if What.DATE in kept.whats:  # the birth date of a newborn is the date of the study too
            for what, date in collected.dates:
                if what is What.DATE:
                    self._dates.pop(date, None)
        self._patterns: dict[str, list[Pattern]] = defaultdict(list)
        for key, pattern in _patterns(collected):
            if pattern.what not in kept.whats:
                self._patterns[key].append(pattern)
        self._begins = frozenset(key[:end] for key in self._patterns for end in range(1, len(key) + 1))
        self._long = {
            key: patterns[0].what
            for key, patterns in self._patterns.items()
            if key.isdigit() and len(key) >= _LONG_RUN and any(p.alone for p in patterns)
        }
        self._lengths = sorted({len(key) for key in self._long})
        self._clean: set[tuple[str, Place]] = set()

    def search(self, text: str, place: Place = Place.TEXT) -> frozenset[What]:
        """What a text says of the patient; nothing most of the time."""
        if (text, place) in self._clean:
            return frozenset()
        found = frozenset(self._search(fold(text), place))
        if not found and len(text) < 256:
            if len(self._clean) >= _REMEMBERED:
                self._clean.clear()
            self._clean.add((text, place))
        return found

    def _search(self, text: str, place: Place) -> Iterator[What]:
        if place is Place.UID:
            yield from self._uid(text.strip(" \0"))
            return
        for date in dates_in(text, place):
            if date in self._dates:
                yield self._dates[date]
        if place is Place.NUMBER and not any(c.isalpha() and c not in "edwmy" for c in text):
            # A number that equals an identifier is a number, but for one as long as an accession number.
            if len(text) >= _LEAST_IN_BYTES and text.isdigit():
                yield from (p.what for p in self._patterns.get(text.lstrip("0"), ()) if p.alone)
            return
        tokens = [(m.group(), m.start(), m.end()) for m in TOKEN.finditer(text)]
        found = list(self._walk(text, tokens))
        yield from self._alone(found, place)
        yield from self._together(found, [token for token, _, _ in tokens], place)
        for token, _, _ in tokens:
            if "." in token:
                yield from self._uid(token)
            elif len(token) > _LONG_RUN and token.isdigit():
                yield from self._within(token)

    def _walk(self, text: str, tokens: list[tuple[str, int, int]]) -> Iterator[_Found]:
        """Every pattern, from each token on."""
        begins, patterns = self._begins, self._patterns
        for first, (token, start, end) in enumerate(tokens):
            key, last = appended("", token), first
            while key in begins:
                if key in patterns and not _in_a_number(text, key, start, end):
                    glued = len(key) < LEAST and _glued(text, start, end)
                    for pattern in patterns[key]:
                        if (last == first or pattern.split) and not (pattern.named and glued):
                            yield _Found(pattern, key, first, last, end - start)
                last += 1
                if last >= len(tokens) or not joins(text[end : tokens[last][1]]):
                    break
                key, end = appended(key, tokens[last][0]), tokens[last][2]

    def _alone(self, found: Iterable[_Found], place: Place) -> Iterator[What]:
        least = _LEAST_IN_BYTES if place is Place.BYTES else 0
        for one in found:
            if (one.pattern.alone and one.length >= least) or (one.pattern.named and place is Place.PERSON):
                yield one.pattern.what

    def _together(self, found: list[_Found], tokens: list[str], place: Place) -> Iterator[What]:
        """Parts that count beside others only; and a short identifier that is all there is."""
        if place is Place.BYTES:
            return
        weak = [one for one in found if not one.pattern.alone]
        named = any(one.pattern.named and len(one.key) > 1 for one in found)
        following: dict[int, list[_Found]] = defaultdict(list)
        for one in weak:
            following[one.first].append(one)
        for one in weak:
            pattern, whole = one.pattern, one.first == 0 and one.last == len(tokens) - 1
            if not pattern.named and pattern.what in (What.ID, What.DEVICE):
                # `HEAD 1` is no Mr Head whose study is number 1.
                if (whole and place is Place.IDENTIFIER) or (named and len(one.key) >= _LEAST_BESIDE):
                    yield pattern.what
                elif place is Place.TEXT and _is_short_id(one) and (whole or _is_labelled(one, tokens)):
                    yield pattern.what  # all that a text says, or said to be an identifier: `A12`, `patient 123`
                continue
            if whole and (pattern.named or pattern.part == ALL) and not pattern.ordinary and len(one.key) > 2:
                yield pattern.what
            for other in following.get(one.last + 1, ()):
                if _of_one(one, other) and (pattern.named or not (pattern.ordinary and other.pattern.ordinary)):
                    yield pattern.what

    def _uid(self, uid: str) -> Iterator[What]:
        if uid in self._uids:
            yield What.UID
            return
        if uid.startswith((STANDARD_ROOT, "2.25.")):
            return
        shorter = uid[:_LONGEST_UID]
        while (cut := shorter.rfind(".")) >= _LONG_UID:
            shorter = shorter[:cut]
            if shorter in self._uids:
                yield What.UID
        for component in uid.split("."):
            if len(component) >= _LEAST_IN_BYTES and component.isdigit():
                yield from (p.what for p in self._patterns.get(component.lstrip("0"), ()) if p.alone)
                yield from (self._dates[d] for d in dates_in(component, Place.DATE) if d in self._dates)

    def _within(self, run: str) -> Iterator[What]:
        """Long identifiers in the middle of a longer number."""
        for length in self._lengths:
            for begin in range(len(run) - length + 1):
                what = self._long.get(run[begin : begin + length])
                if what is not None:
                    yield what


def _patterns(collected: Collected) -> Iterator[tuple[str, Pattern]]:
    owners = count()
    for what, value in sorted(collected.names):
        yield from of_name(what, value, next(owners))
    for what, value in sorted(collected.identifiers):
        yield from of_identifier(what, value, next(owners))
    for value in sorted(collected.phones):
        yield from of_phone(value, next(owners))
    for what, value in sorted(collected.phrases):
        known = what is What.INSTITUTION
        yield from of_phrase(what, value, collected.makes, next(owners), known_by_a_word=known)
    for value in sorted(collected.departments):
        yield from of_phrase(What.INSTITUTION, value, collected.makes, next(owners))


def _is_short_id(one: _Found) -> bool:
    return one.pattern.what is What.ID and not one.pattern.ordinary and len(one.key) >= _LEAST_BESIDE


def _is_labelled(one: _Found, tokens: Sequence[str]) -> bool:
    return one.first > 0 and tokens[one.first - 1] in _LABELS


def _of_one(one: _Found, other: _Found) -> bool:
    """Two different parts of one name or address."""
    mine, others = one.pattern, other.pattern
    return mine.owner == others.owner and mine.part != others.part and one.key != other.key


def _glued(text: str, start: int, end: int) -> bool:
    """Whether digits touch letters: the `ed` of `48ed20` is no Ed."""
    return text[start - 1 : start].isdigit() or text[end : end + 1].isdigit()


def _in_a_number(text: str, key: str, start: int, end: int) -> bool:
    """Whether digits are a part of a decimal number."""
    if not key.isdigit():
        return False
    before, behind = text[max(start - 2, 0) : start], text[end : end + 2]
    return (before[-1:] == "." and before[:1].isdigit()) or (behind[:1] == "." and behind[1:].isdigit())
