"""What the numbers of images say about volumes: whether a temporal position numbers these at all, and whether volumes
that look complete are, when at each position another image is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from node.imaging.attributes import Frame

_ALMOST = 1e-6
"""A part of the time from volume to volume, for what arithmetic does to times."""


def without_image_numbers(columns: Sequence[list[Frame]]) -> list[list[Frame]]:
    """The images at each position, without their temporal positions where those number images or slices.

    Some systems count every image of a series there, some give one number to all of a slice. Numbers of which some
    recur at several positions are of volumes (PS3.3 C.7.6.18), and stay even if they contradict each other.
    """
    numbers = [[frame.weighting.position for frame in column] for column in columns]
    found = [number for of_column in numbers for number in of_column if number is not None]
    together = sum(map(len, columns))
    if len(columns) < 2 or together == len(columns) or len(found) < together:
        return list(columns)
    by_image = len(set(found)) == together
    by_slice = len(set(found)) == len(columns) and all(len(set(of_column)) == 1 for of_column in numbers)
    if not (by_image or by_slice):
        return list(columns)
    return [[replace(f, weighting=replace(f.weighting, position=None)) for f in column] for column in columns]


def closed_up(columns: Sequence[Sequence[Frame]]) -> str:
    """Why volumes are of images of several times, in words; "" where nothing says so.

    Every position has as many images, in order. Where instance numbers go volume by volume, each of them says by itself
    to which volume its image belongs; when positions disagree, images are missing, and later ones took their places.
    Times must say the same where the headers have them, for numbers alone may have gaps of another kind.
    """
    if len(columns[0]) < 2:
        return ""
    numbers = [[None if frame.order is None else float(frame.order[0]) for frame in column] for column in columns]
    times = [[frame.weighting.time for frame in column] for column in columns]
    by_number = _disagreeing(numbers, at_least=len(columns))
    if not by_number or _disagreeing(times, at_least=0) == 0:
        return ""
    return (
        f"{by_number} of {len(columns)} positions lack another image than the first, by instance numbers and times: "
        "volumes would mix images of several times"
    )


def _disagreeing(values: Sequence[Sequence[float | None]], at_least: float) -> int | None:
    """How many positions have another volume somewhere than the first position; None where the values do not tell, 0
    where their usual step is below `at_least`: they do not go volume by volume."""
    known = [[value for value in column if value is not None] for column in values]
    if any(
        len(column) < len(all_) or len(set(column)) < len(column) for column, all_ in zip(known, values, strict=True)
    ):
        return None
    step = median(b - a for column in known for a, b in pairwise(column))
    if step <= 0 or step < at_least:
        return 0
    start = min(map(min, known))
    volumes = [[math.floor((value - start) / step + _ALMOST) for value in column] for column in known]
    return sum(column != volumes[0] for column in volumes)
