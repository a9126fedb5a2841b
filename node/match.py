"""Which routes take a unit, and why each does or does not. Pure.

Every route that matches runs; `stop: true` on one that matched ends the search. `always` takes everything,
`otherwise` what no other route took, wherever it stands in the list.

A unit is a study, a series or an instance, and the same instance is part of one of each. A route sees only units
of its own kind, so each kind is searched on its own: `stop` and `otherwise` of routes on series know nothing of
routes on studies, which are decided later, when the study is complete. (Load refuses an `otherwise` that has
only routes of other kinds beside it.)

A condition on a value that the header does not keep cannot be decided (see node/config/conditions.py). Such a route
is `undecided`, and so is what depends on it: the routes after it when it would stop the search, and an
`otherwise` that no match has settled. Whoever acts on the verdicts holds a unit with an undecided one: to guess
could send what should have been dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.config.conditions import Members, Otherwise
from node.config.schema import Route
from node.model import UnitKind

_PLURAL = {UnitKind.STUDY: "studies", UnitKind.SERIES: "series", UnitKind.INSTANCE: "instances"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one route says about one unit."""

    route: str
    matched: bool
    because: tuple[str, ...]
    """Lines for `explain`, without patient data."""
    undecided: bool = False
    """It cannot be told whether the route matches; `matched` is False."""


def match(routes: Sequence[Route], members: Members, *, kind: UnitKind) -> tuple[Verdict, ...]:
    """One verdict per route, in the order of `routes`, for a unit of this kind.

    members  (header, origin) of each instance of the unit, in any order
    """
    verdicts: dict[int, Verdict] = {}
    last_resort: list[int] = []
    stopped_by = blurred_by = ""
    for place, route in enumerate(routes):
        if route.unit is not kind:
            verdicts[place] = _no(route, f"works on {_PLURAL[route.unit]}")
        elif isinstance(route.when, Otherwise):
            last_resort.append(place)
        elif stopped_by:
            verdicts[place] = _no(route, f'not asked: "{stopped_by}" took it and stops the search')
        else:
            verdict = _judged(route, members, blurred_by)
            verdicts[place] = verdict
            if route.stop and verdict.matched:
                stopped_by = route.name
            elif route.stop and verdict.undecided:
                blurred_by = blurred_by or route.name
    for place in last_resort:
        verdicts[place] = _otherwise(routes[place], list(verdicts.values()))
    return tuple(verdicts[place] for place in range(len(routes)))


def _judged(route: Route, members: Members, blurred_by: str) -> Verdict:
    finding = route.condition.holds(members)
    if finding.truth and blurred_by:
        reason = f'"{blurred_by}" may or may not stop the search before'
        return Verdict(route=route.name, matched=False, because=(reason, *finding.because), undecided=True)
    return Verdict(
        route=route.name, matched=finding.truth is True, because=finding.because, undecided=finding.truth is None
    )


def _otherwise(route: Route, others: Sequence[Verdict]) -> Verdict:
    taken = [verdict.route for verdict in others if verdict.matched]
    unclear = [verdict.route for verdict in others if verdict.undecided]
    if taken:
        return _no(route, f"taken by {', '.join(taken)}")
    if unclear:
        reason = f"cannot tell whether another route takes it: {', '.join(unclear)}"
        return Verdict(route=route.name, matched=False, because=(reason,), undecided=True)
    return Verdict(route=route.name, matched=True, because=("no other route took it",))


def _no(route: Route, reason: str) -> Verdict:
    return Verdict(route=route.name, matched=False, because=(reason,))
