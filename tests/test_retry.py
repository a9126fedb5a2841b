from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import Retry
from node.retry import next_try, wait

START = datetime(2024, 1, 1, tzinfo=UTC)
second = timedelta(seconds=1)


@st.composite
def policies(draw: st.DrawFn) -> Retry:
    first, more, life = (draw(st.integers(1, 100_000)) for _ in range(3))
    return Retry(
        first=first * second, at_most=(first + more) * second, give_up=life * second, factor=draw(st.floats(1, 100))
    )


attempts = st.integers(1, 100_000)
later = st.integers(0, 200_000).map(lambda s: timedelta(seconds=s))


@given(policies(), attempts)
def test_waits_never_shrink_and_never_pass_the_cap(policy: Retry, attempt: int) -> None:
    assert policy.first <= wait(attempt, policy) <= wait(attempt + 1, policy) <= policy.at_most


@given(policies(), attempts, later, st.text(max_size=10))
def test_the_next_try_is_after_now_within_the_cap_and_never_after_giving_up(
    policy: Retry, attempt: int, passed: timedelta, key: str
) -> None:
    now = START + passed
    moment = next_try(attempt, policy, START, now, key)
    if passed >= policy.give_up:
        assert moment is None
    else:
        assert moment is not None
        assert now < moment <= min(now + policy.at_most, START + policy.give_up)
        assert moment - now >= min(
            wait(attempt, policy) * 0.9 - timedelta(microseconds=1), START + policy.give_up - now
        )


@given(policies(), attempts, later, later)
def test_a_later_failure_is_never_tried_earlier(policy: Retry, attempt: int, one: timedelta, two: timedelta) -> None:
    early, late = sorted((START + one, START + two))
    first, second_try = (next_try(attempt, policy, START, now, "k") for now in (early, late))
    assert second_try is None or (first is not None and first <= second_try)


def test_the_default_waits_double_from_ten_seconds_to_an_hour() -> None:
    assert [wait(n, Retry()) // second for n in (1, 2, 3, 9, 10, 5000)] == [10, 20, 40, 2560, 3600, 3600]


def test_the_same_try_falls_on_the_same_moment_and_others_elsewhere() -> None:
    moments = {next_try(20, Retry(), START, START, f"delivery-{n}") for n in range(100)}
    assert len(moments) == 100
    assert next_try(20, Retry(), START, START, "delivery-7") in moments
    assert next_try(20, Retry(), START, START, "k") != next_try(21, Retry(), START, START, "k")


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        wait(0, Retry())
