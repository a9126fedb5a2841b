"""Contours of one region onto the slices of a series.

Each contour is projected onto the plane of the slice that it lies on, by that slice's own header (PS3.3 C.7.6.2.1.1),
whatever way the slices are turned. A contour that lies on none is left out, with the reason and the distance: it is
never moved to the nearest slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from node.imaging.attributes import Frame
from node.imaging.geometry import Floats
from node.imaging.raster import Patch, fill
from node.imaging.stacked import KeptPatches
from node.imaging.structures import CLOSED, CLOSED_XOR, Contour

ON_SLICE = 0.05
"""Millimetres: what rounding coordinates to one decimal does. A contour farther from a slice is not on it."""

_OPEN = ("OPEN_PLANAR", "OPEN_NONPLANAR")

Nested = Literal["xor", "union"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """The slices of a volume, in its order."""

    positions: Floats
    """(n, 3) LPS mm: centre of the first pixel of each."""
    normals: Floats
    """(n, 3) unit vectors."""
    to_pixel: Floats
    """(n, 2, 3): from an offset in mm to (column, row)."""
    shape: tuple[int, int]
    """(rows, columns) of each."""
    step: float
    """Millimetres between neighbours, along the normal; the thickness of a single one."""

    @classmethod
    def of(cls, frames: Sequence[Frame], shape: tuple[int, int]) -> Planes:
        """From the frames of a volume, slice by slice."""
        positions = np.array([frame.position for frame in frames], np.float64)
        along = np.array([frame.orientation for frame in frames], np.float64).reshape(-1, 2, 3)
        spacing = np.array([[frame.spacing[1], frame.spacing[0]] for frame in frames])
        normals = np.cross(along[:, 0], along[:, 1])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        heights = np.sort(positions @ normals[0])
        step = float(np.diff(heights).mean()) if len(frames) > 1 else float(frames[0].thickness or 1.0)
        # A pixel's offset is column * spacing * row cosine + row * spacing * column cosine; this undoes it.
        to_pixel = np.linalg.pinv(np.transpose(along * spacing[:, :, None], (0, 2, 1)))
        return cls(positions=positions, normals=normals, to_pixel=to_pixel, shape=shape, step=step)

    @property
    def near(self) -> float:
        """How far from a slice a contour may be and lie on it, mm; less where slices are thin."""
        return min(ON_SLICE, 0.05 * self.step) + 1e-9  # 0.05 mm in decimals is not always that in binary


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Contours that are not, or not wholly, in the mask for one reason."""

    reason: str
    contours: int
    farthest: float | None = None
    """Millimetres from the nearest slice, at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """One region as pixels."""

    slices: Mapping[int, Patch]
    """Slice number, from 0 -> its pixels; slices without any are absent."""
    contours: int
    """How many were drawn."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What was assumed or is odd, without a name."""
    off_slice: float = 0.0
    """Millimetres from a drawn point to its slice, at most."""

    @property
    def voxels(self) -> int:
        return sum(patch.count for patch in self.slices.values())


@dataclass(slots=True)
class _Tally:
    """What is met on the way."""

    left_out: dict[str, list[float | None]] = field(default_factory=dict)
    clipped: int = 0
    elsewhere: int = 0
    off_slice: float = 0.0

    def leave_out(self, reason: str, distance: float | None = None) -> None:
        self.left_out.setdefault(reason, []).append(distance)


def draw(contours: Sequence[Contour], planes: Planes, nested: Nested = "xor", images: Sequence[str] = ()) -> Drawn:
    """Draw the contours of one region.

    nested   what a CLOSED_PLANAR contour inside or across another one means: a hole (xor), or nothing (union). The
             standard leaves it open; CLOSEDPLANAR_XOR are always combined by exclusive or (PS3.3 C.8.8.6.3)
    images   SOP Instance UID of each slice, where it is to be compared with the images that contours name
    """
    tally = _Tally()
    by_slice: dict[int, list[tuple[Contour, Floats]]] = {}
    for contour in contours:
        if reason := _no_area(contour):
            tally.leave_out(reason)
            continue
        place = _slice_of(contour, planes, tally)
        if place is None:
            continue
        if contour.images and images and images[place] not in contour.images:
            tally.elsewhere += 1
        path = (contour.points - planes.positions[place]) @ planes.to_pixel[place].T
        by_slice.setdefault(place, []).append((contour, path))
    slices = KeptPatches()
    drawn = over_each_other = twice = 0
    for place, found in sorted(by_slice.items()):
        kept = _once(found)
        twice += len(found) - len(kept)
        filled = [(c.kind, f) for c, path in kept if (f := _filled(path, planes.shape, tally)) is not None]
        drawn += len(filled)
        if filled:
            over_each_other += _overlap([f[0] for kind, f in filled if kind == CLOSED])
            patch = _combined(filled, nested)
            if patch.count:
                slices.keep(place, patch)
    notes = _notes(tally, over_each_other, twice, nested, sorted(by_slice))
    left_out = tuple(
        LeftOut(reason=reason, contours=len(far), farthest=max((x for x in far if x is not None), default=None))
        for reason, far in tally.left_out.items()
    )
    return Drawn(slices=slices, contours=drawn, left_out=left_out, notes=notes, off_slice=tally.off_slice)


