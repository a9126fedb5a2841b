"""Dates in any usual form: numbers in every order, with and without separators, two-digit years, names of months."""

from __future__ import annotations

import re
from collections.abc import Iterator

from node.leaks.what import Place

Date = tuple[int, int, int]
"""(year, month, day)"""

PLACEHOLDERS = frozenset({(1, 1, 1), (1800, 1, 1), (1900, 1, 1), (1111, 11, 11), (9999, 12, 31), (9999, 9, 9)})
"""Dates that stand for none."""

# English, German, French, Spanish, Italian, Portuguese, Dutch; folded, so without accents.
_MONTHS = (
    "jan january januar janvier enero ene gennaio gen janeiro januari jaenner janner",
    "feb february februar fevrier fev febrero febbraio fevereiro februari",
    "mar march marz maerz mrz mars marzo marco maart mrt",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "jun june juni juin junio giugno giu junho",
    "jul july juli juil juillet julio luglio lug julho",
    "aug august aout aou agosto ago augustus",
    "sep sept september septembre septiembre set settembre setembro",
    "oct october okt oktober octobre octubre ottobre ott outubro out",
    "nov november novembre noviembre novembro",
    "dec december dez dezember decembre diciembre dic dicembre dezembro",
)
MONTHS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}

_NAMES = "|".join(sorted(MONTHS, key=len, reverse=True))
# Gaps have a limit, or a page of spaces would take a page of time for each of its numbers.
_GAP = r"[\s.,/_-]{0,4}"
_YEAR = r"(\d{4}|\d{2})(?!\d)"
_DELIMITED = re.compile(r"(?<![\d.])(\d{1,4})(\s{0,2}[-./\s_]\s{0,2})(\d{1,2})\2(\d{1,4})(?!\d|\.\d)")
_EAST_ASIAN = re.compile(r"(\d{4})\s{0,2}[年년]\s{0,2}(\d{1,2})\s{0,2}[月월]\s{0,2}(\d{1,2})\s{0,2}[日일]")
_DAY_FIRST = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)?{_GAP}(?:of\s|de\s)?({_NAMES})(?![a-z]){_GAP}(?:de\s|del\s)?{_YEAR}"
)
_MONTH_FIRST = re.compile(rf"(?<![a-z])({_NAMES}){_GAP}(\d{{1,2}})(?:st|nd|rd|th)?[\s,._-]{{1,4}}{_YEAR}")
_YEAR_FIRST = re.compile(rf"(?<!\d)(\d{{4}}){_GAP}({_NAMES})(?![a-z]){_GAP}(\d{{1,2}})(?!\d)")
_RUN = re.compile(r"(?<![\d.])\d{6,}")
_DIGIT, _WORD = re.compile(r"\d"), re.compile(r"[a-z]{3,}")


def parsed(value: str) -> Date | None:
    """A DA value, or the date of a DT (PS3.5 6.2; also the `1998.02.01` of ACR-NEMA); None where it has no day."""
    digits = value.strip(" \0").replace(".", "", 2) if value[4:5] == "." else value.strip(" \0")
    if len(digits) < 8 or not digits[:8].isascii() or not digits[:8].isdigit():
        return None
    date = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    return date if _is_date(date) and date not in PLACEHOLDERS else None


def dates_in(text: str, place: Place) -> Iterator[Date]:
    """Every date that a folded text may say, each reading of an ambiguous one. What is short is taken for a date only
    where people write text: six digits are a time in TM, and anything in binary values."""
    if len(text) < 6 or _DIGIT.search(text) is None:
        return
    if place is Place.NUMBER:
        if len(text) == 8 and text.isdigit():
            yield from _compact(text, years=4)
        return
    years = 4 if place in (Place.BYTES, Place.DATE, Place.IDENTIFIER) else 2
    for run in _RUN.findall(text):
        yield from _runs(run, years)
    for first, mark, second, third in _DELIMITED.findall(text):
        # Two digits three times with spaces between are any numbers.
        yield from _delimited(first, second, third, years if mark.strip() else 4)
    if not text.isascii():
        for year, month, day in _EAST_ASIAN.findall(text):
            yield int(year), int(month), int(day)
    if place is not Place.BYTES and not MONTHS.keys().isdisjoint(_WORD.findall(text)):
        yield from _named(text)


def _is_date(date: Date) -> bool:
    return 1 <= date[1] <= 12 and 1 <= date[2] <= 31


def _runs(run: str, years: int) -> Iterator[Date]:
    """Digits without separators: a date, or a date and what follows it, as in `20200102101112`."""
    if len(run) == 6:
        if years == 2:
            yield from _compact(run, years=2)
    elif len(run) == 8:
        yield from _compact(run, years=4)
    elif len(run) >= 10:
        for date in ((int(run[:4]), int(run[4:6]), int(run[6:8])), (int(run[-8:-4]), int(run[-4:-2]), int(run[-2:]))):
            if _is_date(date):
                yield date


def _compact(run: str, *, years: int) -> Iterator[Date]:
    """Year first, day first and month first."""
    front, back = run[:years], run[-years:]
    pairs = (front, run[years : years + 2], run[years + 2 :]), (back, run[2:4], run[:2]), (back, run[:2], run[2:4])
    for year, month, day in pairs:
        yield from _with_century(year, int(month), int(day))


def _delimited(first: str, second: str, third: str, years: int) -> Iterator[Date]:
    if len(first) >= 3:
        orders = [(first, second, third)] if len(third) <= 2 else []
    elif len(third) >= 3:
        orders = [(third, second, first), (third, first, second)]
    elif years == 2:
        orders = [(first, second, third), (third, second, first), (third, first, second)]
    else:
        orders = []
    for year, month, day in orders:
        if len(year) in (2, 4):
            yield from _with_century(year, int(month), int(day))


def _named(text: str) -> Iterator[Date]:
    for day, month, year in _DAY_FIRST.findall(text):
        yield from _with_century(year, MONTHS[month], int(day))
    for month, day, year in _MONTH_FIRST.findall(text):
        yield from _with_century(year, MONTHS[month], int(day))
    for year, month, day in _YEAR_FIRST.findall(text):
        yield from _with_century(year, MONTHS[month], int(day))


def _with_century(year: str, month: int, day: int) -> Iterator[Date]:
    for full in (int(year),) if len(year) == 4 else (1900 + int(year), 2000 + int(year)):
        date = full, month, day
        if _is_date(date):
            yield date
