"""Many slices in one image: mosaics of Siemens and grids of UIH, taken apart by their headers.

Siemens: tiles row by row in a square of ceil(sqrt(n)) x ceil(sqrt(n)); Image Position is that of the first pixel that
one slice as large as the whole mosaic would have, so the first tile is moved by half the difference
(https://nipy.org/nibabel/dicom/dicom_mosaic.html). The direction of the stack is not the cross product of the cosines:
it may be its opposite, and only the CSA header says. UIH: each slice has its own position in a private sequence, tiles
row by row, ceil(sqrt(n)) in a row and no more rows than needed.

XA systems keep MOSAIC in Image Type where they have taken the mosaic apart (dcm2niix issue 553): what has no number of
tiles, and no more pixels than were acquired, is a plain image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from node.errors import CannotSucceed
from node.imaging import csa
from node.imaging.reading import Attributes, private

_WANTED = frozenset({"NumberOfImagesInMosaic", "SliceNormalVector"})
_LARGER = 1.9
"""So many times the acquired matrix and an image must be several; interpolation doubles at most on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One slice of a mosaic."""

    row: int
    """Of its first pixel in the whole image, from 0; so `column`."""
    column: int
    rows: int
    columns: int
    position: tuple[float, float, float]
    """Image Position (Patient) of the slice, LPS, mm."""
    orientation: tuple[float, ...] | None = None
    """Its own cosines, where it has some."""


def tiles_of(ds: Attributes, rows: int, columns: int) -> tuple[Tile, ...]:
    """The slices of a mosaic in the order of its tiles; () for an image that is none.

    Raises CannotSucceed for a mosaic whose number of tiles, direction or distance is not in the header.
    """
    sequence = private(ds, 0x0065, "Image Private Header", 0x51)
    if sequence:
        return _uih(sequence, rows, columns)
    if private(ds, 0x0065, "Image Private Header", 0x50) is not None and not ds.get("ImagePositionPatient"):
        raise CannotSucceed("a grid of UIH without the sequence of its slices' positions")
    return _siemens(ds, rows, columns)


def _siemens(ds: Attributes, rows: int, columns: int) -> tuple[Tile, ...]:
    named = "MOSAIC" in [str(x).upper() for x in ds.get("ImageType") or ()]
    raw = private(ds, 0x0029, "SIEMENS CSA HEADER", 0x10)
    table = csa.parse(raw, _WANTED) if isinstance(raw, bytes) and raw else {}
    count = private(ds, 0x0019, "SIEMENS MR HEADER", 0x0A) or next(iter(table.get("NumberOfImagesInMosaic", ())), None)
    if count is None:
        if named and _too_large(ds, rows, columns):
            raise CannotSucceed("a mosaic whose header does not say how many slices it has")
        return ()
    if int(count) < 1 or (not named and int(count) == 1):
        return ()
    normal = _three(table.get("SliceNormalVector"))
    if normal is None:
        raise CannotSucceed("a mosaic without CSA header: the direction of its slices is unknown")
    distance = ds.get("SpacingBetweenSlices")  # not the thickness, to which most protocols add a gap
    if not distance or not float(distance) > 0:
        raise CannotSucceed("a mosaic without 'Spacing Between Slices'")
    first, cosines, spacing = _plane(ds)
    if abs(float(np.cross(cosines[:3], cosines[3:]) @ normal)) < 1 - 1e-3:
        raise CannotSucceed("a mosaic whose slices are not stacked at right angles")
    side = math.ceil(math.sqrt(int(count)))
    tall, wide = _tile(rows, side), _tile(columns, side)
    first = first + cosines[:3] * spacing[1] * (columns - wide) / 2 + cosines[3:] * spacing[0] * (rows - tall) / 2
    return tuple(
        Tile(row=n // side * tall, column=n % side * wide, rows=tall, columns=wide,
             position=_triple(first + normal * float(distance) * n))
        for n in range(int(count))
    )  # fmt: skip


def _uih(sequence: Sequence[Attributes], rows: int, columns: int) -> tuple[Tile, ...]:
    across = math.ceil(math.sqrt(len(sequence)))
    down = -(-len(sequence) // across)
    tall, wide = _tile(rows, down), _tile(columns, across)
    found = []
    for n, item in enumerate(sequence):
        position = _three(item.get("ImagePositionPatient"))
        if position is None:
            raise CannotSucceed(f"a grid of UIH: slice {n + 1} has no 'Image Position (Patient)'")
        cosines = item.get("ImageOrientationPatient")
        found.append(
            Tile(row=n // across * tall, column=n % across * wide, rows=tall, columns=wide,
                 position=_triple(position), orientation=tuple(float(x) for x in cosines) if cosines else None)
        )  # fmt: skip
    return tuple(found)


def _too_large(ds: Attributes, rows: int, columns: int) -> bool:
    acquired = [int(x) for x in ds.get("AcquisitionMatrix") or ()]
    return not acquired or max(rows, columns) > _LARGER * max(acquired)


def _plane(ds: Attributes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = [ds.get(k) for k in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")]
    arrays = [np.array([float(x) for x in value or ()]) for value in values]
    if [len(array) for array in arrays] != [3, 6, 2]:
        raise CannotSucceed("a mosaic without position, orientation or spacing")
    return arrays[0], arrays[1], arrays[2]


def _tile(size: int, parts: int) -> int:
    if size % parts:
        raise CannotSucceed(f"a mosaic of {size} pixels a side, which {parts} tiles do not divide")
    return size // parts


def _three(value: Any) -> np.ndarray | None:
    try:
        found = np.array([float(x) for x in value])
    except (TypeError, ValueError):
        return None
    return found if found.shape == (3,) and np.isfinite(found).all() else None


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
