"""How much a region encloses, from its contours alone: for who has a structure set and not its images.

Each plane is sampled as finely as its contours are large, by the same even-odd rule as masks are made, and stands for
the distance of planes in the whole structure set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from node.imaging.geometry import Floats
from node.imaging.raster import Patch, fill
from node.imaging.structures import CLOSED, CLOSED_XOR, Contour

_ACROSS = 400
"""Samples along the longer side of what a plane has: areas to better than 0.1 %."""
_SAME_PLANE = 0.01
"""Millimetres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Of one region."""

    planes: int
    area: float
    """mm2, the sum of all planes."""

    def millilitres(self, between: float | None) -> float | None:
        """With planes `between` mm apart; None when that is not known."""
        return None if between is None else self.area * between / 1000.0


def extent_of(contours: Sequence[Contour]) -> Extent:
    """What closed contours enclose; CLOSED_PLANAR inside each other are holes. Others enclose nothing."""
    planes = _planes(contours)
    return Extent(planes=len(planes), area=sum(_area(paths, normal) for paths, normal in planes.values()))


def distance_of_planes(contours: Iterable[Contour]) -> float | None:
    """The distance, mm, between neighbouring planes that is met most often; None when all lie on one."""
    heights: dict[tuple[float, ...], list[float]] = {}
    for direction, height in _planes(list(contours)):
        heights.setdefault(direction, []).append(height)
    gaps = np.concatenate([np.diff(np.sort(of_one)) for of_one in heights.values()] or [np.empty(0)])
    gaps = np.round(gaps[gaps > _SAME_PLANE], 3)
    if not gaps.size:
        return None
    values, counts = np.unique(gaps, return_counts=True)
    return float(values[counts.argmax()])


def _planes(
    contours: Sequence[Contour],
) -> dict[tuple[tuple[float, ...], float], tuple[list[Floats], Floats]]:
    """(direction, height) -> the contours there and the normal; contours of one plane need not turn the same way."""
    found: dict[tuple[tuple[float, ...], float], tuple[list[Floats], Floats]] = {}
    for contour in contours:
        if contour.kind not in (CLOSED, CLOSED_XOR) or len(contour.points) < 3:
            continue
        normal = _normal(contour.points)
        direction = tuple(float(x) for x in np.round(normal, 2) + 0.0)
        height = float(np.round(contour.points.mean(axis=0) @ normal / _SAME_PLANE)) * _SAME_PLANE
        found.setdefault((direction, height), ([], normal))[0].append(contour.points)
    return found


def _normal(points: Floats) -> Floats:
    """Newell's, of length 1, pointing to the side where its largest component is positive."""
    ahead = np.roll(points, -1, axis=0)
    normal = np.cross(points - points[0], ahead - points[0]).sum(axis=0)
    largest = normal[np.abs(normal).argmax()]
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / (length if largest > 0 else -length)) if length else np.array([0.0, 0.0, 1.0])


def _area(paths: Sequence[Floats], normal: Floats) -> float:
    """mm2, even-odd."""
    across = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    across /= np.linalg.norm(across)
    flat = [path @ np.stack([across, np.cross(normal, across)], 1) for path in paths]
    low, high = np.min([p.min(axis=0) for p in flat], axis=0), np.max([p.max(axis=0) for p in flat], axis=0)
    size = float((high - low).max()) / _ACROSS
    if size <= 0:
        return 0.0
    # Half a sample off, so that an edge along the axes does not lie on samples.
    filled = [fill((p - low) / size - 0.5, (_ACROSS + 1, _ACROSS + 1)) for p in flat]
    insides = [found[0] for found in filled if found is not None]
    return Patch.joined(insides, exclusive=True).count * size * size if insides else 0.0
