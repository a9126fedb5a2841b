"""Slices: CT, MR and PET images, and the frames of a nuclear medicine image."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from benchmarks.corpus.study import STORAGE, Series, begin, code, image, item, one, picture, pixels, put

SIZE = 48
"""Rows and columns."""


def ct(series: Series, number: int, place: int) -> FileDataset:
    """CT Image (PS3.3 A.3); `place` is the slice from 0."""
    ds = begin(series, STORAGE + "2", number)
    image(ds, series, "AXIAL")
    _slice(ds, series, place)
    put(
        ds, KVP="120", RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU", ConvolutionKernel="STANDARD",
        ContrastBolusAgent="IODINE", Exposure="150", XRayTubeCurrent="300", ScanOptions="HELICAL",
        ProtocolName=f"{series.study.region} routine", WindowCenter="40", WindowWidth="400",
    )  # fmt: skip
    pixels(ds, picture(series.rng(number), SIZE, SIZE, low=0, high=3000, dtype="u2"), stored=12)
    return ds


def mr(series: Series, number: int, place: int) -> FileDataset:
    """MR Image (PS3.3 A.4)."""
    ds = begin(series, STORAGE + "4", number)
    image(ds, series, "M", "NONE")
    _slice(ds, series, place)
    put(
        ds, ScanningSequence="GR", SequenceVariant="SP", ScanOptions="PFP", MRAcquisitionType="3D", EchoTime="2.5",
        RepetitionTime="1900", EchoTrainLength="1", MagneticFieldStrength="3", FlipAngle="9",
        ImagingFrequency="123.2", ProtocolName="t1 axial",
    )  # fmt: skip
    pixels(ds, picture(series.rng(number), SIZE, SIZE, low=0, high=3000, dtype="u2"), stored=12)
    return ds


def pt(series: Series, number: int, place: int) -> FileDataset:
    """Positron Emission Tomography Image (PS3.3 A.21)."""
    ds = begin(series, STORAGE + "128", number)
    image(ds, series)
    _slice(ds, series, place)
    del ds.PatientPosition  # said by the two code sequences (PS3.3 C.7.3.1.1.2)
    study = series.study
    put(
        ds, SeriesType=["WHOLE BODY", "IMAGE"], Units="BQML", CountsSource="EMISSION", NumberOfSlices=3,
        DecayCorrection="START", CollimatorType="NONE", CorrectedImage=["DECY", "ATTN"],
        RescaleIntercept="0", RescaleSlope="2.5", FrameReferenceTime="0", ActualFrameDuration="180000",
        ImageIndex=place + 1, DecayFactor="1.1",
    )  # fmt: skip
    ds.RadiopharmaceuticalInformationSequence = Items(
        [
            item(
                RadiopharmaceuticalStartTime=study.time, RadionuclideTotalDose="350000000",
                RadionuclideHalfLife="6586.2", RadionuclidePositronFraction="0.97",
                RadiopharmaceuticalStartDateTime=f"{study.da()}{study.time}",
                RadionuclideCodeSequence=code("77004003", "SCT", "^18^Fluorine"),
            )
        ]
    )  # fmt: skip
    ds.PatientOrientationCodeSequence = Items([_oriented()])
    ds.PatientGantryRelationshipCodeSequence = code("102540001", "SCT", "headfirst")
    pixels(ds, picture(series.rng(number), SIZE, SIZE, low=0, high=3000, dtype="u2"))
    return ds


def nm(series: Series, number: int, place: int) -> FileDataset:
    """Nuclear Medicine Image (PS3.3 A.5): one static image of two frames, an energy window each."""
    ds = begin(series, STORAGE + "20", number)
    image(ds, series)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    frames = [picture(series.rng(number + k), SIZE, SIZE, low=0, high=500, dtype="u2") for k in range(2)]
    pixels(ds, np.stack(frames))
    put(
        ds, FrameIncrementPointer=[0x00540010, 0x00540020], EnergyWindowVector=[1, 2], DetectorVector=[1, 1],
        NumberOfEnergyWindows=2, NumberOfDetectors=1, PixelSpacing=["4", "4"], CountsAccumulated="90000",
        ActualFrameDuration="60000", AcquisitionTerminationCondition="TIME", BitsStored=16, HighBit=15,
    )  # fmt: skip
    ranges = (("126", "154"), ("200", "220"))
    ds.EnergyWindowInformationSequence = Items(
        [
            item(EnergyWindowRangeSequence=one(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high))
            for low, high in ranges
        ]
    )
    ds.DetectorInformationSequence = Items(
        [
            item(
                CollimatorType="PARA", FieldOfViewShape="RECTANGLE", StartAngle="0",
                ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"], ImagePositionPatient=["-96", "0", "96"],
                ViewCodeSequence=code("399067008", "SCT", "lateral"),
            )
        ]
    )  # fmt: skip
    ds.RadiopharmaceuticalInformationSequence = Items(
        [
            item(
                RadionuclideCodeSequence=code("72454003", "SCT", "^99m^Technetium"),
                RadiopharmaceuticalStartTime=series.study.time,
            )
        ]
    )
    ds.PatientOrientationCodeSequence = Items([_oriented()])
    ds.PatientGantryRelationshipCodeSequence = code("102540001", "SCT", "headfirst")
    return ds


def _oriented() -> Dataset:
    return item(
        CodeValue="102538003", CodingSchemeDesignator="SCT", CodeMeaning="recumbent",
        PatientOrientationModifierCodeSequence=code("40199007", "SCT", "supine"),
    )  # fmt: skip


def _slice(ds: Dataset, series: Series, place: int) -> None:
    """Frame of Reference and Image Plane (PS3.3 C.7.4.1, C.7.6.2); 4 mm between slices."""
    put(
        ds, FrameOfReferenceUID=series.study.frame, PositionReferenceIndicator="", PatientPosition="HFS",
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"], PixelSpacing=["1.5", "1.5"], SliceThickness="4",
        ImagePositionPatient=["-36", "-36", f"{100 + 4 * place}"], SliceLocation=f"{100 + 4 * place}",
    )  # fmt: skip
