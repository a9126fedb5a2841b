"""When a source is asked next what it has of a study. Pure; seconds of the database clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEASE = 600.0
"""After so long a process that asked and noted no answer is taken to be dead, where nothing says whether it lives."""
_FAILED_FIRST, _FAILED_MOST = 10.0, 600.0
_MOST = 300.0
"""Longest pause between two answers, for a unit that stays incomplete for hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One time that it was asked."""

    at: float
    answered: bool
    failed: bool
    left: bool = False
    """Nobody waits for its answer any more: its process died, or could not note what came of it."""


def next_question(last: float, floor: float, past: Sequence[Past], quiet: float | None = None) -> float:
    """When to ask, which may be in the past.

    last    when the latest instance came
    floor   how long it must be quiet before; also the pause between the first two answers, which have to be equal
    past    earlier questions, oldest first
    quiet   when the quiet time is over, where missing instances are pulled then: what is missing is looked at anew
    """
    if not past:
        return last + floor
    latest = past[-1]
    if not (latest.answered or latest.failed or latest.left):
        return latest.at + LEASE
    if not latest.answered:
        failures = next((n for n, one in enumerate(reversed(past)) if one.answered), len(past))
        pause = min(_FAILED_FIRST * (1 << min(failures - 1, 20)), _FAILED_MOST)
        # What was left says nothing of the source. Not without end: it may be what processes die of.
        return max(last + floor, latest.at + (0.0 if latest.left and failures == 1 else pause))
    # What was answered before the latest instance came says nothing any more.
    since = sum(1 for one in past if one.answered and one.at >= last)
    if not since:
        return max(last + floor, latest.at)
    due = latest.at + min(floor * (1 << min(since - 1, 20)), max(floor, _MOST))
    if quiet is not None and latest.at < quiet:
        return min(due, max(quiet, latest.at + floor))
    return due
