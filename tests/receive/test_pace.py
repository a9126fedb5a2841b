"""A sender in the middle of a message gets on, or loses its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.receive.pace import Pace


def test_a_byte_a_second_is_too_slow_after_a_window() -> None:
    pace = Pace(window=60, least=1000)
    pace.note(100, 0.0, middle=False)
    for second in range(1, 60):
        pace.note(1, float(second), middle=True)
        assert not pace.too_slow(float(second))
    assert pace.too_slow(60.0)


def test_a_window_begins_when_it_is_asked_for_first() -> None:
    assert Pace(window=60).remaining(100.0) == 60


def test_silence_is_too_slow_too() -> None:
    pace = Pace(window=60, least=1000)
    pace.note(10, 5.0, middle=False)
    assert pace.remaining(5.0) == 60
    assert not pace.too_slow(64.0)
    assert pace.too_slow(65.0)


@given(st.lists(st.floats(0.01, 50), min_size=1, max_size=50))
def test_who_sends_enough_in_every_window_is_never_too_slow(gaps: list[float]) -> None:
    pace, now = Pace(window=60, least=1000), 0.0
    pace.note(1, now, middle=False)
    for gap in gaps:
        now += gap
        assert not pace.too_slow(now)
        pace.note(1000, now, middle=True)


def test_the_time_between_two_messages_does_not_count() -> None:
    pace = Pace(window=60, least=1000)
    pace.note(1, 0.0, middle=False)
    pace.note(1, 3600.0, middle=False)
    assert not pace.too_slow(3601.0)


def test_a_window_that_brought_enough_is_followed_by_another() -> None:
    pace = Pace(window=60, least=1000)
    pace.note(1, 0.0, middle=False)
    pace.note(999, 1.0, middle=True)
    assert not pace.too_slow(60.0)
    assert pace.too_slow(120.0)
