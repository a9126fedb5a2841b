"""Structure sets and segmentations as regions on grids: what is drawn where, and what is left out, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.errors import CannotSucceed
from node.imaging.contours import Drawn, LeftOut, Nested, draw
from node.imaging.grid import Grid, Image, grids_of, places_in
from node.imaging.segments import Segmentation, own_grid
from node.imaging.structures import Contour, Roi, StructureSet
from node.steps.masks.files import Frames, Patches, Region
from node.steps.masks.naming import Called, Others, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The regions on one grid."""

    grid: Grid
    regions: tuple[Region, ...]
    rois: Mapping[str, Roi] = field(default_factory=dict)
    """By file name, where they are of a structure set."""
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    sheets: tuple[Sheet, ...]
    left_out: tuple[Mapping[str, Any], ...]
    """Regions without a mask: number, name, reason."""
    contours_left_out: int = 0
    """Of wanted regions."""


def draw_structures(
    found: StructureSet, images: Sequence[Image], table: Mapping[str, str], others: Others, nested: Nested
) -> Result:
    """Each wanted region on the volume of the images that its contours name.

    images  of the series that the structure set refers to

    Raises CannotSucceed when there is no volume, or nothing of any wanted region is in one.
    """
    grids, reasons = grids_of(images)
    if not grids:
        raise CannotSucceed(
            f"the images that it refers to make no volume: {next(iter(reasons.values()), 'there are none')}"
        )
    if not found.rois:
        raise CannotSucceed("it has no region")
    called, unwanted = choose([(roi.number, roi.name) for roi in found.rois], table, others)
    if not called:
        raise CannotSucceed("no region has a name that `rois` asks for")
    left_out = [_left(found.rois[place], "its name is not asked for") for place in unwanted]
    on: list[list[tuple[Called, Drawn]]] = [[] for _ in grids]
    lost = 0
    for one in called:
        roi = found.rois[one.place]
        homes = _homes(roi.contours, grids, reasons)
        drawn = [draw(homes.get(n, ()), g.planes, nested, g.instances) for n, g in enumerate(grids)]
        homeless = tuple(LeftOut(reason=reason, contours=n) for reason, n in _homeless(homes).items())
        missing = [*homeless, *(out for d in drawn for out in d.left_out)]
        lost += sum(out.contours for out in missing)
        if not any(d.voxels for d in drawn):
            left_out.append(
                {**_left(roi, _why(roi, missing)), "contours": len(roi.contours), "left_out": _facts(missing)}
            )
        for n, d in enumerate(drawn):
            if d.voxels:
                on[n].append((one, Drawn(
                    slices=d.slices, contours=d.contours, left_out=(*d.left_out, *homeless), notes=d.notes,
                    off_slice=d.off_slice,
                )))  # fmt: skip
    sheets = tuple(_sheet(found, grid, drawn) for grid, drawn in zip(grids, on, strict=True) if drawn)
    if not sheets:
        raise CannotSucceed(f"no region has a voxel; the first one: {left_out[-1]['reason']}")
    return Result(sheets=sheets, left_out=tuple(left_out), contours_left_out=lost)


_Home = int | str
"""The grid of a contour, or why it has none."""


def _homes(
    contours: Sequence[Contour], grids: Sequence[Grid], reasons: Mapping[str, str]
) -> dict[_Home, list[Contour]]:  # fmt: skip
    """By the image that a contour names; one that names none that is there, by being the only volume."""
    of_image = {instance: n for n, grid in enumerate(grids) for instance in grid.instances}
    found: dict[_Home, list[Contour]] = {}
    for contour in contours:
        named = [of_image[image] for image in contour.images if image in of_image]
        unplaced = [reasons[image] for image in contour.images if image in reasons]
        home: _Home
        if named:
            home = named[0]
        elif unplaced:
            home = f"the image it was drawn on is in no volume: {unplaced[0]}"
        elif len(grids) == 1:
            home = 0
        else:
            home = f"it names no image, and there are {len(grids)} volumes"
        found.setdefault(home, []).append(contour)
    return found


