"""The slices that a mask is made on: one volume of the images that a structure set or a segmentation refers to."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from node.errors import CannotSucceed
from node.imaging.attributes import Frame, frames_of
from node.imaging.contours import Planes
from node.imaging.geometry import tolerance_of
from node.imaging.pixels import read_header
from node.imaging.volumes import SAME_COSINE, SAME_SPACING, Unplaced, Volume, plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One instance with pixels, what is kept of its header."""

    path: Path
    series: str
    sop_class: str
    sop_instance: str
    frames: tuple[Frame, ...]
    shape: tuple[int, int]
    """(rows, columns)"""
    frame_of_reference: str = ""
    fault: str = ""
    """Why it has no place; then it has no frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One volume, without its values: a fourth dimension is left away, for all of it has the same slices."""

    volume: Volume
    """`times` is 1: one frame for each slice."""
    shape: tuple[int, int]
    images: tuple[Image, ...] = ()
    """The image of each slice; none where the grid was not made from images."""

    @property
    def instances(self) -> tuple[str, ...]:
        """SOP Instance UID of the image of each slice."""
        return tuple(image.sop_instance for image in self.images)

    @property
    def planes(self) -> Planes:
        return Planes.of(self.volume.frames, self.shape)

    @property
    def millilitres(self) -> float:
        """Of one voxel."""
        return float(abs(np.linalg.det(self.volume.affine[:3, :3]))) / 1000.0


def read_image(path: Path) -> Image | None:
    """An instance that may be a slice; None when it has no pixels. Raises CannotSucceed when it cannot be read."""
    ds, pixels = read_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings carry the value, which no log may
        if pixels is None:
            return None
        found = Image(
            path=path, series=str(ds.get("SeriesInstanceUID") or ""), sop_class=str(ds.get("SOPClassUID") or ""),
            sop_instance=str(ds.get("SOPInstanceUID") or ""), frames=(),
            shape=(pixels.layout.rows, pixels.layout.columns),
            frame_of_reference=str(ds.get("FrameOfReferenceUID") or ""),
        )  # fmt: skip
        try:
            frames = tuple(frames_of(ds, pixels.layout, 0))
        except CannotSucceed as error:
            return replace(found, fault=str(error))
        if any(frame.tile for frame in frames):
            return replace(found, fault="a mosaic: many slices in one image, on which nothing is drawn")
        return replace(found, frames=frames)


def grids_of(images: Iterable[Image]) -> tuple[list[Grid], dict[str, str]]:
    """The volumes that images make, and for each image that is in none (by its SOP Instance UID) the reason. Tilted
    ones are among them, as they are.

    In an order that does not depend on that of the images.
    """
    ordered = sorted(images, key=lambda image: (image.series, image.sop_instance))
    reasons = {image.sop_instance: image.fault for image in ordered if image.fault}
    frames = [replace(frame, instance=n) for n, image in enumerate(ordered) for frame in image.frames]
    found = []
    for group in plan(frames, tilt="sheared", gaps="hold"):
        if isinstance(group, Unplaced):
            reasons.update((ordered[frame.instance].sop_instance, group.reason) for frame in group.frames)
        else:
            first = group.frames[: group.slices]
            volume = replace(group, frames=first, times=1, order="")
            of_slices = tuple(ordered[frame.instance] for frame in first)
            found.append(Grid(volume=volume, shape=of_slices[0].shape, images=of_slices))
    return found, reasons


def places_in(grid: Grid, frames: Sequence[Frame], shape: tuple[int, int]) -> list[int] | None:
    """The slice of `grid` that each frame coincides with, pixel by pixel; None when one coincides with none."""
    if shape != grid.shape:
        return None
    of_grid = grid.volume.frames
    positions = np.array([frame.position for frame in of_grid])
    found = []
    for frame in frames:
        apart = np.linalg.norm(positions - np.array(frame.position), axis=1)
        k = int(apart.argmin())
        if apart[k] > tolerance_of(frame.spacing) or not _same_plane(of_grid[k], frame):
            return None
        found.append(k)
    return found


def _same_plane(a: Frame, b: Frame) -> bool:
    return all(abs(x - y) <= SAME_COSINE for x, y in zip(a.orientation, b.orientation, strict=True)) and all(
        abs(x - y) <= SAME_SPACING * x for x, y in zip(a.spacing, b.spacing, strict=True)
    )
