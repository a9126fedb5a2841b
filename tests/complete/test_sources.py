"""Each source of evidence: what it takes as complete, what it knows to be missing, and when it says nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.complete import LACKING, Complete, Facts, HeaderCount, Policy, Reading, Statement, Wait, judge
from node.model import UID, UnitKind
from tests.complete.test_judge import NOON, unit

ALL = frozenset({"commitment", "mpps", "find", "header"})
QUIET, FLOOR = 60.0, 5.0
A, B, OTHER = "1.2.1", "1.2.2", "1.9"
"""Two series of the study, and a UID of none."""


def three(*more: str) -> frozenset[str]:
    return frozenset({"i1", "i2", "i3", *more})


def facts(now: float = 10 + FLOOR, *, kind: UnitKind = UnitKind.SERIES, **changes: object) -> Facts:
    """A unit of three instances, the last of which came at second 10; it is quiet at second 70."""
    made = Facts(
        unit=replace(unit(last=10, kind=kind), uid=UID(A if kind is UnitKind.SERIES else "1.2")),
        policy=Policy(quiet=timedelta(seconds=QUIET), at_most=timedelta(hours=1), evidence=ALL),
        now=NOON + timedelta(seconds=now), receiving=False, unindexed=False, unjudged=0, arrived={A: three()},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # a test names the fields


def by(found: Wait | Complete) -> str:
    """The source that closed it, or `wait`."""
    return found.evidence.source if isinstance(found, Complete) else "wait"


def request(*listed: str, absent: tuple[str, ...] = ()) -> Statement:
    every = frozenset({*listed, *absent})
    return Statement(source="commitment", peer="CT1", count=len(every), listed=every, absent=frozenset(absent))


def step(series: str = A, *listed: str, absent: tuple[str, ...] = ()) -> Statement:
    return replace(request(*listed, absent=absent), source="mpps", series=series)


def reading(at: float, *, peer: str = "CT1", study: int | None = None, **series: int | None) -> Reading:
    """Counts of series a, b, ... at a second after noon."""
    names = {"a": A, "b": B, "other": OTHER}
    return Reading(
        peer=peer, at=NOON + timedelta(seconds=at), study=study, series={names[n]: c for n, c in series.items()}
    )


# ---- storage commitment ------------------------------------------------------------------------------------


def test_a_request_that_lists_what_came_and_nothing_else_completes() -> None:
    found = judge(facts(statements=(request("i1", "i2", "i3"),)))
    assert by(found) == "commitment"
    assert isinstance(found, Complete)
    assert found.evidence.text == "3 instances, all that CT1 asked commitment of"


def test_several_requests_may_list_it_together() -> None:
    assert by(judge(facts(statements=(request("i1"), request("i2", "i3"))))) == "commitment"


def test_an_instance_that_no_request_lists_waits_for_its_quiet_time() -> None:
    assert by(judge(facts(statements=(request("i1", "i2"),)))) == "wait"
    assert by(judge(facts(70, statements=(request("i1", "i2"),)))) == "quiet"


def test_what_a_request_lists_of_any_series_must_have_come() -> None:
    lists_more = facts(1000, statements=(request("i1", "i2", "i3", absent=("x2", "x1")),))
    found = judge(lists_more)
    assert isinstance(found, Wait)
    assert found.because == "2 missing, CT1 asked storage commitment of more than it sent: x1, x2"
    assert found.until == lists_more.now + timedelta(seconds=FLOOR), "it may come as another unit's"


# ---- MPPS --------------------------------------------------------------------------------------------------


def test_a_procedure_step_that_made_what_came_completes() -> None:
    assert by(judge(facts(statements=(step(A, "i1", "i2", "i3"),)))) == "mpps"
    assert by(judge(facts(statements=(step(A, "i1"), step(A, "i2", "i3"))))) == "mpps"


def test_steps_that_list_the_same_instance_are_not_added_up() -> None:
    assert by(judge(facts(statements=(step(A, "i1", "i2"), step(A, "i2", "i3"))))) == "mpps"
    assert by(judge(facts(statements=(step(A, "i1"), step(A, "i1", "i2"))))) == "wait", "as many, and not all of them"


def test_a_series_that_no_step_made_waits() -> None:
    assert by(judge(facts(statements=(step(B, "i1", "i2", "i3"),)))) == "wait"


def test_another_step_in_progress_keeps_mpps_from_closing_anything() -> None:
    assert by(judge(facts(statements=(step(A, "i1", "i2", "i3"),), performing=True))) == "wait"


def test_a_study_needs_every_series() -> None:
    study = facts(kind=UnitKind.STUDY, arrived={A: three(), B: frozenset({"j1"})})
    both = (step(A, "i1", "i2", "i3"), step(B, "j1"))
    assert by(judge(replace(study, statements=both))) == "mpps"
    assert by(judge(replace(study, statements=both[:1]))) == "wait"
    assert "1 missing" in str(judge(replace(study, statements=(*both, step(OTHER, absent=("k1",))))))


def test_a_step_may_give_a_number_alone() -> None:
    alone = Statement(source="mpps", peer="CT1", series=A, count=3, listed=None)
    assert by(judge(facts(statements=(alone,)))) == "mpps"
    assert "2 missing" in str(judge(facts(statements=(replace(alone, count=5),))))
    assert by(judge(facts(statements=(replace(alone, count=2),)))) == "wait"


# ---- C-FIND ------------------------------------------------------------------------------------------------


def test_two_equal_counts_after_the_last_instance_complete() -> None:
    found = judge(facts(20, readings=(reading(15, a=3), reading(20, a=3))))
    assert isinstance(found, Complete)
    assert (found.evidence.source, found.evidence.text) == (
        "find",
        "3 instances, as many as CT1 counted twice (C-FIND)",
    )


def test_a_series_does_not_wait_for_another_one_that_grows_at_its_source_and_the_study_does() -> None:
    grows = (reading(15, a=3, b=0), reading(20, a=3, b=0), reading(25, a=3, b=1))
    assert by(judge(facts(30, readings=grows))) == "find"
    study = facts(30, kind=UnitKind.STUDY, arrived={A: three(), B: frozenset({"j1"})})
    assert by(judge(replace(study, readings=grows))) == "wait"


@pytest.mark.parametrize(
    "readings",
    [
        (reading(15, a=3),),
        (reading(15, a=2), reading(20, a=3)),
        (reading(9, a=3), reading(20, a=3)),
        (reading(15, a=2), reading(20, a=2)),
        (reading(15, b=3), reading(20, b=3)),
        (reading(15, a=None), reading(20, a=None)),
        (reading(15), reading(20)),
    ],
    ids=["once", "grows", "before the last instance", "fewer", "another series", "none", "unknown"],
)  # fmt: skip
def test_other_counts_leave_it_to_quiet_time(readings: tuple[Reading, ...]) -> None:
    assert by(judge(facts(20, readings=readings))) == "wait"
    assert by(judge(facts(70, readings=readings))) == "quiet"


def test_the_latest_count_alone_keeps_it_open_past_its_quiet_time() -> None:
    found = judge(facts(100, readings=(reading(5, a=9), reading(9, a=5))))
    assert isinstance(found, Wait)
    assert found.because == "2 missing, CT1 has more (C-FIND)"


def test_instances_that_the_source_lists_are_named() -> None:
    listed = frozenset({"i1", "i2", "i3", "m4", "m3", "m2", "m1"})
    found = judge(facts(100, readings=(replace(reading(20, a=7), instances={A: listed}),)))
    assert isinstance(found, Wait)
    assert found.because == "4 missing, CT1 has more (C-FIND): m1, m2, m3 and 1 more"


def test_as_many_as_it_counts_but_not_the_same_is_incomplete() -> None:
    found = judge(facts(100, readings=(replace(reading(20, a=3), instances={A: frozenset({"i1", "i2", "m1"})}),)))
    assert "1 missing" in str(found)


def test_every_source_that_is_asked_must_have_said_it_twice() -> None:
    one = (reading(15, a=3), reading(20, a=3))
    assert by(judge(facts(30, readings=(*one, reading(22, peer="CT2", b=1))))) == "wait"
    assert by(judge(facts(30, readings=(*one, reading(22, peer="CT2"), reading(27, peer="CT2"))))) == "find"
    assert by(judge(facts(30, readings=one, asked=frozenset({"CT1", "CT2"})))) == "wait", "CT2 did not answer"


def test_what_a_source_says_of_the_study_does_not_keep_a_series_open() -> None:
    assert by(judge(facts(readings=(reading(11, study=9, a=3, b=4), reading(12, study=9, a=3, b=4))))) == "find"


def test_a_study_is_complete_with_every_series_the_source_knows() -> None:
    study = facts(30, kind=UnitKind.STUDY, arrived={A: three(), B: frozenset({"j1"})})

    def said(**counts: int | None) -> tuple[Reading, ...]:
        return reading(20, **counts), reading(25, **counts)  # type: ignore[arg-type]  # the study's is named too

    assert by(judge(replace(study, readings=said(study=4, a=3, b=1)))) == "find"
    assert by(judge(replace(study, readings=said(a=3, b=1)))) == "find"
    assert by(judge(replace(study, readings=said(study=5, a=3, b=1)))) == "wait"
    assert by(judge(replace(study, readings=said(study=3, a=3)))) == "wait"
    assert "2 missing" in str(judge(replace(study, readings=said(study=6, a=3, b=1, other=2))))
    assert "2 missing" in str(judge(replace(study, readings=said(study=6))))


def test_a_study_of_which_the_source_counts_only_the_series_lacks_what_they_lack() -> None:
    found = judge(facts(kind=UnitKind.STUDY, readings=(reading(11, a=3, b=4),)))
    assert "4 missing" in str(found)


# ---- headers -----------------------------------------------------------------------------------------------


def test_a_full_array_completes_and_one_that_is_not_full_says_nothing() -> None:
    full = HeaderCount(what="the PET series", announced=3, here=3, exact=False)
    assert by(judge(facts(headers=(full,)))) == "header"
    assert by(judge(facts(headers=(replace(full, announced=4),)))) == "wait"
    assert by(judge(facts(70, headers=(replace(full, announced=4),)))) == "quiet"
    assert by(judge(facts(headers=(replace(full, announced=2, here=2),)))) == "wait", "one is in no count"
    assert by(judge(facts(kind=UnitKind.STUDY, headers=(full,)))) == "wait"


def test_one_concatenation_with_too_many_parts_does_not_make_up_for_another_that_lacks_one() -> None:
    more, less = (HeaderCount(what=f"concatenation {n}", announced=4, here=n, exact=True) for n in (5, 3))
    assert "1 missing, concatenation 3 says so" in str(judge(facts(100, headers=(more, less))))


def test_a_concatenation_that_lacks_a_part_is_waited_for() -> None:
    short = HeaderCount(what="concatenation 1.5", announced=4, here=3, exact=True)
    found = judge(facts(100, headers=(short,)))
    assert isinstance(found, Wait)
    assert found.because == "1 missing, concatenation 1.5 says so"


# ---- what holds for all of them -----------------------------------------------------------------------------

COMPLETE = {
    "commitment": {"statements": (request("i1", "i2", "i3"),)},
    "mpps": {"statements": (step(A, "i1", "i2", "i3"),)},
    "find": {"readings": (reading(10, a=3), reading(11, a=3))},
    "header": {"headers": (HeaderCount(what="the PET series", announced=3, here=3, exact=False),)},
}
SHORT = {
    "commitment": {"statements": (request("i1", absent=("x",)),)},
    "mpps": {"statements": (step(A, "i1", absent=("x",)),)},
    "find": {"readings": (reading(10, a=4),)},
    "header": {"headers": (HeaderCount(what="concatenation 1", announced=4, here=3, exact=True),)},
}
seconds = st.floats(min_value=0, max_value=5000, allow_nan=False)


@given(source=st.sampled_from(sorted(COMPLETE)), quiet=seconds, floor=seconds, passed=seconds, chosen=st.booleans())
def test_evidence_never_closes_before_the_floor_and_only_shortens(
    source: str, quiet: float, floor: float, passed: float, chosen: bool
) -> None:
    policy = Policy(
        quiet=timedelta(seconds=quiet), at_most=timedelta(days=1), floor=timedelta(seconds=floor),
        evidence=frozenset({source} if chosen else ALL - {source}),
    )  # fmt: skip
    known = facts(10 + passed, policy=policy, **COMPLETE[source])
    found, since = judge(known), known.now - known.unit.last
    if since >= policy.quiet:
        assert isinstance(found, Complete)
    else:
        assert by(found) == (source if chosen and since >= policy.floor else "wait")
    if isinstance(found, Wait):
        assert known.now < found.until <= known.unit.last + policy.quiet


@given(source=st.sampled_from(sorted(COMPLETE)), passed=seconds, receiving=st.booleans(), unindexed=st.booleans(),
       unjudged=st.integers(0, 1))  # fmt: skip
def test_evidence_never_closes_what_is_still_on_its_way(
    source: str, passed: float, receiving: bool, unindexed: bool, unjudged: int
) -> None:
    known = facts(
        10 + min(passed, 3500), receiving=receiving, unindexed=unindexed, unjudged=unjudged, **COMPLETE[source]
    )
    if receiving or unindexed or unjudged:
        assert isinstance(judge(known), Wait)


@given(source=st.sampled_from(sorted(COMPLETE)), short=st.sampled_from(sorted(SHORT)), passed=seconds, later=seconds)
def test_what_is_complete_stays_so_and_what_lacks_something_waits_until_at_most(
    source: str, short: str, passed: float, later: float
) -> None:
    known = facts(10 + passed, **COMPLETE[source])
    if isinstance(judge(known), Complete):
        assert isinstance(judge(replace(known, now=known.now + timedelta(seconds=later))), Complete)
    lacking = facts(10 + passed, **SHORT[short])
    found = judge(lacking)
    assert any(lacks(lacking) for lacks in LACKING)
    if lacking.now < lacking.unit.first + lacking.policy.at_most:
        assert isinstance(found, Wait)
        assert lacking.now < found.until
    else:
        assert isinstance(found, Complete)
        assert found.missing is not None
        assert found.evidence.source == "at_most"
        assert str(found.missing) in found.evidence.text
