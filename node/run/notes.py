"""Notes of a step, and the lines of history they become.

A step may be given its batch in parts, so how often it says something is no business of the reader: what the parts
say alike is one line, for all of them. Counts are kept apart from the text until then, or 24 instances in two parts
would read as `12 de-identified`.
"""

from __future__ import annotations

from collections.abc import Iterable

Note = tuple[str, tuple[int, ...]]
"""Text with a {} for each count, and the counts; a text without counts is taken as it is."""


def lines(notes: Iterable[Note]) -> list[str]:
    """One line for each text, in order of first mention: its counts added up, without counts how often it was said."""
    totals: dict[tuple[str, int], tuple[int, ...]] = {}
    for text, counts in notes:
        key, given = (text, len(counts)), counts or (1,)
        before = totals.get(key, (0,) * len(given))
        totals[key] = tuple(a + b for a, b in zip(before, given, strict=True))
    return [
        text.format(*total) if count else f"{text} ({total[0]} times)" if total[0] > 1 else text
        for (text, count), total in totals.items()
    ]
