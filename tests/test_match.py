from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.config import Members, Route
from node.match import Verdict, match
from node.model import UnitKind
from tests.config.headers import header, unit
from tests.config.steps import Drop

CT = unit(header(Modality="CT", StudyDescription="x"), header(Modality="CT"))
BLIND = unit(header(Modality="CT", StudyDescription=None))


def route(name: str, when: Any, **more: Any) -> Route:
    return Route(name=name, when=when, steps=(Drop(),), **more)


def judged(*routes: Route, members: Members = CT, kind: UnitKind = UnitKind.SERIES) -> dict[str, Verdict]:
    return {verdict.route: verdict for verdict in match(routes, members, kind=kind)}


def taken(*routes: Route, members: Members = CT, kind: UnitKind = UnitKind.SERIES) -> list[str]:
    return [name for name, verdict in judged(*routes, members=members, kind=kind).items() if verdict.matched]


def test_every_route_that_matches_runs_in_the_order_of_the_file() -> None:
    routes = (route("b", {"Modality": "CT"}), route("no", {"Modality": "MR"}), route("a", "always"))
    assert [v.route for v in match(routes, CT, kind=UnitKind.SERIES)] == ["b", "no", "a"]
    assert taken(*routes) == ["b", "a"]


def test_each_verdict_says_why() -> None:
    verdicts = judged(route("yes", {"Modality": "CT"}), route("no", {"Modality": "MR"}), route("all", "always"))
    assert verdicts["yes"].because == ("Modality is CT in 2 of 2 instances",)
    assert verdicts["no"].because == ("Modality: no instance is MR (found CT)",)
    assert verdicts["all"].because == ("takes everything",)


def test_stop_ends_the_search_only_when_its_route_matched() -> None:
    stop, other = route("stop", {"Modality": "CT"}, stop=True), route("other", "always")
    assert taken(stop, other) == ["stop"]
    assert judged(stop, other)["other"].because == ('not asked: "stop" took it and stops the search',)
    assert taken(route("stop", {"Modality": "MR"}, stop=True), other) == ["other"]


def test_otherwise_takes_what_no_other_route_took_wherever_it_stands() -> None:
    rest = route("rest", "otherwise")
    assert taken(rest, route("ct", {"Modality": "CT"})) == ["ct"]
    assert judged(rest, route("ct", {"Modality": "CT"}))["rest"].because == ("taken by ct",)
    assert taken(rest, route("mr", {"Modality": "MR"})) == ["rest"]
    assert taken(route("ct", {"Modality": "CT"}, stop=True), rest) == ["ct"]


def test_routes_on_other_units_neither_take_nor_stop() -> None:
    study = route("study", "always", unit="study", stop=True)
    verdicts = judged(study, route("rest", "otherwise"))
    assert verdicts["study"] == Verdict(route="study", matched=False, because=("works on studies",))
    assert verdicts["rest"].matched
    assert taken(study, route("rest", "otherwise"), kind=UnitKind.STUDY) == ["study"]


def test_what_cannot_be_decided_is_said_and_nothing_leans_on_it() -> None:
    blind = route("blind", {"StudyDescription": "*chest*"})
    verdicts = judged(blind, route("rest", "otherwise"), members=BLIND)
    assert verdicts["blind"].undecided
    assert not verdicts["blind"].matched
    assert verdicts["rest"].undecided
    assert "blind" in verdicts["rest"].because[0]


def test_an_otherwise_is_settled_by_any_match() -> None:
    verdicts = judged(
        route("blind", {"StudyDescription": "x"}),
        route("ct", {"Modality": "CT"}),
        route("rest", "otherwise"),
        members=BLIND,
    )
    assert (verdicts["rest"].matched, verdicts["rest"].undecided) == (False, False)


def test_a_route_behind_an_undecided_stop_is_undecided_too() -> None:
    verdicts = judged(
        route("blind", {"StudyDescription": "x"}, stop=True),
        route("ct", {"Modality": "CT"}),
        route("mr", {"Modality": "MR"}),
        members=BLIND,
    )
    assert verdicts["ct"].undecided
    assert '"blind" may or may not stop' in verdicts["ct"].because[0]
    assert (verdicts["mr"].matched, verdicts["mr"].undecided) == (False, False)


_whens = st.sampled_from([{"Modality": "CT"}, {"Modality": "MR"}, {"StudyDescription": "x"}, "always", "otherwise"])


@given(
    st.lists(st.tuples(_whens, st.booleans(), st.sampled_from(list(UnitKind))), max_size=6),
    st.sampled_from([CT, BLIND]),
)
def test_there_is_one_verdict_with_a_reason_per_route_and_otherwise_never_joins_another(
    rows: Any, members: Members
) -> None:
    routes = [route(f"r{i}", when, stop=stop, unit=kind) for i, (when, stop, kind) in enumerate(rows)]
    verdicts = match(routes, members, kind=UnitKind.SERIES)
    assert [v.route for v in verdicts] == [r.name for r in routes]
    assert all(v.because and not (v.matched and v.undecided) for v in verdicts)
    kinds = {str(r.when) == "otherwise" for r, v in zip(routes, verdicts, strict=True) if v.matched}
    assert len(kinds) <= 1
