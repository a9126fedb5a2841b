"""A patient's dates move together: what lies between them stays, and so does how exact each is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.anonymize.shifting import UnshiftableError, shift

_dates = st.dates(date(1880, 1, 1), date(2100, 12, 31))
_moments = st.datetimes(datetime(1880, 1, 1), datetime(2100, 12, 31))  # noqa: DTZ001  DICOM's are local
_days = st.integers(-4000, 4000)
_seconds = st.integers(-200_000, 200_000)
_zones = st.sampled_from(["", "+0000", "+0100", "-0330", "+1400", "-1200", "+0545"])
_fractions = st.sampled_from(["", ".0", ".5", ".123456", ".999999", ".120"])


def da(value: date) -> str:
    return f"{value:%Y%m%d}".zfill(8)


@given(_dates, _dates, _days)
def test_the_interval_between_two_dates_stays(first: date, second: date, days: int) -> None:
    moved = [datetime.strptime(shift("DA", da(one), days, 0), "%Y%m%d") for one in (first, second)]  # noqa: DTZ007
    assert moved[1] - moved[0] == second - first
    assert moved[0].date() - first == timedelta(days=days)


@given(_moments, _moments, _days, _seconds, _fractions, _zones)
def test_the_interval_between_two_date_times_stays(
    first: datetime, second: datetime, days: int, seconds: int, fraction: str, zone: str
) -> None:
    moved = []
    for one in (first, second):
        after = shift("DT", f"{one:%Y%m%d%H%M%S}{fraction}{zone}", days, seconds)
        assert after[14:] == fraction + zone
        moved.append(datetime.strptime(after[:14], "%Y%m%d%H%M%S"))  # noqa: DTZ007
    assert moved[1] - moved[0] == second.replace(microsecond=0) - first.replace(microsecond=0)


@given(st.times(), _days, _seconds, _fractions)
def test_a_time_of_day_goes_around_the_clock_and_back(of_day: time, days: int, seconds: int, fraction: str) -> None:
    value = f"{of_day:%H%M%S}{fraction}"
    assert shift("TM", shift("TM", value, days, seconds), 0, -seconds) == value
    assert shift("TM", value, days, 86_400) == value


@given(_moments, _days, _seconds, st.integers(0, 5), _zones)
def test_a_partial_date_time_is_as_exact_as_before_and_has_moved_by_its_amount(
    moment: datetime, days: int, seconds: int, precision: int, zone: str
) -> None:
    length, form = [(4, "%Y"), (6, "%Y%m"), (8, "%Y%m%d"), (10, "%Y%m%d%H"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S")][
        precision
    ]
    value = f"{moment:%Y%m%d%H%M%S}"[:length]
    after = shift("DT", value + zone, days, seconds)
    assert (len(after), after[length:]) == (length + len(zone), zone)
    one = [366 * 86_400, 31 * 86_400, 86_400, 3_600, 60, 1][precision]
    gone = datetime.strptime(after[:length], form) - datetime.strptime(value, form)  # noqa: DTZ007
    assert abs(gone.total_seconds() - days * 86_400 - seconds) < one


@given(_moments, _days, _fractions)
def test_a_shift_of_whole_days_keeps_date_and_time_in_two_attributes_one_moment(
    moment: datetime, days: int, fraction: str
) -> None:
    date_of, time_of = f"{moment:%Y%m%d}", f"{moment:%H%M%S}{fraction}"
    assert shift("DA", date_of, days, 0) + shift("TM", time_of, days, 0) == shift("DT", date_of + time_of, days, 0)


@pytest.mark.parametrize(
    ("vr", "value", "days", "seconds", "after"),
    [
        ("DA", "20240301", -1, 0, "20240229"),
        ("DA", "20230301", -1, 0, "20230228"),
        ("DA", "20231231", 1, 0, "20240101"),
        ("DA", "2024.03.01", -1, 0, "2024.02.29"),
        ("DA", "20240301 ", -1, 0, "20240229"),
        ("DA", "20240301", 0, 99_999, "20240301"),
        ("DA", "20240301\\20240302", 1, 0, "20240302\\20240303"),
        ("DA", "20240301\\", 1, 0, "20240302\\"),
        ("DA", "1961", -366, 0, "1960"),
        ("DA", "196105", -40, 0, "196104"),
        ("DA", "", 5, 0, ""),
        ("TM", "235960", 0, 0, "235960"),
        ("TM", "235960", 0, 1, "000001"),
        ("TM", "10:07:01.5", 0, -3_600, "09:07:01.5"),
        ("TM", "10:07", 0, 3_600, "11:07"),
        ("TM", "23", 0, 7_200, "01"),
        ("TM", "2359", 9, 0, "2359"),
        ("DT", "20240229235959.999999-0500", 366, 1, "20250302000000.999999-0500"),
        ("DT", "2024+0100", 400, 0, "2025+0100"),
        ("DT", "202402", 0, 0, "202402"),
    ],
)
def test_examples(vr: str, value: str, days: int, seconds: int, after: str) -> None:
    assert shift(vr, value, days, seconds) == after


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("DA", "20230229"), ("DA", "20231301"), ("DA", "20230100"), ("DA", "00000101"), ("DA", "2023-01-01"),
        ("DA", "20230101-20230201"), ("DA", "-20230101"), ("DA", "Smith"), ("DA", "2023010"), ("DA", "202301011"),
        ("DA", "٢٠٢٣٠١٠١"), ("DA", "2023 01 01"), ("TM", "24"), ("TM", "1060"), ("TM", "106061"), ("TM", "101010."),
        ("TM", "101010.1234567"), ("TM", "1010.5"), ("TM", "1000-1200"), ("TM", "1"), ("TM", "101010+0100"),
        ("DT", "20230101+1401"), ("DT", "20230101-1201"), ("DT", "20230101-0000"), ("DT", "20230101+0160"),
        ("DT", "20230101+01"), ("DT", "2023011"), ("DT", "202310.5"), ("DT", "20230229"), ("DT", "+0100"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_its_representation_is_refused_without_being_quoted(vr: str, value: str) -> None:
    with pytest.raises(UnshiftableError, match=vr) as raised:
        shift(vr, value, 1, 1)
    with pytest.raises(UnshiftableError):
        shift(vr, value, 0, 0)
    assert value not in str(raised.value)


@pytest.mark.parametrize(("value", "days"), [("00010101", -1), ("99991231", 1), ("20240101", 10**8)])
def test_what_moves_out_of_the_calendar_is_refused(value: str, days: int) -> None:
    for vr in ("DA", "DT"):
        with pytest.raises(UnshiftableError, match="calendar"):
            shift(vr, value, days, 0)


@given(st.sampled_from(["DA", "TM", "DT"]), st.text("0123456789.:+-\\ ", max_size=30), _days, _seconds)
def test_any_text_moves_to_a_valid_value_of_the_same_shape_or_is_refused(
    vr: str, value: str, days: int, seconds: int
) -> None:
    try:
        after = shift(vr, value, days, seconds)
    except UnshiftableError:
        return
    parts = [part.strip(" \0") for part in value.split("\\")]
    assert [len(part) for part in after.split("\\")] == [len(part) for part in parts]
    assert shift(vr, after, 0, 0) == after


def test_other_representations_have_no_dates() -> None:
    with pytest.raises(KeyError):
        shift("LO", "20240101", 1, 0)
