"""One attribute of one frame, wherever its kind of object keeps it.

Enhanced objects (PS3.3 C.7.6.16) have it in a functional group: the frame's own before the shared one. Classic
objects, also those of many frames, have it at the top; so do some enhanced ones beside their groups.
"""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset

from node.dicom.damage import UNREADABLE


class FrameAttributes:
    """Frame `number` (from 0) of `ds`."""

    def __init__(self, ds: Dataset, number: int) -> None:
        self._ds = ds
        own = value_of(ds, "PerFrameFunctionalGroupsSequence") or ()
        shared = value_of(ds, "SharedFunctionalGroupsSequence") or ()
        self._levels = [*([own[number]] if number < len(own) else ()), *shared[:1]]

    @property
    def enhanced(self) -> bool:
        """Whether there are functional groups."""
        return bool(self._levels)

    def item(self, group: str) -> Dataset | None:
        """The item of a functional group, the frame's own or the shared one."""
        for level in self._levels:
            items = value_of(level, group)
            if items:
                found: Dataset = items[0]
                return found
        return None

    def get(self, group: str, keyword: str) -> Any:
        """The value of `keyword` in the functional group `group`, else at the top; None when absent or not readable."""
        item = self.item(group)
        found = None if item is None else value_of(item, keyword)
        return value_of(self._ds, keyword) if found is None else found

    def top(self, keyword: str) -> Any:
        """The value at the top of the data set."""
        return value_of(self._ds, keyword)


def value_of(ds: Dataset, keyword: str) -> Any:
    """The value, or None where it is absent, empty or not of its VR."""
    try:
        found = ds.get(keyword)
    except UNREADABLE:
        return None
    return None if found is None or (isinstance(found, str) and not found.strip()) else found


def numbers_of(value: Any) -> tuple[float, ...]:
    """One number or several as floats; empty when there is none, or one that is no number or not finite."""
    if value is None or isinstance(value, bytes):
        return ()
    try:
        found = tuple(
            float(x) for x in (value if hasattr(value, "__iter__") and not isinstance(value, str) else [value])
        )
    except UNREADABLE:
        return ()
    return found if all(math.isfinite(x) for x in found) else ()


def number_of(value: Any) -> float | None:
    """The first number, or None."""
    found = numbers_of(value)
    return found[0] if found else None
