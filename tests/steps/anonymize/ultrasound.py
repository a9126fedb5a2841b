"""Ultrasound images with a name burned in above the region, and what reads them back."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from node.imaging.mask import Mask, Rectangle, outside
from node.steps.anonymize.burned_in import facts
from node.steps.anonymize.pixels import Cleaning, Refusal, Treatment, decide
from node.steps.anonymize.plain import Plain
from tests import make

US_IMAGE, US_CLIP = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"
ROWS, COLUMNS = 48, 64
REGION = Rectangle(4, 10, 60, 44)
BANNER = Rectangle(2, 1, 50, 6)
"""Where the name stands."""

KEPT: Mask = ~outside([REGION], ROWS, COLUMNS)


def pixels(frames: int = 1, *, colour: bool = False) -> np.ndarray:
    shape = (frames, ROWS, COLUMNS, 3) if colour else (frames, ROWS, COLUMNS)
    made = np.random.default_rng(frames).integers(1, 200, shape).astype(np.uint8)
    made[:, BANNER.top : BANNER.bottom, BANNER.left : BANNER.right] = 255
    return made if frames > 1 else made[0]


def image(regions: Sequence[Rectangle] = (REGION,), *, frames: int = 1, colour: bool = False, **header: Any) -> FileDataset:  # fmt: skip  # noqa: E501
    """One of no known device; `header` is laid over it."""
    ds = make.instance(US_CLIP if frames > 1 else US_IMAGE)
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "US", "Nobody", "Unheard-of"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.BurnedInAnnotation = "YES"
    make.set_pixels(ds, pixels(frames, colour=colour))
    if regions:
        ds.SequenceOfUltrasoundRegions = [_region(one) for one in regions]
    for keyword, value in header.items():
        setattr(ds, keyword, value)
    return ds


def _region(area: Rectangle) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 3
    item.RegionLocationMinX0, item.RegionLocationMinY0 = area.left, area.top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = area.right - 1, area.bottom - 1
    return item


def received(ds: FileDataset) -> FileDataset:
    """The data set as it is read from a file: bytes, of which nothing is decoded yet."""
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


def decided(ds: FileDataset, cleaning: Cleaning, syntax: str = ExplicitVRLittleEndian) -> Treatment | Refusal | None:
    """What would be done to it when it is received in a transfer syntax."""
    came = Plain(received(ds))
    return decide(came, facts(came, syntax), cleaning)
