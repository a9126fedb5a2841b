"""Dates and times moved by a patient's amount, on their text: intervals, precision, zone and fraction stay (PS3.5 6.2).

A date that is known only to its year or month moves from the middle of that time and is cut again, so it is never
made more exact than it was. All other parts of a value are copied, not written anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

_DATE = r"(?P<year>\d{4})(?:(?P<month>\d\d)(?P<day>\d\d)?)?"
_TIME = r"(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?)?"
_ZONE = r"(?P<zone>[+-]\d{4})?"

_DA = re.compile(_DATE, re.ASCII)
_DA_OLD = re.compile(r"(?P<year>\d{4})\.(?P<month>\d\d)\.(?P<day>\d\d)", re.ASCII)
"""As ACR-NEMA wrote it, and old devices do: PS3.5 6.2 note to DA."""
_TM = re.compile(_TIME, re.ASCII)
_TM_OLD = re.compile(r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?", re.ASCII)
_DT = re.compile(rf"{_DATE}(?:(?<=\d{{8}}){_TIME})?{_ZONE}", re.ASCII)

_PARTS = ("year", "month", "day", "hour", "minute", "second")
_MIDDLE = (0, 7, 2, 12, 30, 30)
"""What stands for a part that is not there: the middle of the time that the value leaves open."""
_MIDDLE_OF_MONTH = 15
_WEST, _EAST = -12 * 60, 14 * 60
"""Minutes: the offsets from UTC that a DT may have (PS3.5 6.2)."""


class UnshiftableError(ValueError):
    """A value is no date or time of its representation, or moves out of the calendar. Says nothing of the value."""


def shift(vr: str, value: str, days: int, seconds: int) -> str:
    """A value of DA, TM or DT (PS3.5 6.2) moved on by `days` and `seconds`; each of several values.

    A DA moves by the days alone, a TM by the seconds alone, around the clock; a DT by both. Who moves dates and times
    that stand in two attributes, and wants their intervals kept, moves by whole days. An empty value stays empty, and
    the padding is left out. Raises UnshiftableError for what is no value of the representation, KeyError for another
    representation.
    """
    move = _MOVES[vr]
    return "\\".join(move(one.strip(" \0"), days, seconds) if one.strip(" \0") else "" for one in value.split("\\"))


def _date(value: str, days: int, _: int) -> str:
    match = _DA.fullmatch(value) or _DA_OLD.fullmatch(value)
    return _moved("DA", match, timedelta(days=days))


def _time(value: str, _: int, seconds: int) -> str:
    match = _TM.fullmatch(value) or _TM_OLD.fullmatch(value)
    return _moved("TM", match, timedelta(seconds=seconds))


def _date_time(value: str, days: int, seconds: int) -> str:
    match = _DT.fullmatch(value)
    if match and (zone := match["zone"]) and not _is_zone(zone):
        raise UnshiftableError("it is no valid DT")
    return _moved("DT", match, timedelta(days=days, seconds=seconds))


_MOVES: Mapping[str, Callable[[str, int, int], str]] = {"DA": _date, "TM": _time, "DT": _date_time}


def _moved(vr: str, match: re.Match[str] | None, by: timedelta) -> str:
    """The value that matched, with its digits of date and time replaced in their places."""
    if match is None:
        raise UnshiftableError(f"it is no valid {vr}")
    groups = match.groupdict()
    there = [part for part in _PARTS if groups.get(part) is not None]
    try:
        before = _point(groups)
        after = before + by
    except (ValueError, OverflowError):
        raise UnshiftableError(f"it is no valid {vr}, or moves out of the calendar") from None
    if not by:
        return match[0]  # a leap second too
    value = match[0]
    for part in there:
        width = 4 if part == "year" else 2
        start = match.start(part)
        value = value[:start] + f"{getattr(after, part):0{width}}" + value[start + width :]
    return value


def _point(groups: Mapping[str, str | None]) -> datetime:
    """The moment that a value stands for; its fraction aside, which no whole second changes.

    A time without a date is of a day in the middle of the calendar, so that it can move both ways. A leap second (60)
    is the first of the next minute. Raises ValueError, OverflowError.
    """
    year = groups.get("year")
    numbers = [int(found) if (found := groups.get(part)) else _MIDDLE[at] for at, part in enumerate(_PARTS)]
    if year is None:
        numbers[:3] = [4000, 1, 1]
    elif groups.get("month") and not groups.get("day"):
        numbers[2] = _MIDDLE_OF_MONTH
    leap = numbers[5] == 60
    if leap:
        numbers[5] = 59
    return datetime(*numbers) + timedelta(seconds=leap)  # type: ignore[arg-type]  # noqa: DTZ001  six numbers; local, as written


def _is_zone(zone: str) -> bool:
    """Whether `&ZZXX` is an offset from UTC that the standard allows; -0000 is not."""
    hours, minutes = int(zone[1:3]), int(zone[3:])
    offset = (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
    return minutes < 60 and _WEST <= offset <= _EAST and zone != "-0000"
