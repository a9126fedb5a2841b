"""Which frames make one volume: decided from headers alone, before a pixel is read.

Frames that are alike (series, matrix, orientation, spacing, image type, echo, ...) are stacked by position. Several at
every position make the fourth dimension, in the order of instance and frame numbers, when that order is the same
everywhere. Anything else is unplaced, with the reason: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.geometry import Floats, stack

SAME_COSINE = 1e-4
"""Cosines closer than this are one orientation: 0.025 mm over a 250 mm field, and the gate looks again."""

SAME_SPACING = 1e-5
"""Relative: 5 µm over 512 pixels of 1 mm."""

Tilt = Literal["sheared", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A 3-D or 4-D grid and the frames that fill it."""

    frames: tuple[Frame, ...]
    """In file order: slice by slice, then volume by volume. len(frames) == slices * times."""
    slices: int
    times: int
    affine: Floats
    """(4, 4), voxel (column, row, slice) to RAS, mm."""
    sheared: bool = False
    """The slices are not at right angles to the stack; the affine says so."""
    assumptions: tuple[str, ...] = ()

    @property
    def rescale(self) -> tuple[float, float] | None:
        """(slope, intercept) when all frames have the same, else None."""
        found = {(frame.slope, frame.intercept) for frame in self.frames}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """Frames that make no volume with certainty."""

    frames: tuple[Frame, ...]
    reason: str


def plan(frames: Iterable[Frame], tilt: Tilt = "hold") -> list[Volume | Unplaced]:
    """Decide what volumes the frames of a series (or of several) make. Every frame is in exactly one of them.

    tilt  of a tilted stack: `sheared` makes a volume with a sheared affine

    The result follows the order of the frames: of groups by their first frame, and so it is stable for a stable input.
    """
    return [_volume(group, tilt) for group in _alike(frames)]


def _alike(frames: Iterable[Frame]) -> list[list[Frame]]:
    groups: dict[tuple[object, ...], list[list[Frame]]] = {}
    for frame in frames:
        same_key = groups.setdefault(frame.like, [])
        # Compared with the first of each group, not rounded into a key: rounding splits what lies on its border.
        home = next((group for group in same_key if _same_plane(group[0], frame)), None)
        if home is None:
            same_key.append([frame])
        else:
            home.append(frame)
    return [group for same_key in groups.values() for group in same_key]


def _same_plane(a: Frame, b: Frame) -> bool:
    return all(abs(x - y) <= SAME_COSINE for x, y in zip(a.orientation, b.orientation, strict=True)) and all(
        abs(x - y) <= SAME_SPACING * x for x, y in zip(a.spacing, b.spacing, strict=True)
    )


def _volume(group: Sequence[Frame], tilt: Tilt) -> Volume | Unplaced:
    try:
        first = group[0]
        positions = np.array([frame.position for frame in group], np.float64)
        found = stack(positions, first.orientation, first.spacing, first.thickness, sheared=tilt == "sheared")
        columns = [_in_time([group[n] for n in level]) for level in found.slices]
        _check_moments(columns)
    except CannotSucceed as error:
        return Unplaced(frames=tuple(group), reason=str(error))
    times = len(columns[0])
    assumptions = [found.tilt] if found.tilt else []
    if found.assumed_thickness:
        assumptions.append(f"one slice position: the slice thickness of {first.thickness:g} mm is its third dimension")
    if times > 1:
        assumptions.append(f"{times} images at each position: fourth dimension in the order of instance numbers")
    return Volume(
        frames=tuple(columns[k][t] for t in range(times) for k in range(len(columns))),
        slices=len(columns),
        times=times,
        affine=found.affine,
        sheared=bool(found.tilt),
        assumptions=tuple(assumptions),
    )


def _in_time(frames: list[Frame]) -> list[Frame]:
    if len(frames) == 1:
        return frames
    orders = [frame.order for frame in frames if frame.order is not None]
    if len(orders) < len(frames) or len(set(orders)) < len(orders):
        raise CannotSucceed(f"{len(frames)} images at one position, and instance numbers do not tell their order")
    return sorted(frames, key=lambda frame: frame.order or (0, 0))


def _check_moments(columns: Sequence[Sequence[Frame]]) -> None:
    """The t-th image of every position must be of one moment and one weighting, or volumes would be mixed."""
    for t, first in enumerate(columns[0]):
        odd = sum(column[t].moment != first.moment for column in columns)
        if len(columns[0]) > 1 and odd:
            raise CannotSucceed(
                f"by instance numbers, image {t + 1} of {odd} of {len(columns)} positions is of another temporal "
                "position or diffusion weighting than at the first position"
            )
