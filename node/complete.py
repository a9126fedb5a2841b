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

from node.model import Unit, UnitKind


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


def alone(facts: Facts) -> Evidence | None:
    """A unit that is one instance has nothing to wait for."""
    return Evidence("instance", "it is one instance") if facts.unit.kind is UnitKind.INSTANCE else None


SOURCES: tuple[Source, ...] = (alone, quiet_time)
"""Asked in order; the first that answers closes the unit."""


def judge(facts: Facts, sources: tuple[Source, ...] = SOURCES) -> Wait | Complete:
    """Decide for one unit at one moment."""
    still = _still(facts)
    if not still:
        for source in sources:
            evidence = source(facts)
            if evidence is not None:
                return Complete(evidence)
    deadline = facts.unit.first + facts.policy.at_most
    if facts.now >= deadline:
        pending = f" ({', '.join(still)})" if still else ""
        text = f"{_count(facts.unit)}, {_seconds(facts.policy.at_most)} after the first{pending}"
        return Complete(Evidence("at_most", text))
    if still:
        return Wait(min(facts.now + timedelta(seconds=1), deadline), still[0])
    return Wait(min(facts.unit.last + facts.policy.quiet, deadline), "quiet time is not over")


def _still(facts: Facts) -> list[str]:
    """What says that more of this unit is on its way."""
    reasons = (
        (facts.receiving, "an instance for it is arriving"),
        (facts.unindexed, "a receiver has acknowledged instances that are not indexed yet"),
        (facts.unjudged, f"{facts.unjudged} with a known UID and other bytes are being compared"),
    )
    return [text for holds, text in reasons if holds]


def _count(unit: Unit) -> str:
    return f"{unit.count} instance" + ("" if unit.count == 1 else "s")


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
