"""Whether the frames of a series fit together, and what does not: findings with numbers.

A series may be made of several stacks on purpose (echoes, magnitude and phase, reconstructions), so positions are
and rescale are compared within frames of one kind; size, orientation, spacing and frame of reference in all of them.
No finding stops the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from node.errors import CannotSucceed
from node.imaging.geometry import ORTHONORMAL, TILT, check_plane, uniformity_of
from node.imaging.ordering import directions, heights_of, levels, nearness, stackable, stacks_of
from node.imaging.planes import Plane

FINDINGS: Mapping[str, str] = {
    "unreadable": "an instance cannot be read",
    "mixed_size": "rows and columns differ",
    "mixed_pixels": "photometric interpretation, samples, bits or sign differ",
    "mixed_orientation": "planes are not parallel, as in a localizer",
    "skewed_orientation": "the direction cosines are not two orthogonal unit vectors",
    "missing_geometry": "a position or an orientation is missing",
    "missing_spacing": "a pixel spacing is missing",
    "implausible_spacing": "a spacing is zero, negative, or of no scanner",
    "mixed_spacing": "pixel spacings differ",
    "missing_position": "a slice is missing between others",
    "uneven_spacing": "slices are not evenly spaced",
    "contradicted_spacing": "slices lie elsewhere than Spacing Between Slices says",
    "scattered_positions": "slices are not on one straight line, or lie beside each other",
    "duplicate_position": "images at one position that nothing tells apart",
    "ragged": "not the same number of images at every position",
    "mixed_rescale": "rescale slope or intercept differ; not looked at in PET, where they do by design",
    "unusable_rescale": "a rescale slope is 0, it or the intercept no number or alone, or CT and PET have none",
    "mixed_frame_of_reference": "several frames of reference, or one that is missing in some",
    "missing_frame_of_reference": "positions without a frame of reference, as some de-identification leaves them",
    "fewer_than_announced": "fewer instances than the headers say there are",
}
"""Every finding and what it means."""

SMALLEST, LARGEST, FARTHEST = 0.0005, 30.0, 100.0
"""mm: pixels outside of the first two, and slices farther apart than the third, are of no scanner: half a micrometre
is below what micro CT does, 30 mm above the largest pixels of nuclear medicine."""

_SAME = 1e-4
"""Relative, for spacings: what rounding in a header does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    what: str
    """A key of FINDINGS."""
    text: str
    members: tuple[int, ...] = ()
    """Indices of the instances that are unlike the others; empty when it is of the whole series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Frames of one kind and orientation, in order of position."""

    planes: int
    positions: int
    images_per_position: tuple[int, int]
    """Fewest and most."""
    distance: float | None
    """mm between neighbouring slices, which half of them have at most; None with one position."""
    tilt: float
    """Degrees between the direction of the stack and the normal of its planes; 0 with one position."""


def consistency(planes: Sequence[Plane]) -> tuple[list[Finding], list[Stack]]:
    """What does not fit together in the frames of one series, and the stacks that they make."""
    findings = [*_alike(planes), *_geometry(planes), *_spacing(planes)]
    stacks: list[Stack] = []
    for group in stacks_of(planes):
        stack, found = _stack(group)
        stacks.append(stack)
        findings += found
    return _merged(findings), stacks


def _alike(planes: Sequence[Plane]) -> Iterator[Finding]:
    """What should be the same in every frame."""
    yield from _mixed(planes, "mixed_size", lambda p: p.size, lambda size: f"{size[0]} x {size[1]}")
    yield from _mixed(planes, "mixed_pixels", lambda p: p.pixel, lambda pixel: " ".join(map(str, pixel)))
    kinds: dict[tuple[Hashable, ...], list[Plane]] = {}
    for plane in planes:
        if plane.modality != "PT":  # PS3.3 C.8.9.4: each image of a PET series has its own
            kinds.setdefault(plane.kind, []).append(plane)
    for group in kinds.values():
        yield from _mixed(group, "mixed_rescale", lambda p: p.rescale, _rescale_text)
    for fault in dict.fromkeys(plane.unscaled for plane in planes if plane.unscaled):
        odd = [plane for plane in planes if plane.unscaled == fault]
        yield Finding(what="unusable_rescale", text=f"{len(odd)} frames: {fault}", members=_of(odd))
    placed = [plane for plane in planes if plane.position]
    references = {plane.reference for plane in placed}
    without = [plane for plane in placed if not plane.reference]
    if len(references) > 1:
        text = f"{len(references - {''})} frames of reference, and {len(without)} frames without"
        yield Finding(what="mixed_frame_of_reference", text=text, members=_of(without))
    elif without:
        text = f"{len(without)} frames with a position, and none with a frame of reference"
        yield Finding(what="missing_frame_of_reference", text=text)


