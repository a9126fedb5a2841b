"""Which frames make one volume: decided from headers alone, before a pixel is read.

Frames that are alike (series, matrix, orientation, spacing, image type, echo, ...) are stacked by position along their
normal. Several at every position make the fourth dimension (see sequence.py). A stack that is tilted or not uniform
becomes what the caller chose. Anything else is unplaced, with the reason: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from node.errors import CannotSucceed
from node.imaging import geometry
from node.imaging.attributes import Frame
from node.imaging.geometry import Floats
from node.imaging.sequence import Arranged, arrange

SAME_COSINE = 1e-4
"""Cosines closer than this are one orientation: 0.025 mm over a 250 mm field, and the gate looks again."""

SAME_SPACING = 1e-5
"""Relative: 5 µm over 512 pixels of 1 mm."""

_DAY = 86400.0
"""Seconds; times without a date are less (weighting.py)."""

ASSUMED = 1.0
"""mm, the third dimension of a single slice whose header has no thickness."""

Tilt = Literal["resample", "sheared", "hold"]
Gaps = Literal["split", "resample", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A 3-D or 4-D stack and the frames that fill it."""

    frames: tuple[Frame, ...]
    """Slice by slice, then volume by volume. len(frames) == slices * times."""
    slices: int
    times: int
    places: Floats
    """(slices, 3) LPS mm: the centre of the first pixel of each slice."""
    affine: Floats
    """(4, 4), voxel (column, row, slice) to RAS, mm; of the frames as they are, where those are uniform."""
    sheared: bool = False
    """The slices are not at right angles to the stack; the affine says so."""
    resampled: bool = False
    """It is to be interpolated onto a grid at right angles, with one distance; see resample.py."""
    order: str = ""
    """What decided the order of volumes."""
    split: tuple[str, ...] = ()
    """Why it is apart from other frames of its series."""
    assumptions: tuple[str, ...] = ()

    @property
    def rescale(self) -> tuple[float, float] | None:
        """(slope, intercept) when all frames have the same, else None."""
        found = {(frame.slope, frame.intercept) for frame in self.frames}
        return found.pop() if len(found) == 1 else None

    @property
    def columns(self) -> list[tuple[Frame, ...]]:
        """For each slice its frames, in the order of volumes."""
        return [self.frames[k :: self.slices] for k in range(self.slices)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """Frames that make no volume with certainty."""

    frames: tuple[Frame, ...]
    reason: str


def plan(frames: Iterable[Frame], tilt: Tilt = "resample", gaps: Gaps = "split") -> list[Volume | Unplaced]:
    """Decide what volumes the frames of a series (or of several) make. Every frame is in exactly one of them.

    The result follows the order of the frames: of groups by their first frame, and so it is stable for a stable input.
    """
    groups = _alike(_past_midnight(list(frames)))
    return [found for group in groups for found in _stacks(group, len(groups), tilt, gaps)]


def _past_midnight(frames: list[Frame]) -> list[Frame]:
    """Times without a date that are on both ends of a day began before midnight, for no series takes twelve hours."""
    undated = [time for f in frames if (time := f.weighting.time) is not None and 0 <= time < _DAY]
    if not undated or max(undated) - min(undated) <= _DAY / 2:
        return frames
    return [
        replace(f, weighting=replace(f.weighting, time=time + _DAY))
        if (time := f.weighting.time) is not None and 0 <= time < _DAY / 2
        else f
        for f in frames
    ]


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


def _stacks(group: Sequence[Frame], groups: int, tilt: Tilt, gaps: Gaps) -> list[Volume | Unplaced]:
    first = group[0]
    try:
        geometry.check_plane(first.orientation, first.spacing)
    except CannotSucceed as error:
        return [Unplaced(frames=tuple(group), reason=str(error))]
    near = geometry.tolerance_of(first.spacing)
    apart = geometry.lanes(_positions(group), first.orientation, near)
    why = []
    if groups > 1:
        why.append(f"{groups} groups by orientation, size, spacing, echo, image type, series or units")
    if len(apart) > 1:
        why.append(f"{len(apart)} stacks beside each other")
    found: list[Volume | Unplaced] = []
    for lane in apart:
        frames = [group[n] for n in lane]
        columns = [[frames[n] for n in level] for level in geometry.levels(_positions(frames), first.orientation, near)]
        try:
            sets = arrange(columns)
        except CannotSucceed as error:
            found.append(Unplaced(frames=tuple(frames), reason=str(error)))
            continue
        for one in sets:
            found += _pieces(one, why + [one.split] * bool(one.split), tilt, gaps)
    return found


def _pieces(one: Arranged, why: list[str], tilt: Tilt, gaps: Gaps) -> list[Volume | Unplaced]:
    centres = _positions([column[0] for column in one.columns])
    near = geometry.uniformity_of(one.columns[0][0].spacing)
    runs = geometry.uniform_runs(centres, near)
    if len(runs) == 1:
        return [_volume(one, 0, len(centres), why, near, tilt)]
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    uneven = f"{len(centres)} slices {steps.min():.3f} to {steps.max():.3f} mm apart"
    if gaps == "hold":
        off = geometry.off_uniform(centres)
        reason = f"{uneven}: a uniform stack would put one {off:.3f} mm off its place"
        return [Unplaced(frames=_all(one.columns), reason=reason)]
    if gaps == "resample":
        return [_resampled(one, [*why, uneven], near, tilt)]
    return [_volume(one, a, b, [*why, f"{uneven}: {len(runs)} uniform pieces"], near, tilt) for a, b in runs]


def _volume(one: Arranged, a: int, b: int, why: list[str], near: float, tilt: Tilt) -> Volume | Unplaced:
    columns, first = one.columns[a:b], one.columns[a][0]
    centres = _positions([column[0] for column in columns])
    assumptions = _assumptions(one)
    tilted = geometry.tilt_of(centres, first.orientation, near)
    if tilted is not None:
        words = f"tilted by {tilted[0]:.2f} degrees: slices shift {tilted[1]:.2f} mm from first to last"
        if tilt == "hold":
            return Unplaced(frames=_all(columns), reason=words)
        assumptions.append(words)
    if len(columns) > 1:
        step = (centres[-1] - centres[0]) / (len(columns) - 1)
    else:
        step = geometry.normal_of(first.orientation) * _thickness(first, assumptions)
    return Volume(
        frames=tuple(column[t] for t in range(len(columns[0])) for column in columns),
        slices=len(columns),
        times=len(columns[0]),
        places=centres,
        affine=geometry.affine_of(centres[0], step, first.orientation, first.spacing),
        sheared=tilted is not None and tilt == "sheared",
        resampled=tilted is not None and tilt == "resample",
        order=one.by,
        split=tuple(why),
        assumptions=tuple(assumptions),
    )


def _resampled(one: Arranged, why: list[str], near: float, tilt: Tilt) -> Volume | Unplaced:
    centres = _positions([column[0] for column in one.columns])
    first = one.columns[0][0]
    tilted = geometry.tilt_of(centres, first.orientation, near)
    if tilted is not None and tilt != "resample":
        words = f"tilted by {tilted[0]:.2f} degrees, and not uniform"
        return Unplaced(frames=_all(one.columns), reason=f"{words}: with gaps resampled, tilt must be as well")
    step = geometry.normal_of(first.orientation) * float(np.median(np.linalg.norm(np.diff(centres, axis=0), axis=1)))
    return Volume(
        frames=tuple(column[t] for t in range(len(one.columns[0])) for column in one.columns),
        slices=len(one.columns),
        times=len(one.columns[0]),
        places=centres,
        affine=geometry.affine_of(centres[0], step, first.orientation, first.spacing),
        resampled=True,
        order=one.by,
        split=tuple(why),
        assumptions=tuple(_assumptions(one)),
    )


def _assumptions(one: Arranged) -> list[str]:
    times = len(one.columns[0])
    return [f"{times} images at each position: fourth dimension in the order of the {one.by}"] if times > 1 else []


def _thickness(frame: Frame, assumptions: list[str]) -> float:
    if frame.thickness is not None and frame.thickness > 0:
        assumptions.append(f"one slice position: the slice thickness of {frame.thickness:g} mm is its third dimension")
        return frame.thickness
    assumptions.append(f"one slice position and no slice thickness: {ASSUMED:g} mm as its third dimension")
    return ASSUMED


def _positions(frames: Sequence[Frame]) -> Floats:
    return np.array([frame.position for frame in frames], np.float64)


def _all(columns: Sequence[Sequence[Frame]]) -> tuple[Frame, ...]:
    return tuple(frame for column in columns for frame in column)
