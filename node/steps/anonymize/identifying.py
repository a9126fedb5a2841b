"""The values in a data set that its texts are cleaned of: names, numbers and places, at every depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from node.steps.anonymize import text, vocabulary
from node.steps.anonymize.cleaning import Cleaner, cleaner_for
from node.steps.anonymize.header import CHARACTER_SET, Header
from node.steps.anonymize.known import ROLES, known
from node.steps.anonymize.plan import Plan

Found = tuple[int, Sequence[str], bytes]
"""(tag, encodings, encoded value)"""


def identifying(header: Header, encodings: Sequence[str]) -> Iterator[Found]:
    """The attributes in ROLES that have a value. Raises what finds the items of sequences does, and
    UnreadableTextError where a character set is unknown.

    encodings    of what the data set lies in
    """
    if CHARACTER_SET in header.tags:
        encodings = text.encodings(header.raw(CHARACTER_SET), encodings[1:])
    for tag in sorted(ROLES.keys() & header.tags):
        if value := header.raw(tag):
            yield tag, encodings, value
    for tag in header.sequences():
        for item in header.items(tag):
            yield from identifying(item, encodings)


def cleaner_of(header: Header, encodings: Sequence[str], plan: Plan) -> Cleaner:
    """What cleans the texts of a data set. Raises what `identifying` does, and UnreadableTextError where a value does
    not decode."""
    return _cleaner(tuple(identifying(header, encodings)), plan.options, plan.keep_words)


@lru_cache(maxsize=64)
def _cleaner(found: tuple[Found, ...], options: frozenset[str], keep_words: frozenset[str]) -> Cleaner:
    """The instances of a series have all of these in common."""
    return cleaner_for(
        known(((tag, text.decode(value, encodings)) for tag, encodings, value in found), options),
        vocabulary.with_words(keep_words),
        keep_dates="retain_long_full_dates" in options,
        keep_characteristics="retain_patient_characteristics" in options,
    )
