"""Whether Rescale Slope and Intercept turn stored values into values (PS3.3 C.11.1.1.2), or why they do not."""

from __future__ import annotations

from typing import Any

from node.imaging.functional import number_of

_NEEDED = frozenset(f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "128"))
"""CT and PET, whose images always have both (PS3.3 C.8.2.1, C.8.9.4): without them stored values have no unit."""


def fault_of(slope: Any, intercept: Any, sop_class: str) -> str:
    """What is wrong with the pair as it stands in a header, None for what is absent or empty; "" for nothing.

    A slope of zero makes every value the same; one that is not finite, or no number, makes none.
    """
    for name, given in (("Slope", slope), ("Intercept", intercept)):
        if given is not None and number_of(given) is None:
            return f"'Rescale {name}' is no finite number"
    if slope is None:
        if sop_class in _NEEDED:
            return "no 'Rescale Slope', which images of this kind always have"
        return "'Rescale Intercept' without 'Rescale Slope'" if intercept is not None else ""
    if number_of(slope) == 0:
        return "'Rescale Slope' is 0"
    return "'Rescale Slope' without 'Rescale Intercept'" if intercept is None else ""
