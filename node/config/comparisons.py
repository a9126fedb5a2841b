"""The right side of a condition: does one value satisfy it?

Text compares without case, after NFC. Numbers (DS, IS, US, FL ...) compare as numbers, dates and times by the
calendar, ages by their length. Each test is told the VR of the header, as for private elements the rule
cannot know it.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal, Protocol

NUMERIC = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"})
CALENDAR = frozenset({"DA", "TM", "DT"})
LONGEST_MATCHED = 1024
"""Characters a regular expression may see; the time of some grows faster than the text."""

_AGE_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}


class Comparison(Protocol):
    """One comparison. `str()` gives the words for the reason: `is CT`, `matches "*chest*"`."""

    def accepts(self, vr: str, value: Any) -> bool: ...


def folded(text: str) -> str:
    """The form in which text is compared."""
    return unicodedata.normalize("NFC", text).casefold()


def texts(vr: str, value: Any) -> tuple[str, ...]:
    """What a value reads as. A name also by each of its groups (PS3.5 6.2.1.1)."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    whole = folded(text.strip())
    return (whole, *(group for group in whole.split("=") if group != whole)) if vr == "PN" else (whole,)


def number(value: Any) -> float | None:
    """A value as a number, None when it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def calendar(vr: str, value: Any) -> str | None:
    """A date or time as digits that sort: `2024-01-31` -> 20240131, `12:30` -> 123000.000000. Else None.

    The offset from UTC in a DT (PS3.5 6.2) is left out: comparisons go by the clock of the scanner.
    """
    text = str(value).strip()
    if vr == "DA":
        found = re.fullmatch(r"(\d{4})[-.]?(\d\d)[-.]?(\d\d)", text, re.ASCII)
        return "".join(found.groups()) if found and _is_day(found[2], found[3]) else None
    if vr == "TM":
        found = re.fullmatch(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?", text, re.ASCII)
        return _clock(found.groups()) if found else None
    found = re.fullmatch(
        r"(\d{4})(?:-?(\d\d)(?:-?(\d\d)(?:[T ]?(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?(?:[+-]\d{4})?",
        text,
        re.ASCII,
    )
    if not found or not _is_day(found[2] or "01", found[3] or "01"):
        return None
    return found[1] + (found[2] or "01") + (found[3] or "01") + _clock(found.groups()[3:])


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _clock(parts: tuple[str | None, ...]) -> str:
    hour, minute, second, fraction = (part or "" for part in parts)
    return f"{hour:0>2}{minute:0>2}{second:0>2}.{fraction:0<6}"


def age(value: Any) -> float | None:
    """An age string (PS3.5 6.2, AS) in days: `018Y`, `6M`; months and years by their mean length."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", str(value).strip().upper(), re.ASCII)
    return int(found[1]) * _AGE_DAYS[found[2]] if found else None


def ordered(vr: str, value: Any) -> float | str | None:
    """A value in the form in which `gt`, `ge`, `lt`, `le` compare it; None when this VR has no order."""
    if vr in CALENDAR:
        return calendar(vr, value)
    if vr == "AS":
        return age(value)
    return number(value)


@dataclass(frozen=True, slots=True)
class Equals:
    """The same text without case, the same number, or the same day or time."""

    wanted: str | int | float

    def accepts(self, vr: str, value: Any) -> bool:
        if vr in NUMERIC:
            wanted = number(self.wanted)
            return wanted is not None and wanted == number(value)
        if vr in CALENDAR:
            day = calendar(vr, self.wanted)
            return day is not None and day == calendar(vr, value)
        if vr == "AS" and age(self.wanted) is not None:
            return age(self.wanted) == age(value)
        if isinstance(self.wanted, float):
            return self.wanted == number(value)
        return folded(str(self.wanted).strip()) in texts(vr, value)

    def __str__(self) -> str:
        return f"is {self.wanted}"


@dataclass(frozen=True, slots=True)
class Glob:
    """`*` stands for any text and `?` for one character; everything else for itself."""

    pattern: str
    compiled: re.Pattern[str]

    @classmethod
    def of(cls, pattern: str) -> Glob:
        # fnmatch knows character sets too; in a description a bracket is a bracket.
        return cls(pattern, re.compile(fnmatch.translate(folded(pattern).replace("[", "[[]"))))

    def accepts(self, vr: str, value: Any) -> bool:
        return any(self.compiled.match(text) for text in texts(vr, value))

    def __str__(self) -> str:
        return f'matches "{self.pattern}"'


@dataclass(frozen=True, slots=True)
class Regex:
    """A Python regular expression found anywhere in the text, without case."""

    pattern: str
    compiled: re.Pattern[str]

    @classmethod
    def of(cls, pattern: str) -> Regex:
        """Raises ValueError when it is not one, or repeats a repetition: its time could double per character."""
        normal = unicodedata.normalize("NFC", pattern)
        try:
            compiled = re.compile(normal, re.IGNORECASE)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if re.search(r"(?<!\\)[+*}](?:[^()\\\[\]]|\\.|\[[^\]]*\])*\)[+*{]", normal):
            raise ValueError("a repeated group repeats inside, such as (a+)+, which may never end: write it flat")
        return cls(pattern, compiled)

    def accepts(self, vr: str, value: Any) -> bool:
        text = unicodedata.normalize("NFC", str(value).strip())
        return len(text) <= LONGEST_MATCHED and self.compiled.search(text) is not None

    def __str__(self) -> str:
        return f"has {self.pattern!r}"


@dataclass(frozen=True, slots=True)
class Bound:
    """An open or closed limit, by number, calendar or age."""

    sign: Literal["gt", "ge", "lt", "le"]
    limit: str | int | float

    def accepts(self, vr: str, value: Any) -> bool:
        left, right = ordered(vr, value), ordered(vr, self.limit)
        if left is None or right is None or isinstance(left, str) != isinstance(right, str):
            return False
        a: Any = left
        b: Any = right
        return bool({"gt": a > b, "ge": a >= b, "lt": a < b, "le": a <= b}[self.sign])

    def __str__(self) -> str:
        sign = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}[self.sign]
        return f"{sign} {self.limit}"


@dataclass(frozen=True, slots=True)
class Exists:
    """The element has a value. An empty one (type 2, PS3.5 7.4.3) has none, a long one that was not kept has."""

    def accepts(self, vr: str, value: Any) -> bool:
        return value is not None and value != ""

    def __str__(self) -> str:
        return "has a value"


@dataclass(frozen=True, slots=True)
class Within:
    """An IP address in a network. IPv4 addresses mapped into IPv6 count as IPv4."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    def accepts(self, vr: str, value: Any) -> bool:
        try:
            address = ipaddress.ip_address(str(value))
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address) in self.network

    def __str__(self) -> str:
        return f"is in {self.network}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of several."""

    tests: tuple[Comparison, ...]

    def accepts(self, vr: str, value: Any) -> bool:
        return any(test.accepts(vr, value) for test in self.tests)

    def __str__(self) -> str:
        return " or ".join(map(str, self.tests))


@dataclass(frozen=True, slots=True)
class Both:
    """All of several, of one and the same value."""

    tests: tuple[Comparison, ...]

    def accepts(self, vr: str, value: Any) -> bool:
        return all(test.accepts(vr, value) for test in self.tests)

    def __str__(self) -> str:
        return " and ".join(map(str, self.tests))
