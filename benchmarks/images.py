"""Synthetic CT and MR images as a scanner sends them: some 170 elements, sequences and private ones among them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from benchmarks.template import Template, Which
from tests import make


def ct(rows: int = 512) -> Template:
    """512 x 512, 16 bit: half a megabyte."""
    return _template(f"CT {rows}x{rows}", make.CT_IMAGE, rows, low=-1000, high=2000, own=_CT)


def mr(rows: int = 256) -> Template:
    """256 x 256, 16 bit: an eighth of a megabyte."""
    return _template(f"MR {rows}x{rows}", make.MR_IMAGE, rows, low=0, high=3000, own=_MR)


def multiframe(frames: int, rows: int = 512) -> tuple[str, str, bytes, int]:
    """(SOP class, SOP instance, data set up to the pixels, bytes of pixels) of a multi-frame Secondary Capture.

    Its pixels may be of any length below 2^32 - 1 bytes (PS3.5 7.1.2); the sender makes them up.
    """
    ds = make.instance("1.2.840.10008.5.1.4.1.1.7.3")
    ds.SOPInstanceUID = Which(0, 0, 0).instance
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, rows, rows
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    size = frames * rows * rows * 2
    return (
        str(ds.SOPClassUID),
        str(ds.SOPInstanceUID),
        _encoded(ds, {}) + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, size),
        size,
    )


KINDS = {"ct": ct, "mr": mr}


def _template(name: str, sop_class: str, rows: int, *, low: int, high: int, own: Mapping[str, Any]) -> Template:
    ds = make.instance(sop_class)
    for keyword, value in {**_EVERY, **own}.items():
        setattr(ds, keyword, value)
    _sequences(ds)
    _private(ds)
    values = Which(0, 0, 0).values()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = values["study"].decode(), values["series"].decode()
    ds.SOPInstanceUID = values["instance"].decode()
    make.set_pixels(ds, make.picture(rows, rows, low=low, high=high))
    data = _encoded(ds, {0x00200013: values["number"], 0x00201041: values["position"]})
    return Template(
        name,
        sop_class,
        data,
        {
            "study": _places(data, values["study"]),
            "series": _places(data, values["series"]),
            "instance": _places(data, values["instance"]),
            "number": _behind(data, b"\x20\0\x13\0IS", values["number"]),
            "position": _behind(data, b"\x20\0\x41\x10DS", values["position"]),
        },
    )


def _encoded(ds: FileDataset, fixed: Mapping[int, bytes]) -> bytes:
    """`fixed` by tag as it is: pydicom writes a number as short as it can, and ours keep their length."""
    buffer = BytesIO()
    plain = Dataset(ds)
    for tag, value in fixed.items():
        plain[tag]._value = value.decode()
    plain.save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def _places(data: bytes, value: bytes) -> tuple[int, ...]:
    found = []
    at = data.find(value)
    while at >= 0:
        found.append(at)
        at = data.find(value, at + 1)
    assert found
    return tuple(found)


def _behind(data: bytes, start: bytes, value: bytes) -> tuple[int, ...]:
    """Where the value of an explicit VR element with a short length is; padded to an even length by one blank."""
    at = data.index(start) + 8
    assert data[at : at + len(value)] == value
    return (at,)


def _sequences(ds: Dataset) -> None:
    ds.ReferencedStudySequence = _one(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID="1.2.3")
    ds.RequestAttributesSequence = _one(
        RequestedProcedureID="RP1", ScheduledProcedureStepID="SPS1",
        ScheduledProcedureStepDescription="INVENTED STEP", RequestedProcedureDescription="INVENTED PROCEDURE",
    )  # fmt: skip
    code = {"CodingSchemeDesignator": "99INV", "CodeMeaning": "Invented"}
    ds.ProcedureCodeSequence = _one(CodeValue="P1", **code)
    ds.PerformedProtocolCodeSequence = _one(CodeValue="P2", **code)
    ds.AnatomicRegionSequence = _one(CodeValue="A1", **code)
    ds.SourceImageSequence = _one(ReferencedSOPClassUID=ds.SOPClassUID, ReferencedSOPInstanceUID="1.2.4")


def _private(ds: Dataset) -> None:
    for group in (0x0009, 0x0019, 0x0021, 0x0043):
        block = ds.private_block(group, "INVENTED VENDOR", create=True)
        for element in range(1, 11):
            block.add_new(element, "LO" if element % 2 else "DS", "INVENTED" if element % 2 else "12.5")


def _one(**values: Any) -> Items:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Items([item])


_EVERY: Mapping[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceCreationDate": "20200102",
    "InstanceCreationTime": "101113.000", "SeriesDate": "20200102", "AcquisitionDate": "20200102",
    "ContentDate": "20200102", "SeriesTime": "101112.000", "AcquisitionTime": "101112.500",
    "ContentTime": "101112.750", "Manufacturer": "INVENTED", "InstitutionName": "Invented Hospital",
    "InstitutionAddress": "1 Invented Road", "StationName": "STATION1", "InstitutionalDepartmentName": "Radiology",
    "PhysiciansOfRecord": "Nobody^Real", "PerformingPhysicianName": "Nobody^Real",
    "NameOfPhysiciansReadingStudy": "Nobody^Real", "OperatorsName": "Nobody^Real",
    "AdmittingDiagnosesDescription": "invented", "ManufacturerModelName": "MODEL 1", "PatientAge": "070Y",
    "PatientSize": 1.7, "PatientWeight": 70.0, "OtherPatientIDs": "T-0002", "EthnicGroup": "invented",
    "Occupation": "inventor", "AdditionalPatientHistory": "none, invented", "PatientComments": "invented",
    "BodyPartExamined": "CHEST", "ProtocolName": "INVENTED PROTOCOL", "DeviceSerialNumber": "0001",
    "SoftwareVersions": ["1.0", "2.0"], "PatientPosition": "HFS", "SliceThickness": 0.625, "AcquisitionNumber": 1,
    "ImagePositionPatient": [-180.5, -190.5, 100.0], "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "PositionReferenceIndicator": "XY", "SliceLocation": 0.0, "ImagesInAcquisition": 400,
    "ImageComments": "an invented image", "PixelSpacing": [0.7, 0.7], "WindowCenter": [40.0, 400.0],
    "WindowWidth": [400.0, 1500.0], "RescaleIntercept": 0.0, "RescaleSlope": 1.0, "RescaleType": "US",
    "LossyImageCompression": "00", "PerformedProcedureStepStartDate": "20200102",
    "PerformedProcedureStepStartTime": "101112", "PerformedProcedureStepEndDate": "20200102",
    "PerformedProcedureStepEndTime": "101212", "PerformedProcedureStepID": "PPS1",
    "PerformedProcedureStepDescription": "INVENTED STEP", "RequestingPhysician": "Nobody^Real",
    "RequestedProcedureDescription": "INVENTED PROCEDURE", "RequestingService": "INVENTED",
    "CurrentPatientLocation": "W1",
    "PatientState": "", "MedicalAlerts": "", "Allergies": "", "PregnancyStatus": 4, "StudyComments": "invented",
    "SmallestImagePixelValue": 0, "LargestImagePixelValue": 3000, "BurnedInAnnotation": "NO",
    "TimezoneOffsetFromUTC": "+0000",
    "ContrastBolusAgent": "", "ReasonForStudy": "invented",
}  # fmt: skip

_CT: Mapping[str, Any] = {
    "ScanOptions": "HELICAL MODE", "KVP": 120.0, "DataCollectionDiameter": 500.0, "ReconstructionDiameter": 360.0,
    "DistanceSourceToDetector": 949.0, "DistanceSourceToPatient": 541.0, "GantryDetectorTilt": 0.0,
    "TableHeight": 150.0, "RotationDirection": "CW", "ExposureTime": 500, "XRayTubeCurrent": 300, "Exposure": 150,
    "FilterType": "BODY FILTER", "GeneratorPower": 36000, "FocalSpots": [1.2], "ConvolutionKernel": "STANDARD",
    "SingleCollimationWidth": 0.625, "TotalCollimationWidth": 40.0, "TableSpeed": 80.0, "TableFeedPerRotation": 40.0,
    "SpiralPitchFactor": 0.98, "CTDIvol": 8.5, "RescaleIntercept": -1024.0, "RescaleType": "HU",
}  # fmt: skip

_MR: Mapping[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "NONE"], "ScanningSequence": "GR", "SequenceVariant": "SP",
    "ScanOptions": "PFP", "MRAcquisitionType": "3D", "SequenceName": "inv3d1", "AngioFlag": "N",
    "RepetitionTime": 1900.0, "EchoTime": 2.5, "InversionTime": 900.0, "NumberOfAverages": 1.0,
    "ImagingFrequency": 123.2, "ImagedNucleus": "1H", "EchoNumbers": 1, "MagneticFieldStrength": 3.0,
    "NumberOfPhaseEncodingSteps": 255, "EchoTrainLength": 1, "PercentSampling": 100.0,
    "PercentPhaseFieldOfView": 100.0, "PixelBandwidth": 170.0, "TransmitCoilName": "Body",
    "AcquisitionMatrix": [0, 256, 256, 0], "InPlanePhaseEncodingDirection": "ROW", "FlipAngle": 9.0,
    "VariableFlipAngleFlag": "N", "SAR": 0.05, "dBdt": 0.0, "SpacingBetweenSlices": 1.0,
}  # fmt: skip
