"""A unit is complete on evidence, never while more of it is on its way, and always at `at_most`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from node.complete import SOURCES, Complete, Evidence, Facts, Policy, Wait, judge
from node.model import UID, Unit, UnitKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def unit(*, kind: UnitKind = UnitKind.SERIES, first: float = 0, last: float = 0, count: int = 3) -> Unit:
    """Times in seconds after noon."""
    return Unit(
        id=1, kind=kind, called_ae="NODE", uid=UID("1.2"), generation=1, count=count,
        first=NOON + timedelta(seconds=first), last=NOON + timedelta(seconds=last),
    )  # fmt: skip


def facts(now: float, **changes: object) -> Facts:
    made = Facts(
        unit=unit(last=10), policy=Policy(quiet=timedelta(seconds=60), at_most=timedelta(hours=1)),
        now=NOON + timedelta(seconds=now), receiving=False, unindexed=False, unjudged=0,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # a test names the fields


def test_it_is_complete_when_it_was_quiet_for_long_enough() -> None:
    found = judge(facts(70))
    assert found == Complete(Evidence("quiet", "3 instances, quiet for 60 s"))


def test_it_waits_for_the_rest_of_the_quiet_time() -> None:
    assert judge(facts(69.9)) == Wait(NOON + timedelta(seconds=70), "quiet time is not over")


def test_with_evidence_it_is_looked_at_again_when_evidence_begins_to_count() -> None:
    policy = Policy(quiet=timedelta(seconds=60), at_most=timedelta(hours=1), evidence=frozenset({"mpps"}))
    assert judge(facts(12, policy=policy)) == Wait(NOON + timedelta(seconds=15), "quiet time is not over")
    assert judge(facts(15, policy=policy)) == Wait(NOON + timedelta(seconds=70), "quiet time is not over")
    assert judge(facts(12)) == Wait(NOON + timedelta(seconds=70), "quiet time is not over")


def test_it_waits_no_longer_than_at_most() -> None:
    late = facts(3590, unit=unit(last=3580))
    assert judge(late) == Wait(NOON + timedelta(hours=1), "quiet time is not over")


def test_it_is_closed_at_at_most_and_says_what_was_still_on_its_way() -> None:
    found = judge(facts(3600, unit=unit(last=3599), receiving=True, unjudged=2))
    assert isinstance(found, Complete)
    assert found.evidence.source == "at_most"
    assert "an instance for it is arriving" in found.evidence.text
    assert "2 with a known UID and other bytes" in found.evidence.text


def test_one_instance_is_complete_in_itself() -> None:
    nothing = Policy(quiet=timedelta(0), at_most=timedelta(0))
    found = judge(facts(10, unit=unit(kind=UnitKind.INSTANCE, last=10, count=1), policy=nothing))
    assert found == Complete(Evidence("instance", "it is one instance"))


def test_a_new_source_of_evidence_is_one_function_more() -> None:
    def counted(known: Facts) -> Evidence | None:
        return Evidence("count", "all announced instances are here") if known.unit.count == 3 else None

    found = judge(facts(11), sources=(counted, *SOURCES))
    assert found == Complete(Evidence("count", "all announced instances are here"))


def test_evidence_counts_for_nothing_while_more_is_on_its_way() -> None:
    always = (lambda known: Evidence("always", ""),)
    assert isinstance(judge(facts(11, unindexed=True), sources=always), Wait)


times = st.floats(min_value=0, max_value=10_000, allow_nan=False)


@given(first=times, quiet_since=times, passed=times, quiet=times, at_most=times, receiving=st.booleans(),
       unindexed=st.booleans(), unjudged=st.integers(0, 3))  # fmt: skip
def test_never_early_and_never_late(
    first: float, quiet_since: float, passed: float, quiet: float, at_most: float, receiving: bool, unindexed: bool,
    unjudged: int,
) -> None:  # fmt: skip
    last = first + quiet_since
    known = facts(
        last + passed, unit=unit(first=first, last=last),
        policy=Policy(quiet=timedelta(seconds=quiet), at_most=timedelta(seconds=at_most)),
        receiving=receiving, unindexed=unindexed, unjudged=unjudged,
    )  # fmt: skip
    found = judge(known)
    over = known.now >= known.unit.first + known.policy.at_most
    if over:
        assert isinstance(found, Complete)
    elif receiving or unindexed or unjudged:
        assert isinstance(found, Wait)
    else:
        assert isinstance(found, Complete) == (known.now - known.unit.last >= known.policy.quiet)
    if isinstance(found, Wait):
        assert known.now < found.until <= known.unit.first + known.policy.at_most
        assert found.because
