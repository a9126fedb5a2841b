"""Values in the unit of what was measured, where the header has them beside the rescale that is meant for display.

PS3.3 C.7.6.16.2.11: Real World Value Mapping, linear. Philips MR before it: a private scale slope, with which
stored * Rescale Slope + Rescale Intercept is divided by Rescale Slope * scale slope (Chenevert 2014,
doi:10.1593/tlo.13811, where the result is called the floating point value).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from node.imaging.reading import Attributes, private, value

_SEQUENCE = "RealWorldValueMappingSequence"
_SCALE = (0x2005, "Philips MR Imaging DD 001", 0x0E)
_IN_FRAME = (0x2005, "Philips MR Imaging DD 005", 0x0F)
"""The sequence in which enhanced images keep the private elements of a frame."""


def real_world(levels: Sequence[Attributes], slope: Any, intercept: Any) -> tuple[tuple[float, float] | None, str]:
    """(slope, intercept) from stored to real-world values of one frame, or None where the header has none; and why it
    does not say which they are, "" where it does.

    levels            where its private elements are: the frame's own groups and the shared ones, or the data set
    slope, intercept  of the modality's rescale, None for none
    """
    found = _mapping(levels)
    return (_philips(levels, slope, intercept), "") if found is None else found


def _mapping(levels: Sequence[Attributes]) -> tuple[tuple[float, float] | None, str] | None:
    """None without a mapping. Several items map ranges of stored values, or to several units: one volume has one."""
    items = next((items for level in levels if (items := value(level, _SEQUENCE))), None)
    if items is None:
        return None
    found = {_pair(item.get("RealWorldValueSlope"), item.get("RealWorldValueIntercept")) for item in items}
    if len(found) > 1:
        return None, f"{len(items)} items of 'Real World Value Mapping Sequence' that map to different values"
    pair = found.pop()
    if pair is None and any(item.get("RealWorldValueLUTData") for item in items):
        return None, "real-world values by a table, not by a slope"
    return None if pair is None else (pair, "")


def _philips(levels: Sequence[Attributes], slope: Any, intercept: Any) -> tuple[float, float] | None:
    inner = [item for level in levels for item in private(level, *_IN_FRAME) or ()]
    scale = next((x for x in (private(level, *_SCALE) for level in (*levels, *inner)) if x is not None), None)
    given, found = _pair(1.0 if slope is None else slope, intercept or 0.0), _pair(scale, 0.0)
    if given is None or found is None:
        return None
    return 1 / found[0], given[1] / (given[0] * found[0])


def _pair(slope: Any, intercept: Any) -> tuple[float, float] | None:
    try:
        found = float(slope), float(intercept)
    except (TypeError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) and found[0] != 0 else None
