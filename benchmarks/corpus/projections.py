"""Plane images, in which text may be burned: CR, DX, MG, US and SC."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from benchmarks.corpus.font import Drawn, draw
from benchmarks.corpus.study import STORAGE, Series, begin, code, image, item, one, picture, pixels, put

ROWS, COLUMNS = 160, 240
BANNER = 48
"""Rows at the top in which these devices write; no line of text is drawn below."""

DRAWING_DEVICES: Mapping[str, str] = MappingProxyType({"CR": "CR MODEL 7", "OT": "OT MODEL 7"})
"""Modality -> Manufacturer's Model Name of the devices that burn text in and have no ultrasound regions."""


def banner(series: Series) -> tuple[Drawn, ...]:
    """What a device writes above the picture: who, and when."""
    study = series.study
    lines = (study.patient.person.burned, study.patient.patient_id, f"{study.da()} {study.accession}")
    return tuple(Drawn(text[:19], 2 + 16 * n, 4) for n, text in enumerate(lines))


def cr(series: Series, number: int, place: int) -> FileDataset:
    """Computed Radiography Image (PS3.3 A.2); the first of a series has its patient burned in."""
    ds = begin(series, STORAGE + "1", number)
    image(ds, series)
    put(ds, ViewPosition="AP", KVP="70", PlateID=series.study.site.serial[2:], ImagerPixelSpacing=["0.2", "0.2"])
    _picture(ds, series, number, burned=place == 0, high=4000, stored=12)
    return ds


def dx(series: Series, number: int, place: int) -> FileDataset:
    """Digital X-Ray Image for presentation (PS3.3 A.26)."""
    ds = begin(series, STORAGE + "1.1", number)
    _detector(ds, series, place)
    ds.PositionerType = "COLUMN"
    ds.ViewCodeSequence = code("399348003", "SCT", "antero-posterior")
    ds.AnatomicRegionSequence = code("51185008", "SCT", "Thoracic structure")
    _picture(ds, series, number, burned=False, high=4000, stored=12)
    return ds


def mg(series: Series, number: int, place: int) -> FileDataset:
    """Digital Mammography X-Ray Image for presentation (PS3.3 A.27)."""
    ds = begin(series, STORAGE + "1.2", number)
    _detector(ds, series, place)
    put(
        ds, ImageLaterality="LR"[place % 2], OrganExposed="BREAST", BodyPartExamined="BREAST",
        PositionerType="MAMMOGRAPHIC", PatientOrientation=["A", "L"] if place % 2 else ["P", "R"],
        BreastImplantPresent="NO", PartialView="NO",
    )  # fmt: skip
    ds.ViewCodeSequence = Items(
        [
            item(
                CodeValue="399162004", CodingSchemeDesignator="SCT", CodeMeaning="cranio-caudal",
                ViewModifierCodeSequence=Items(),
            )
        ]
    )  # fmt: skip
    ds.AnatomicRegionSequence = code("76752008", "SCT", "Breast")
    _picture(ds, series, number, burned=False, high=4000, stored=12)
    return ds


def us(series: Series, number: int, place: int) -> FileDataset:
    """Ultrasound Image (PS3.3 A.6) in colour, with its one region below the text (C.8.5.5); the second is a clip."""
    clip = place == 1
    ds = begin(series, STORAGE + ("3.1" if clip else "6.1"), number)
    image(ds, series, "ABDOMINAL", "0001")
    put(ds, UltrasoundColorDataPresent=0)
    ds.SequenceOfUltrasoundRegions = one(
        RegionSpatialFormat=1, RegionDataType=1, RegionFlags=0, RegionLocationMinX0=0, RegionLocationMinY0=BANNER,
        RegionLocationMaxX1=COLUMNS - 1, RegionLocationMaxY1=ROWS - 1, PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3, PhysicalDeltaX=0.01, PhysicalDeltaY=0.01,
    )  # fmt: skip
    _colour(ds, series, number, frames=3 if clip else 0)
    if clip:
        put(ds, FrameIncrementPointer=0x00181063, FrameTime="40")
    return ds


def sc(series: Series, number: int, place: int) -> FileDataset:
    """Secondary Capture Image (PS3.3 A.8): a screen with the patient's name on it."""
    ds = begin(series, STORAGE + "7", number)
    image(ds, series)
    study = series.study
    put(
        ds, ConversionType="WSD", SecondaryCaptureDeviceManufacturer="INVENTED", DateOfSecondaryCapture=study.da(),
        TimeOfSecondaryCapture=study.time, SecondaryCaptureDeviceID=study.site.serial,
        ImageType=["DERIVED", "SECONDARY"],
    )  # fmt: skip
    _colour(ds, series, number)
    return ds


def _detector(ds: Dataset, series: Series, place: int) -> None:
    """DX Series, Anatomy Imaged, Image, Detector and Positioning (PS3.3 C.8.11)."""
    image(ds, series, "")
    put(
        ds, PresentationIntentType="FOR PRESENTATION", ImageLaterality="U", PixelIntensityRelationship="LOG",
        PixelIntensityRelationshipSign=-1, RescaleIntercept="0", RescaleSlope="1", RescaleType="US",
        PresentationLUTShape="IDENTITY", BurnedInAnnotation="NO", DetectorType="DIRECT", PatientOrientation=["L", "F"],
        ImagerPixelSpacing=["0.2", "0.2"], DetectorID=series.study.site.serial, KVP="80", ViewPosition="AP",
        WindowCenter="2000", WindowWidth="4000", AcquisitionContextSequence=Items(),
        DateOfLastDetectorCalibration=series.study.da(-30), DetectorConfiguration="AREA",
    )  # fmt: skip


def _picture(ds: Dataset, series: Series, number: int, *, burned: bool, high: int, stored: int) -> None:
    values = picture(series.rng(number), ROWS, COLUMNS, low=0, high=high, dtype="u2")
    if burned:
        values[:BANNER] //= 4
        for line in banner(series):
            draw(values, line, high)
        ds.BurnedInAnnotation = "YES"
    pixels(ds, values, stored=stored)


def _colour(ds: Dataset, series: Series, number: int, *, frames: int = 0) -> None:
    """`frames`: of a clip, in each of which the same text is drawn; 0 for a single image."""
    grey = picture(series.rng(number), ROWS, COLUMNS, low=10, high=200, dtype="u1")
    values = grey[..., None].repeat(3, axis=2)
    values[:BANNER] = 0
    for line in banner(series):
        draw(values, line, 255)
    clip = [np.roll(values, 5 * n, axis=1) for n in range(frames)]
    for frame in clip:
        frame[:BANNER] = values[:BANNER]
    pixels(ds, np.stack(clip) if clip else values)
    ds.BurnedInAnnotation = "YES"
