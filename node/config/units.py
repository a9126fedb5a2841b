"""Durations and sizes as people write them: `1h30m`, `250ms`, `5GiB`, `512 MB`.

A duration always carries its unit, because a bare `60` is a minute to one reader and an hour to the next.
A size may be a bare number of bytes. Both are exact: what cannot be held without rounding is refused.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

_MICROSECONDS = {
    "w": 7 * 86_400_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|[wdhms])\s*", re.ASCII)
LONGEST = timedelta(days=36_500)
"""A hundred years: beyond it the sum of a date and a duration may leave the calendar."""

_BYTES = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)", re.ASCII)
_SIZE_NAMES = ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB")
LARGEST = 2**63 - 1
"""What SQLite and the file system can count, in bytes."""


def parse_duration(text: str) -> timedelta:
    """`1h30m` -> 90 minutes. Units w, d, h, m, s, ms, each at most once, the largest first.

    Raises ValueError with a sentence for the operator.
    """
    total, position, previous = Fraction(0), 0, None
    order = list(_MICROSECONDS)
    written = text.strip()
    while position < len(written):
        part = _DURATION_PART.match(written, position)
        if part is None:
            raise ValueError(f'"{text}" is not a duration: write a number and a unit, such as 60s, 5m, 1h30m or 7d')
        number, unit = part.groups()
        if previous is not None and order.index(unit) <= order.index(previous):
            raise ValueError(f'"{text}" is not a duration: write each unit once, the largest first, such as 1h30m')
        total += Fraction(number) * _MICROSECONDS[unit]
        previous, position = unit, part.end()
    if previous is None:
        raise ValueError("a duration is empty: write a number and a unit, such as 60s")
    if total.denominator != 1:
        raise ValueError(f'"{text}" is finer than a microsecond')
    if total > LONGEST / timedelta(microseconds=1):
        raise ValueError(f'"{text}" is longer than {LONGEST.days}d')
    return timedelta(microseconds=int(total))


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same duration."""
    rest = duration // timedelta(microseconds=1)
    if rest < 0:
        raise ValueError("a duration is not negative")
    text = ""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _MICROSECONDS[unit])
        text += f"{count}{unit}" if count else ""
    if rest:
        whole, fraction = divmod(rest, 1000)
        text += f"{whole}.{fraction:03d}".rstrip("0") + "ms" if fraction else f"{whole}ms"
    return text or "0s"


def parse_size(value: str | int) -> int:
    """`5GiB` -> 5368709120 bytes; kB, MB, GB, TB count in thousands, KiB, MiB, GiB, TiB in 1024s.

    Raises ValueError with a sentence for the operator.
    """
    found = _SIZE.fullmatch(str(value).strip())
    if found is None or (found[2] or "b").lower() not in _BYTES:
        raise ValueError(f'"{value}" is not a size: write bytes, or a number and a unit, such as 512MB or 5GiB')
    size = Fraction(found[1]) * _BYTES[(found[2] or "b").lower()]
    if size.denominator != 1:
        raise ValueError(f'"{value}" is not a whole number of bytes')
    if size > LARGEST:
        raise ValueError(f'"{value}" is more than this node can count')
    return int(size)


def format_size(size: int) -> str:
    """The text with the largest unit that is exact: 5368709120 -> `5GiB`."""
    for name in _SIZE_NAMES:
        if size and size % _BYTES[name.lower()] == 0:
            return f"{size // _BYTES[name.lower()]}{name}"
    return f"{size}B"
