"""A source is asked after the floor, twice soon, then more and more seldom; a dead one more seldom still."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.evidence.due import LEASE, Past, next_question

LAST, FLOOR = 1000.0, 5.0


def answered(at: float) -> Past:
    return Past(at=at, answered=True, failed=False)


def failed(at: float) -> Past:
    return Past(at=at, answered=False, failed=True)


def left(at: float) -> Past:
    return Past(at=at, answered=False, failed=False, left=True)


def due(*past: Past, quiet: float | None = None, last: float = LAST) -> float:
    return next_question(last, FLOOR, past, quiet)


def test_it_is_asked_first_after_the_floor() -> None:
    assert due() == 1005


def test_the_second_answer_comes_soon_and_later_ones_ever_later() -> None:
    first = answered(1005)
    assert due(first) == 1010
    assert due(first, answered(1010)) == 1020
    assert due(first, answered(1010), answered(1020)) == 1040
    assert due(*(answered(1005 + n) for n in range(30))) == 1034 + 300


def test_an_instance_that_comes_begins_it_anew() -> None:
    assert due(answered(1005), answered(1010), last=1012) == 1017
    assert due(answered(1005), answered(1010), answered(1020), last=1012) == 1025


def test_what_is_missing_is_looked_at_again_when_the_quiet_time_is_over() -> None:
    many = [answered(1005), answered(1010), answered(1020), answered(1040)]
    assert due(*many) == 1080
    assert due(*many, quiet=1060) == 1060
    assert due(*many, quiet=1042) == 1045, "never closer than the floor"
    assert due(*many, quiet=1030) == 1080, "it was looked at after it"


def test_one_that_fails_is_asked_more_and_more_seldom() -> None:
    assert due(failed(1005)) == 1015
    assert due(failed(1005), failed(1015)) == 1035
    assert due(*(failed(1000 + n) for n in range(20))) == 1019 + 600
    assert due(failed(1005), answered(1015), failed(1020)) == 1030, "an answer in between begins it anew"


def test_a_question_without_an_answer_is_somebody_elses_until_it_must_be_dead() -> None:
    assert due(answered(1005), Past(at=1010, answered=False, failed=False)) == 1010 + LEASE


def test_what_a_dead_process_left_is_asked_at_once_unless_it_dies_of_it() -> None:
    assert due(left(1010)) == 1010
    assert due(answered(1005), left(1010)) == 1010
    assert due(answered(1005), left(1010), last=1012) == 1017, "an instance came since"
    assert due(failed(1010), left(1020)) == 1040
    assert due(*(failed(1000 + n) for n in range(20)), left(1030)) == 1630


pasts = st.lists(st.tuples(st.floats(0, 2000), st.sampled_from([(True, False), (False, True), (False, False)])))


@given(past=pasts, quiet=st.none() | st.floats(900, 3000))
def test_it_is_never_asked_before_the_floor_nor_twice_within_it(
    past: list[tuple[float, tuple[bool, bool]]], quiet: float | None
) -> None:
    asked = [Past(at=at, answered=a, failed=f) for at, (a, f) in sorted(past)]
    found = due(*asked, quiet=quiet)
    if not asked or asked[-1].at < LAST:
        assert found >= (LAST + FLOOR if not asked or asked[-1].answered or asked[-1].failed else 0)
    elif asked:
        assert found >= asked[-1].at + FLOOR
