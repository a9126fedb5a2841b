"""From values to brightness, 0 (black) to 1 (white): the windows of PS3.3 C.11.2.1.2 and C.11.2.1.3.

LINEAR is the one of the 1990s, counted in whole numbers: a width of 400 about 40 is 400 grey values, -160 to 239, and
the same numbers under LINEAR_EXACT go from -160 to 240. SIGMOID has no ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from node.imaging.layout import Array
from node.imaging.lookup import Floats

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
FUNCTIONS: tuple[Function, ...] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

_MOST, _FEWER = 1 << 23, 7
"""Of more values than the first, for 512 x 512 pixels those of 32 frames, every seventh is taken, then every 49th. Rows
are hardly ever a multiple of 7 long, so that all columns are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    center: float
    width: float
    function: Function = "LINEAR"

    def problem(self) -> str | None:
        """Why the standard does not allow it: LINEAR has a width of at least 1, the others one above 0."""
        least = 1.0 if self.function == "LINEAR" else 0.0
        if not np.isfinite([self.center, self.width]).all():
            return "a window that is not finite"
        if self.width < least or self.width == 0:
            return f"a {self.function} window of width {self.width:g}"
        return None

    def share(self, values: Array) -> Floats:
        """0 to 1 for each value; NaN becomes 0. Call it only where there is no `problem`."""
        x = values.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.function == "SIGMOID":
                found = 1 / (1 + np.exp(-4 * (x - self.center) / self.width))
            else:
                found = self._line(x)
        return np.nan_to_num(found, copy=False, nan=0.0)

    def _line(self, x: Floats) -> Floats:
        half = 0.5 if self.function == "LINEAR" else 0.0
        center, width = self.center - half, self.width - 2 * half
        low, high = center - width / 2, center + width / 2
        if high <= low:  # a threshold: C.11.2.1.2.1 with a width of 1, or a width that floats cannot hold
            return np.asarray((x > low).astype(np.float64))
        # Divided by the distance of the ends as floats have them, so that the ends are 0 and 1 exactly.
        return np.asarray(np.clip((x - low) / (high - low), 0, 1))


# Hounsfield units. Radiopaedia, "Windowing (CT)": brain W 80 L 40, lungs W 1500 L -600, soft tissues (abdomen) W 400
# L 50, bone W 1800 L 400.
PRESETS: Mapping[str, Window] = {
    "lung": Window(center=-600, width=1500),
    "bone": Window(center=400, width=1800),
    "brain": Window(center=40, width=80),
    "soft_tissue": Window(center=50, width=400),
}


def percentile_window(frames: Iterable[Array], percentiles: tuple[float, float]) -> Window | None:
    """The window from one percentile of all values to the other.

    frames  values of each frame that count, padding left out; any number of any size

    None when no value is finite. Where both ends are one value the width is the smallest there is.
    """
    kept: list[Floats] = []
    step, held = 1, 0
    for frame in frames:
        finite = frame.ravel()[::step].astype(np.float64)
        kept.append(finite[np.isfinite(finite)])
        held += len(kept[-1])
        if held > _MOST:
            kept = [values[::_FEWER] for values in kept]
            step, held = _FEWER * step, sum(map(len, kept))
    if not held:
        return None
    low, high = np.percentile(np.concatenate(kept), percentiles)
    return Window(center=float(low + (high - low) / 2), width=max(float(high - low), 1e-300), function="LINEAR_EXACT")
