from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config.units import LARGEST, LONGEST, format_duration, format_size, parse_duration, parse_size


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_every_duration_survives_being_written_and_read(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(min_value=0, max_value=LARGEST))
def test_every_size_survives_being_written_and_read(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("5m", 300),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("1h 30m", 5400),
        ("0s", 0),
    ],
)
def test_durations_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "60", "5x", "-5s", "30m1h", "1h1h", "1e3s", "٣s", "0.0001ms", "999999d", "5 m x"])
def test_what_is_no_duration_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|finer|longer"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5GiB", 5 * 1024**3),
        ("512 MB", 512_000_000),
        (1024, 1024),
        ("1.5KiB", 1536),
        ("10", 10),
        ("3b", 3),
        ("1kB", 1000),
    ],
)
def test_sizes_count_in_thousands_or_1024s(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "5 giga", "0.3B", "99999999TiB", "1e3"])
def test_what_is_no_size_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|whole|count"):
        parse_size(text)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    for parse in (parse_duration, parse_size):
        with contextlib.suppress(ValueError):
            assert parse(text) is not None
