"""Mosaics as Siemens and UIH write them, with as much of their private elements as is read."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from tests import make


def csa(values: Mapping[str, Sequence[str]]) -> bytes:
    """A CSA header of the newer form."""
    found = b"SV10\4\3\2\1" + struct.pack("<2I", len(values), 77)
    for name, items in values.items():
        found += struct.pack("<64si4s3i", name.encode(), len(items), b"IS\0\0", 6, len(items), 77)
        for item in items:
            raw = item.encode() + b"\0"
            found += struct.pack("<4i", len(raw), len(raw), 77, len(raw)) + raw + b"\0" * (-len(raw) % 4)
    return found


def image(slices: np.ndarray, across: int, down: int) -> np.ndarray:
    """(slices, rows, columns) as tiles, row by row."""
    count, rows, columns = slices.shape
    sheet = np.zeros((down * rows, across * columns), slices.dtype)
    for n in range(count):
        r, c = n // across * rows, n % across * columns
        sheet[r : r + rows, c : c + columns] = slices[n]
    return sheet


def mr(pixels: np.ndarray, *, number: int = 1, series: str = "mosaic") -> FileDataset:
    ds = make.instance(make.MR_IMAGE, series=series, number=number)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    ds.ImageOrientationPatient = list(make.AXIAL)
    ds.PixelSpacing = [2.0, 1.5]
    ds.SliceThickness, ds.SpacingBetweenSlices = 3.0, 3.5
    make.set_pixels(ds, pixels)
    return ds


def siemens(
    slices: np.ndarray, *, normal: Sequence[float] = (0, 0, 1), number: int = 1, first: Sequence[float] = (-10, -20, 30)
) -> FileDataset:
    """first: Image Position (Patient) of the first slice, mm."""
    count, rows, columns = slices.shape
    side = int(np.ceil(np.sqrt(count)))
    ds = mr(image(slices, side, side), number=number)
    wide, tall = columns * (side - 1) / 2 * 1.5, rows * (side - 1) / 2 * 2.0
    ds.ImagePositionPatient = [first[0] - wide, first[1] - tall, first[2]]
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
    table = {"NumberOfImagesInMosaic": [str(count)], "SliceNormalVector": [f"{x:.8f}" for x in normal]}
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa(table))
    return ds


def uih(slices: np.ndarray) -> FileDataset:
    """A grid with five slices in a row at most, each with its position."""
    across = int(np.ceil(np.sqrt(len(slices))))
    ds = mr(image(slices, across, -(-len(slices) // across)), series="grid")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    block = ds.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", str(len(slices)))
    items = []
    for n in range(len(slices)):
        item = Dataset()
        item.ImagePositionPatient = [-10, -20, 30 + 3.5 * n]
        items.append(item)
    block.add_new(0x51, "SQ", Items(items))
    return ds
