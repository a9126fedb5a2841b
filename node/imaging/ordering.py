"""The order of the frames of a series: by where they lie, else by Slice Location, else by Instance Number.

Where they lie is their position projected onto the normal of their plane. The z of the position alone is that only for
axial slices: for coronal ones it is the same everywhere, and for oblique ones it may run against the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from node.imaging.geometry import Floats, tolerance_of
from node.imaging.planes import Plane

PARALLEL = 0.02
"""How far cosines may be apart for planes to be stacked: one degree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Planes, first to last."""

    planes: tuple[Plane, ...]
    by: str
    """position | slice location | instance number | none"""


def ordered(planes: Sequence[Plane]) -> Ordered:
    """Sort the planes; what lies at one place keeps the order of instance and frame numbers.

    The result does not depend on the order that they came in, where anything tells them apart.
    """
    numbered = sorted(planes, key=_number)
    if stackable(planes):
        places = levels(numbered)
        return Ordered(planes=tuple(numbered[n] for level in places for n in level), by="position")
    if len(planes) and all(plane.location is not None for plane in planes):
        return Ordered(planes=tuple(sorted(numbered, key=lambda plane: plane.location or 0.0)), by="slice location")
    by = "instance number" if planes and all(plane.number is not None for plane in planes) else "none"
    return Ordered(planes=tuple(numbered), by=by)


def stackable(planes: Sequence[Plane]) -> bool:
    """Whether all have a position and lie parallel to each other."""
    if not planes or any(plane.position is None or plane.orientation is None for plane in planes):
        return False
    cosines = np.array([plane.orientation for plane in planes])
    return bool(np.abs(cosines - cosines[0]).max() <= PARALLEL) and bool(np.linalg.norm(_normal(planes[0])) > 0.5)


def trend(values: Sequence[float | None]) -> str:
    """How values go in an order: ascending, descending, neither, or absent where one is not there."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return "absent"
    pairs = list(pairwise(known))
    if all(a <= b for a, b in pairs):
        return "ascending"
    return "descending" if all(a >= b for a, b in pairs) else "neither"


def directions(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes that have an orientation, by orientation, in order of the first of each."""
    groups: list[list[Plane]] = []
    for plane in planes:
        home = next((group for group in groups if _parallel(group[0], plane)), None)
        if home is None:
            groups.append([plane])
        else:
            home.append(plane)
    return groups


def stacks_of(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes that have a position, by kind, size and orientation."""
    kinds: dict[tuple[object, ...], list[Plane]] = {}
    for plane in planes:
        if plane.position and plane.orientation:
            kinds.setdefault((plane.kind, plane.size), []).append(plane)
    return [alike for group in kinds.values() for alike in directions(group) if stackable(alike)]


def main_stack(planes: Sequence[Plane]) -> list[Plane]:
    """The stack with the most positions, first to last, one plane at each: the one that comes first there.

    Without stacks all planes in their order.
    """
    best: list[Plane] = []
    for stack in stacks_of(planes):
        numbered = sorted(stack, key=_number)
        firsts = [numbered[level[0]] for level in levels(numbered)]
        best = firsts if len(firsts) > len(best) else best
    return best or list(ordered(planes).planes)


def levels(planes: Sequence[Plane]) -> list[list[int]]:
    """Indices of planes that are `stackable`, by place along their normal, and in each place in the order given."""
    heights = heights_of(planes)
    near = nearness(planes)
    found: list[list[int]] = []
    for n in np.argsort(heights, kind="stable"):
        if found and heights[n] - heights[found[-1][0]] <= near:
            found[-1].append(int(n))
        else:
            found.append([int(n)])
    return [sorted(level) for level in found]


def heights_of(planes: Sequence[Plane]) -> Floats:
    """mm along the normal of the first plane."""
    return np.asarray(np.array([plane.position for plane in planes], np.float64) @ _normal(planes[0]))


def nearness(planes: Sequence[Plane], of: Callable[[tuple[float, float]], float] = tolerance_of) -> float:
    """mm: what lies closer than this lies at one place, or `of` something else; of the smallest pixel."""
    spacings = [plane.spacing for plane in planes if plane.spacing and min(plane.spacing) > 0]
    return min((of(spacing) for spacing in spacings), default=of((1.0, 1.0)))


def _normal(plane: Plane) -> Floats:
    assert plane.orientation is not None
    normal = np.cross(plane.orientation[:3], plane.orientation[3:])
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length if length else normal)


def _parallel(a: Plane, b: Plane) -> bool:
    return all(abs(x - y) <= PARALLEL for x, y in zip(a.orientation or (), b.orientation or (), strict=True))


def _number(plane: Plane) -> tuple[bool, int, int, int]:
    return plane.number is None, plane.number or 0, plane.frame, plane.member
