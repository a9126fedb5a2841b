"""Synthetic instances for tests: invented people, small images, valid enough for every reader.

Everything is deterministic: the same arguments give the same UIDs and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def uid(*words: object) -> str:
    """A UID that is always the same for the same words."""
    return str(generate_uid(entropy_srcs=["dicom-node tests", *[str(word) for word in words]]))


def instance(
    sop_class: str = CT_IMAGE, *, study: str = "study", series: str = "series", number: int = 1
) -> FileDataset:
    """The patient, study, series and instance of an object, without pixels."""
    ds = FileDataset("", Dataset(), file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid(study, series, number)
    ds.StudyInstanceUID = uid(study)
    ds.SeriesInstanceUID = uid(study, series)
    ds.FrameOfReferenceUID = uid(study, "frame of reference")
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Müster^Invented"
    ds.PatientID = "T-0001"
    ds.PatientBirthDate = "19500102"
    ds.PatientSex = "O"
    ds.StudyDate = "20200102"
    ds.StudyTime = "101112"
    ds.StudyID = "S1"
    ds.AccessionNumber = "A0001"
    ds.ReferringPhysicianName = "Nobody^Real"
    ds.StudyDescription = "INVENTED CHEST"
    ds.SeriesDescription = "invented series"
    ds.SeriesNumber = 3
    ds.InstanceNumber = number
    ds.Modality = "MR" if sop_class in (MR_IMAGE, ENHANCED_MR_IMAGE) else "CT" if sop_class == CT_IMAGE else "OT"
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def set_pixels(
    ds: Dataset, pixels: np.ndarray, *, photometric: str | None = None, bits_stored: int | None = None
) -> None:
    """Give `ds` native little-endian pixels.

    pixels  (rows, columns), (frames, rows, columns), (rows, columns, 3) uint8
    """
    colour = pixels.ndim >= 3 and pixels.shape[-1] == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = photometric or ("RGB" if colour else "MONOCHROME2")
    if colour:
        ds.PlanarConfiguration = 0
    plane = pixels.shape[:-1] if colour else pixels.shape
    ds.Rows, ds.Columns = plane[-2:]
    if len(plane) == 3:
        ds.NumberOfFrames = plane[0]
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored = bits_stored or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"


def picture(rows: int, columns: int, *, seed: int = 0, low: int = -1000, high: int = 2000) -> np.ndarray:
    """An asymmetric int16 image: a gradient with noise, so that every flip and transposition shows."""
    noise = np.random.default_rng(seed).integers(0, 50, (rows, columns))
    ramp = np.add.outer(np.linspace(0, 0.7, rows), np.linspace(0, 0.3, columns)) * (high - low - 50) + low
    return (ramp + noise).astype(np.int16)


def ct_series(
    slices: int = 5,
    *,
    spacing: float = 2.5,
    rows: int = 12,
    columns: int = 10,
    pixel_spacing: tuple[float, float] = (0.8, 0.7),
    orientation: Sequence[float] = AXIAL,
    study: str = "study",
    series: str = "series",
) -> list[FileDataset]:
    """A classic CT series, one instance per slice, int16, slope 1, intercept -1024, first slice lowest.

    spacing  between slice centres along the normal, mm; pixel_spacing (between rows, between columns), mm
    """
    normal = np.cross(orientation[:3], orientation[3:])
    found = []
    for k in range(slices):
        ds = instance(CT_IMAGE, study=study, series=series, number=k + 1)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImageOrientationPatient = [float(x) for x in orientation]
        ds.ImagePositionPatient = [round(float(x), 6) for x in np.array([-20.0, -30.0, 100.0]) + normal * spacing * k]
        ds.PixelSpacing = list(pixel_spacing)
        ds.SliceThickness = spacing
        ds.KVP = 120
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
        set_pixels(ds, picture(rows, columns, seed=k))
        found.append(ds)
    return found


def enhanced_mr(
    slices: int = 4, volumes: int = 2, *, rows: int = 8, columns: int = 6, spacing: float = 3.0
) -> FileDataset:
    """An enhanced MR object of slices x volumes frames, volume by volume, with its own slope per volume.

    Dimension Index Values are (slice, volume), from 1 (PS3.3 C.7.6.17).
    """
    ds = instance(ENHANCED_MR_IMAGE, series="enhanced")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    pixels = np.stack([picture(rows, columns, seed=n, low=0, high=3000) for n in range(slices * volumes)])
    set_pixels(ds, pixels.astype(np.uint16), bits_stored=12)
    shared = Dataset()
    shared.PlaneOrientationSequence = _one(ImageOrientationPatient=list(AXIAL))
    shared.PixelMeasuresSequence = _one(PixelSpacing=[1.5, 1.25], SliceThickness=spacing)
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.DimensionIndexSequence = Items(
        [_dimension(0x00209057, 0x00209111), _dimension(0x00209128, 0x00209111)]  # In-Stack Position, Temporal Position
    )
    frames = []
    for v in range(volumes):
        for k in range(slices):
            frame = Dataset()
            content = {"StackID": "1", "InStackPositionNumber": k + 1, "TemporalPositionIndex": v + 1}
            frame.FrameContentSequence = _one(DimensionIndexValues=[k + 1, v + 1], **content)
            frame.PlanePositionSequence = _one(ImagePositionPatient=[-10.0, -12.0, 50.0 + spacing * k])
            frame.PixelValueTransformationSequence = _one(RescaleSlope=1.5 + v, RescaleIntercept=-4.0, RescaleType="US")
            frame.MRImageFrameTypeSequence = _one(FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"])
            frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Items(frames)
    return ds


def secondary_capture(pixels: np.ndarray, *, number: int = 1, **how: Any) -> FileDataset:
    """A Secondary Capture of `pixels`, shapes as in `set_pixels`."""
    ds = instance(SECONDARY_CAPTURE, series="capture", number=number)
    ds.ConversionType = "SYN"
    set_pixels(ds, pixels, **how)
    return ds


def report(*, number: int = 1, study: str = "study") -> FileDataset:
    """A structured report: an object without pixels."""
    ds = instance(COMPREHENSIVE_SR, study=study, series="report", number=number)
    ds.Modality = "SR"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    return ds


def write(ds: FileDataset, path: Path) -> Path:
    """Write a Part 10 file in the transfer syntax that `ds` names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def write_all(instances: Sequence[FileDataset], folder: Path) -> list[Path]:
    """Write each as folder/0001.dcm, folder/0002.dcm, ..., in order."""
    return [write(ds, folder / f"{n:04d}.dcm") for n, ds in enumerate(instances, 1)]


def _one(**values: Any) -> Items:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Items([item])


def _dimension(pointer: int, group: int) -> Dataset:
    item = Dataset()
    item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
    return item
