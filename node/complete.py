"""Is this unit complete, and why? Pure: no clock, no database, no thread.

There is no end-of-study signal in C-STORE. So completeness is judged from evidence, and the evidence is
kept: `explain` shows what closed a unit. A source of evidence is a function from `Facts` to an `Evidence`
or None; a new one is added to `SOURCES` and nowhere else. Whatever the evidence, a unit is not closed while
an instance is arriving for it or while something acknowledged is not in the index yet, until `at_most`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.model import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a unit counts as complete, for its kind and the peers that sent it."""

    quiet: timedelta
    """No instance for so long."""
    at_most: timedelta
    """Closed so long after its first instance, whatever still goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of an open unit at one moment."""

    unit: Unit
    policy: Policy
    now: datetime
    """Database clock, as `unit.first` and `unit.last`."""
    receiving: bool
    """An association or folder is in the middle of an instance for this unit."""
    unindexed: bool
    """A live receiver acknowledged instances that are not in the index; they may belong here."""
    unjudged: int
    """Instances of this unit with a SOP Instance UID that came before with other bytes, not yet compared."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a unit is complete."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not complete. Judge again at `until` (database clock), or when something arrives."""

    until: datetime
    because: str


@dataclass(frozen=True, slots=True)
class Complete:
    evidence: Evidence


Source = Callable[[Facts], Evidence | None]


def quiet_time(facts: Facts) -> Evidence | None:
    """No instance for the policy's quiet time."""
    quiet = facts.now - facts.unit.last
    if quiet < facts.policy.quiet:
        return None
    return Evidence("quiet", f"{_count(facts.unit)}, quiet for {_seconds(facts.policy.quiet)}")


SOURCES: tuple[Source, ...] = (quiet_time,)
"""Asked in order; the first that answers closes the unit."""


def judge(facts: Facts, sources: tuple[Source, ...] = SOURCES) -> Wait | Complete:
    """Decide for one unit at one moment."""
    deadline = facts.unit.first + facts.policy.at_most
    if facts.now >= deadline:
        return Complete(
            Evidence("at_most", f"{_count(facts.unit)}, {_seconds(facts.policy.at_most)} after the first{_open(facts)}")
        )
    soon = min(facts.now + timedelta(seconds=1), deadline)
    if facts.receiving:
        return Wait(soon, "an instance for it is arriving")
    if facts.unindexed:
        return Wait(soon, "a receiver has acknowledged instances that are not indexed yet")
    if facts.unjudged:
        return Wait(soon, f"{facts.unjudged} instances with a known UID and other bytes are being compared")
    for source in sources:
        evidence = source(facts)
        if evidence is not None:
            return Complete(evidence)
    return Wait(min(facts.unit.last + facts.policy.quiet, deadline), "quiet time is not over")


def _count(unit: Unit) -> str:
    return f"{unit.count} instance" + ("" if unit.count == 1 else "s")


def _open(facts: Facts) -> str:
    still = [text for on, text in ((facts.receiving, "still receiving"), (facts.unindexed, "not all indexed")) if on]
    return f" ({', '.join(still)})" if still else ""


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