def _mixed(
    planes: Sequence[Plane], what: str, value: Callable[[Plane], Hashable], text: Callable[[Any], str]
) -> Iterator[Finding]:
    counts = Counter(value(plane) for plane in planes)
    if len(counts) < 2:
        return
    usual = counts.most_common(1)[0][0]
    shown = [f"{count} of {text(found)}" for found, count in counts.most_common(4)]
    more = f" and {len(counts) - 4} more" if len(counts) > 4 else ""
    odd = tuple(dict.fromkeys(plane.member for plane in planes if value(plane) != usual))
    yield Finding(what=what, text=f"{', '.join(shown)}{more}", members=odd)


def _rescale_text(rescale: tuple[float, float] | None) -> str:
    return "none" if rescale is None else f"{rescale[0]:g} and {rescale[1]:g}"


def _geometry(planes: Sequence[Plane]) -> Iterator[Finding]:
    placed = [plane for plane in planes if plane.position and plane.orientation]
    for name, missing in (
        ("Image Position (Patient)", [p for p in planes if p.position is None]),
        ("Image Orientation (Patient)", [p for p in planes if p.orientation is None]),
    ):
        # Of a radiograph nobody expects them; of one image among others that have them, they are missing.
        lacking = [plane for plane in missing if plane.planar or placed]
        if lacking:
            yield Finding(what="missing_geometry", text=f"{len(lacking)} frames without '{name}'", members=_of(lacking))
    for plane in placed:
        try:
            check_plane(plane.orientation or (), (1.0, 1.0))
        except CannotSucceed as error:
            yield Finding(what="skewed_orientation", text=str(error), members=(plane.member,))
    if placed and not stackable(placed):
        text = f"{len(directions(placed))} orientations in {len(placed)} frames"
        yield Finding(what="mixed_orientation", text=text)
    for alike in directions(placed):
        cosines = np.array([plane.orientation for plane in alike])
        if (apart := float(np.ptp(cosines, axis=0).max())) > ORTHONORMAL:
            text = f"{len(alike)} frames that are nearly parallel: cosines up to {apart:.4f} apart"
            yield Finding(what="mixed_orientation", text=text)


def _spacing(planes: Sequence[Plane]) -> Iterator[Finding]:
    lacking = [plane for plane in planes if plane.spacing is None and (plane.planar or plane.position)]
    if lacking:
        yield Finding(
            what="missing_spacing", text=f"{len(lacking)} frames without 'Pixel Spacing'", members=_of(lacking)
        )
    spaced = [(plane, plane.spacing) for plane in planes if plane.spacing]
    for plane, (rows, columns) in spaced:
        if not SMALLEST <= min(rows, columns) <= max(rows, columns) <= LARGEST:
            text = f"'Pixel Spacing' is {rows:g} x {columns:g} mm"
            yield Finding(what="implausible_spacing", text=text, members=(plane.member,))
    if spaced:
        first = spaced[0][1]
        odd = [
            p for p, spacing in spaced if any(abs(a - b) > _SAME * abs(a) for a, b in zip(first, spacing, strict=True))
        ]
        if odd:
            sizes = sorted({spacing for _, spacing in spaced})
            text = f"'Pixel Spacing' from {sizes[0][0]:g} x {sizes[0][1]:g} to {sizes[-1][0]:g} x {sizes[-1][1]:g} mm"
            yield Finding(what="mixed_spacing", text=text, members=_of(odd))