def _no_area(contour: Contour) -> str:
    """Why a contour encloses nothing; '' when it does."""
    if contour.fault:
        return contour.fault
    if contour.kind == "POINT":
        return "a point has no area"
    if contour.kind in _OPEN:
        return "it is open"
    if contour.kind not in (CLOSED, CLOSED_XOR):
        return "'Contour Geometric Type' is none that has an area"
    return "it has fewer than three points" if len(contour.points) < 3 else ""


def _slice_of(contour: Contour, planes: Planes, tally: _Tally) -> int | None:
    middle = contour.points.mean(axis=0)
    heights = np.einsum("nk,nk->n", middle - planes.positions, planes.normals)
    place = int(np.abs(heights).argmin())
    offsets = (contour.points - planes.positions[place]) @ planes.normals[place]
    flat = float(np.ptp(offsets)) <= 2 * planes.near
    far = float(np.abs(offsets).max())
    if far <= planes.near:
        tally.off_slice = max(tally.off_slice, far)
        return place
    if not flat:
        tally.leave_out("it is not parallel to the slices", far)
    elif (heights > 0).all() or (heights < 0).all():
        tally.leave_out("it is outside the volume", far)
    else:
        tally.leave_out("it lies between slices", far)
    return None


def _once(found: Sequence[tuple[Contour, Floats]]) -> list[tuple[Contour, Floats]]:
    """Without contours that are there twice, point by point: read as a hole they would wipe each other out."""
    kept: list[tuple[Contour, Floats]] = []
    for contour, path in found:
        same = contour.kind == CLOSED and any(
            other.kind == CLOSED and np.array_equal(other.points, contour.points) for other, _ in kept
        )
        if not same:
            kept.append((contour, path))
    return kept


def _filled(path: Floats, shape: tuple[int, int], tally: _Tally) -> tuple[Patch, Patch] | None:
    found = fill(path, shape)
    low, high = path.min(axis=0), path.max(axis=0)
    # The image ends half a pixel beyond the centres of its outer pixels.
    if (high < -0.5).any() or (low > np.array([shape[1], shape[0]]) - 0.5).any():
        tally.leave_out("it is beside the image")
        return None
    if (low < -0.5).any() or (high > np.array([shape[1], shape[0]]) - 0.5).any():
        tally.clipped += 1
    if found is None:  # on the image, and between the centres of its pixels
        nowhere = Patch(row=0, column=0, pixels=np.zeros((1, 1), np.bool_))
        return nowhere, nowhere
    return found


def _combined(filled: Sequence[tuple[str, tuple[Patch, Patch]]], nested: Nested) -> Patch:
    """What is inside by the rule of its kind, and everything on a path."""
    united = [Patch.joined(list(f), exclusive=False) for kind, f in filled if nested == "union" and kind == CLOSED]
    others = [f for kind, f in filled if nested == "xor" or kind == CLOSED_XOR]
    parts = united
    if others:
        parts = [*united, Patch.joined([f[0] for f in others], exclusive=True), *(f[1] for f in others)]
    return Patch.joined(parts, exclusive=False)


def _overlap(insides: list[Patch]) -> bool:
    """Whether contours of a slice lie inside or across each other."""
    if len(insides) < 2:
        return False
    alone = Patch.joined(insides, exclusive=False).count
    return alone < sum(patch.count for patch in insides)


def _notes(tally: _Tally, nested_in: int, twice: int, nested: Nested, places: Sequence[int]) -> tuple[str, ...]:
    found = []
    if nested_in:
        meaning = "read as holes" if nested == "xor" else "united"
        found.append(f"{nested_in} slices have CLOSED_PLANAR contours inside or across each other, {meaning}")
    if twice:
        found.append(f"{twice} contours are there twice, drawn once")
    if tally.clipped:
        found.append(f"{tally.clipped} contours reach beyond the image, cut at its edge")
    if tally.elsewhere:
        found.append(f"{tally.elsewhere} contours lie on another slice than the image they name, drawn where they lie")
    gaps = places[-1] - places[0] + 1 - len(places) if places else 0
    if gaps:
        found.append(f"{gaps} slices between the first and the last have no contour, and so nothing in the mask")
    return tuple(found)
