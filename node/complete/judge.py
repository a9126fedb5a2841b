"""The decision for one unit at one moment.

Whatever the evidence, a unit is not closed while an instance is arriving for it or while something acknowledged is not
in the index yet, nor while a source says what is missing, until `at_most`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from node.complete.facts import Evidence, Facts, Missing
from node.complete.sources import LACKING, SOURCES, Source, counted, seconds

_SOON = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Wait:
    """Not complete. Judge again at `until` (database clock), or when something arrives."""

    until: datetime
    because: str


@dataclass(frozen=True, slots=True)
class Complete:
    evidence: Evidence
    missing: Missing | None = None
    """Closed all the same, because its time was over: `complete: incomplete` says what becomes of it."""


def judge(facts: Facts, sources: tuple[Source, ...] = SOURCES) -> Wait | Complete:
    """Decide for one unit at one moment."""
    still = _still(facts)
    missing = next((found for lacks in LACKING if (found := lacks(facts)) is not None), None)
    if not still and missing is None:
        for source in sources:
            evidence = source(facts)
            if evidence is not None:
                return Complete(evidence)
    if missing is not None:
        still.append(str(missing))
    deadline = facts.unit.first + facts.policy.at_most
    if facts.now >= deadline:
        pending = f" ({'; '.join(still)})" if still else ""
        text = f"{counted(facts.unit)}, {seconds(facts.policy.at_most)} after the first{pending}"
        return Complete(Evidence("at_most", text), missing)
    return Wait(
        min(_next(facts, bool(still), missing is not None), deadline), still[0] if still else "quiet time is not over"
    )


def _next(facts: Facts, still: bool, lacking: bool) -> datetime:
    """When time alone may change the verdict."""
    if lacking:
        # What is missing may belong to another unit, or be held: its arrival need not change this one.
        return facts.now + max(facts.policy.floor, _SOON)
    if still:
        return facts.now + _SOON
    quiet, floor = facts.unit.last + facts.policy.quiet, facts.unit.last + facts.policy.floor
    if facts.policy.evidence and facts.now < floor:
        return min(quiet, floor) if quiet > facts.now else floor
    return quiet if quiet > facts.now else facts.unit.first + facts.policy.at_most


def _still(facts: Facts) -> list[str]:
    """What says that more of this unit is on its way."""
    reasons = (
        (facts.receiving, "an instance for it is arriving"),
        (facts.unindexed, "a receiver has acknowledged instances that are not indexed yet"),
        (facts.unjudged, f"{facts.unjudged} with a known UID and other bytes are being compared"),
    )
    return [text for holds, text in reasons if holds]