def _homeless(homes: Mapping[_Home, Sequence[Contour]]) -> dict[str, int]:
    return {home: len(contours) for home, contours in homes.items() if isinstance(home, str)}


def _sheet(found: StructureSet, grid: Grid, drawn: Sequence[tuple[Called, Drawn]]) -> Sheet:
    regions = []
    for one, d in drawn:
        roi, there = found.rois[one.place], grid.images[0].frame_of_reference
        notes = list(d.notes)
        if roi.frame_of_reference and there and roi.frame_of_reference != there:
            # Tools that make one up are common, and that it was drawn on these images is said by their UIDs.
            notes.append("its frame of reference is not that of the images that it names, taken for the same")
        facts = {
            "number": roi.number, "roi_name": roi.name, "interpreted_type": roi.interpreted,
            "contours": len(roi.contours), "drawn": d.contours, "left_out": _facts(d.left_out), "notes": notes,
            "off_slice_mm": round(d.off_slice, 6),
        }  # fmt: skip
        regions.append(Region(called=one, slices=Patches(d.slices, grid.shape), facts=facts))
    return Sheet(grid=grid, regions=tuple(regions), rois={one.file: found.rois[one.place] for one, _ in drawn})


def _why(roi: Roi, missing: Sequence[LeftOut]) -> str:
    if not roi.contours:
        return "it has no contour"
    if missing:
        worst = max(missing, key=lambda out: out.contours)
        return f"{worst.contours} of {len(roi.contours)} contours: {worst.reason}"
    return "its contours enclose the centre of no voxel"


def _left(roi: Roi, reason: str) -> dict[str, Any]:
    return {"number": roi.number, "roi_name": roi.name, "reason": reason}


def _facts(left_out: Sequence[LeftOut]) -> list[dict[str, Any]]:
    return [
        {"reason": out.reason, "contours": out.contours}
        | ({} if out.farthest is None else {"farthest_mm": round(out.farthest, 3)})
        for out in left_out
    ]


def take_segments(
    found: Segmentation, images: Sequence[Image], table: Mapping[str, str], others: Others
) -> Result:  # fmt: skip
    """Each wanted segment on the volume of the images it refers to, where its frames coincide with their slices, else
    on the smallest grid that has its frames.

    Raises CannotSucceed when its frames are on no grid, or no wanted segment has a voxel.
    """
    grid, places, assumed = _grid_of(found, images)
    called, unwanted = choose([(s.number, s.label) for s in found.segments], table, others)
    if not called:
        raise CannotSucceed("no segment has a label that `rois` asks for")
    numbered = found.segments
    left_out = [
        {"number": numbered[n].number, "roi_name": numbered[n].label, "reason": "its name is not asked for"}
        for n in unwanted
    ]
    regions = []
    for one in called:
        segment = numbered[one.place]
        slices = Frames(found.slices_of(segment.number, places), grid.shape, found.maximum)
        facts = {"number": segment.number, "roi_name": segment.label, "frames": len(slices.slices)}
        if slices.voxels:
            regions.append(Region(called=one, slices=slices, facts=facts))
        else:
            left_out.append({**facts, "reason": "it has no voxel"})
    if not regions:
        raise CannotSucceed("no segment has a voxel")
    sheet = Sheet(grid=grid, regions=tuple(regions), assumptions=tuple(assumed))
    return Result(sheets=(sheet,), left_out=tuple(left_out))


def _grid_of(found: Segmentation, images: Sequence[Image]) -> tuple[Grid, list[int], list[str]]:
    grids, _ = grids_of(images)
    fitting = [(grid, places) for grid in grids if (places := places_in(grid, found.frames, found.shape)) is not None]
    if len(fitting) == 1:
        return *fitting[0], []
    grid, places, assumed = own_grid(found)
    why = "coincide with several volumes of" if fitting else "do not coincide with" if grids else "came without"
    return grid, places, [f"its frames {why} the images that it refers to: on a grid of its own", *assumed]
