"""The values in a data set that its texts are cleaned of: names, numbers and places, at every depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from node.dicom.levels import EXPLICIT
from node.steps.anonymize import text, vocabulary
from node.steps.anonymize.cleaning import Cleaner, cleaner_for
from node.steps.anonymize.header import CHARACTER_SET, Header
from node.steps.anonymize.known import ROLES, known
from node.steps.anonymize.plan import Plan
from node.steps.anonymize.source import Source

Found = tuple[int, Sequence[str], bytes]
"""(tag, encodings, encoded value)"""
Within = Callable[[Header, int, Sequence[str]], Iterable[Found]]
"""What is found in a sequence of a header: its tag, and the encodings of what it lies in."""

_LONGEST, _MOST = 4096, 512
"""Bytes of a sequence that is remembered, and how many are."""


def _within(header: Header, tag: int, encodings: Sequence[str]) -> Iterator[Found]:
    for item in header.items(tag):
        yield from identifying(item, encodings)


def identifying(header: Header, encodings: Sequence[str], within: Within = _within) -> Iterator[Found]:
    """The attributes in ROLES that have a value. Raises what finds the items of sequences does, and
    UnreadableTextError where a character set is unknown.

    encodings    of what the data set lies in
    within       asked for each sequence of `header` itself
    """
    if CHARACTER_SET in header.tags:
        encodings = text.encodings(header.raw(CHARACTER_SET), encodings[1:])
    for tag in sorted(ROLES.keys() & header.tags):
        if value := header.raw(tag):
            yield tag, encodings, value
    for tag in header.sequences():
        yield from within(header, tag, encodings)


class Sequences:
    """What was found in sequences, by their bytes: what is found depends on those, on how they are laid out, and on the
    encodings of what they lie in. Kept for one run of the step: it holds values of patients."""

    def __init__(self) -> None:
        self.known: dict[tuple[bytes, bool, tuple[str, ...]], tuple[Found, ...]] = {}

    def of(self, source: Source) -> Within:
        """For the sequences at the top of a data set."""

        def within(header: Header, tag: int, encodings: Sequence[str]) -> Iterable[Found]:
            header.vr(tag)  # one that notes what is looked at (answers.Noted) does not see the bytes read below
            each = source.top[tag]
            if each[4] - each[2] > _LONGEST:
                return _within(header, tag, encodings)
            key = (bytes(source.data[each[2] : each[4]]), source.parse is EXPLICIT, tuple(encodings))
            found = self.known.get(key)
            if found is None:
                if len(self.known) >= _MOST:
                    self.known.clear()
                found = self.known[key] = tuple(_within(header, tag, encodings))
            return found

        return within


def cleaner_of(header: Header, encodings: Sequence[str], plan: Plan, within: Within = _within) -> Cleaner:
    """What cleans the texts of a data set. Raises what `identifying` does, and UnreadableTextError where a value does
    not decode."""
    return _cleaner(tuple(identifying(header, encodings, within)), plan.options, plan.keep_words)


@lru_cache(maxsize=64)
def _cleaner(found: tuple[Found, ...], options: frozenset[str], keep_words: frozenset[str]) -> Cleaner:
    """The instances of a series have all of these in common."""
    return cleaner_for(
        known(((tag, text.decode(value, encodings)) for tag, encodings, value in found), options),
        vocabulary.with_words(keep_words),
        keep_dates="retain_long_full_dates" in options,
        keep_characteristics="retain_patient_characteristics" in options,
    )
