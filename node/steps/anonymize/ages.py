"""Ages over 89 years in one class: few are so old, and a number then is nearly a name (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re

OLDEST = 89
"""Years. The rule's words: all ages over 89 may be one category, "90 or older"."""

_AS = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
"""As in PS3.5 6.2, where there are three digits always; devices leave out the zeros, and mean the same."""
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}


class InvalidAgeError(ValueError):
    """A value is no Age String. Says nothing of the value."""


def cap_age(value: str) -> str:
    """An Age String (AS, PS3.5 6.2), such as `093Y`; `090Y` for every age over 89 years. Of several values each.

    The padding is left out, and zeros are not filled in. Raises InvalidAgeError.
    """
    return "\\".join(_capped(one.strip(" \0")) for one in value.split("\\"))


def _capped(value: str) -> str:
    if not value:
        return value
    match = _AS.fullmatch(value)
    if match is None:
        raise InvalidAgeError("it is no valid AS")
    # 999 months are 83 years: today only years reach so far, but that is for the numbers to say.
    return f"{OLDEST + 1:03}Y" if is_great(match[1], match[2]) else value


def is_great(number: str, unit: str) -> bool:
    """Whether an age is over 89 years, in D, W, M or Y; what is no number may be one."""
    try:
        return not float(number) / _PER_YEAR[unit] < OLDEST + 1
    except ValueError:
        return True