def _stack(planes: Sequence[Plane]) -> tuple[Stack, list[Finding]]:
    places, near = levels(planes), nearness(planes)
    heights = heights_of(planes)[[place[0] for place in places]]
    centres = np.array([planes[place[0]].position for place in places])
    steps = np.diff(heights)
    findings = [*_occupied(planes, places)]
    distance, tilt = None, 0.0
    if len(places) > 1:
        distance = float(np.sort(steps)[(len(steps) - 1) // 2])
        findings += [*_steps(steps, distance, nearness(planes, uniformity_of)), *_announced(planes, distance, near)]
        whole = centres[-1] - centres[0]
        length = float(np.linalg.norm(whole))
        tilt = float(np.degrees(np.arccos(np.clip(float(heights[-1] - heights[0]) / length, -1, 1))))
        on_line = centres[0] + np.outer((heights - heights[0]) / (heights[-1] - heights[0]), whole)
        worst = float(np.linalg.norm(centres - on_line, axis=1).max())
        if worst > 2 * near:
            findings.append(
                Finding(what="scattered_positions", text=f"a slice {worst:.3f} mm off the line of the others")
            )
    positions = np.array([plane.position for plane in planes])
    aside = max(float(np.linalg.norm(positions[place] - positions[place[0]], axis=1).max()) for place in places)
    if aside > 2 * near:
        text = f"images at one height lie {aside:.3f} mm beside each other"
        findings.append(Finding(what="scattered_positions", text=text))
    counts = [len(place) for place in places]
    return Stack(
        planes=len(planes), positions=len(places), images_per_position=(min(counts), max(counts)), distance=distance,
        tilt=tilt if tilt > TILT else 0.0,
    ), findings  # fmt: skip


def _occupied(planes: Sequence[Plane], places: Sequence[Sequence[int]]) -> Iterator[Finding]:
    counts = Counter(len(place) for place in places)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = [planes[n] for place in places if len(place) != usual for n in place]
        shown = ", ".join(f"{times} with {count}" for count, times in sorted(counts.items()))
        yield Finding(what="ragged", text=f"images at {len(places)} positions: {shown}", members=_of(odd))
    twice = [planes[n] for place in places for n in _twins(planes, place)]
    if twice:
        yield Finding(
            what="duplicate_position", text=f"{len(twice)} images share position, number and time", members=_of(twice)
        )


def _twins(planes: Sequence[Plane], place: Sequence[int]) -> list[int]:
    """Those at one place that nothing tells apart; frames of one instance have their frame numbers."""
    alike: dict[tuple[Hashable, ...], list[int]] = {}
    for n in place:
        alike.setdefault((planes[n].number, planes[n].moment), []).append(n)
    return [n for group in alike.values() for n in group if len({planes[other].member for other in group}) > 1]


def _steps(steps: Any, usual: float, near: float) -> Iterator[Finding]:
    times = np.maximum(np.rint(steps / usual), 1)
    uneven = np.abs(steps - times * usual) > 2 * near * times
    gaps = (times > 1) & ~uneven
    if usual > FARTHEST:
        yield Finding(what="implausible_spacing", text=f"slices lie {usual:g} mm apart")
    if gaps.any():
        missing, where = int((times[gaps] - 1).sum()), int(gaps.sum())
        text = f"missing slices: {missing}; neighbours lie {usual:.3f} mm apart, in {where} of {len(steps)} places "
        yield Finding(what="missing_position", text=f"{text}up to {steps[gaps].max():.3f} mm")
    along = np.concatenate([[0.0], np.cumsum(steps)])
    drift = float(np.abs(along - np.linspace(0, along[-1], len(along))).max())
    if uneven.any() or (drift > near and not gaps.any()):
        text = f"slices {steps.min():.3f} to {steps.max():.3f} mm apart, most {usual:.3f} mm"
        yield Finding(what="uneven_spacing", text=f"{text}; evenly spaced, one would be {drift:.3f} mm elsewhere")


def _announced(planes: Sequence[Plane], distance: float, near: float) -> Iterator[Finding]:
    """Spacing Between Slices is the distance of centres (PS3.3 C.7.6.2.1), in nuclear medicine with a sign."""
    said = {abs(plane.between) for plane in planes if plane.between}
    if len(said) == 1 and abs((between := said.pop()) - distance) > max(2 * near, 0.01 * between):
        text = f"slices lie {distance:.3f} mm apart, 'Spacing Between Slices' is {between:g}"
        yield Finding(what="contradicted_spacing", text=text)


def _of(planes: Sequence[Plane]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(plane.member for plane in planes))


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that say the same are one, of all their instances."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for each in findings:
        before = found.get((each.what, each.text), ())
        found[each.what, each.text] = tuple(dict.fromkeys((*before, *each.members)))
    return [Finding(what=what, text=text, members=members) for (what, text), members in found.items()]
