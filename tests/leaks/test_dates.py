"""Dates as people and devices write them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.leaks.dates import MONTHS, PLACEHOLDERS, dates_in, parsed
from node.leaks.fold import fold
from node.leaks.what import Place

FORMS = (
    "{d:%Y%m%d}", "{d:%Y-%m-%d}", "{d:%Y/%m/%d}", "{d:%Y.%m.%d}", "{d:%d.%m.%Y}", "{d:%d/%m/%Y}", "{d:%m/%d/%Y}",
    "{d:%d-%m-%Y}", "{d.day}.{d.month}.{d.year}", "{d.month}/{d.day}/{d.year}", "{d:%d%m%Y}", "{d:%m%d%Y}",
    "{d:%d.%m.%y}", "{d:%m/%d/%y}", "{d:%y-%m-%d}", "{d:%y%m%d}", "{d:%d%m%y}", "{d.year} {d.month} {d.day}",
    "{d:%d %B %Y}", "{d:%B} {d.day}, {d.year}", "{d:%b} {d.day} {d.year}", "{d:%d-%b-%Y}", "{d:%d%b%y}",
    "{d:%d%b%Y}", "{d.day}. {d:%B} {d.year}", "{d:%Y-%b-%d}", "the {d.day}th of {d:%B} {d.year}",
    "{d:%Y%m%d}101112", "{d:%Y-%m-%d}T10:11:12", "{d:%Y%m%d}101112.123456+0100", "{d.year}年{d.month}月{d.day}日",
)  # fmt: skip
DAYS = st.dates(date(1930, 1, 1), date(2029, 12, 31))


@pytest.mark.parametrize("form", FORMS)
@given(day=DAYS)
def test_every_date_is_found_in_every_form(form: str, day: date) -> None:
    for text in ("{}", "seen {} by us", "ct_{}_1", "({})"):
        written = fold(text.format(form.format(d=day)))
        assert (day.year, day.month, day.day) in set(dates_in(written, Place.TEXT)), written


@pytest.mark.parametrize(
    "text",
    [
        "23 août 2017",
        "23. August 2017",
        "23 de agosto de 2017",
        "23 agosto 2017",
        "23 augustus 2017",
        "Aug. 23rd, 2017",
    ],
)
def test_months_have_their_names_in_other_languages(text: str) -> None:
    assert (2017, 8, 23) in set(dates_in(fold(text), Place.TEXT))


def test_names_of_months_are_folded_and_belong_to_one_month() -> None:
    assert all(fold(name) == name for name in MONTHS)
    assert set(MONTHS.values()) == set(range(1, 13))


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_what_is_found_in_any_text_has_a_month_and_a_day(text: str) -> None:
    for place in Place:
        for _, month, day in dates_in(fold(text), place):
            assert 1 <= month <= 12
            assert 1 <= day <= 31


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1.2.840.113619.20170823", Place.TEXT),
        ("101112", Place.NUMBER),
        ("20170823.5", Place.NUMBER),
        ("230817", Place.BYTES),
        ("23 aug 2017", Place.BYTES),
        ("10 20 30", Place.TEXT),
        ("120817345", Place.TEXT),
        ("1.20.8.23.17", Place.TEXT),
    ],
)
def test_numbers_that_are_no_dates_are_none(text: str, place: Place) -> None:
    assert list(dates_in(text, place)) == []


def test_a_value_is_read_as_DA_as_DT_and_as_ACR_NEMA_wrote_it() -> None:
    assert parsed("20170823") == (2017, 8, 23)
    assert parsed("20170823101112.5+0200 ") == (2017, 8, 23)
    assert parsed("2017.08.23") == (2017, 8, 23)
    assert [parsed(value) for value in ("2017", "201708", "", "unknown", "20171399")] == [None] * 5
    assert [parsed(f"{y:04}{m:02}{d:02}") for y, m, d in PLACEHOLDERS] == [None] * len(PLACEHOLDERS)
