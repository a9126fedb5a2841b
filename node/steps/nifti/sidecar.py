"""What goes beside a volume for BIDS: the JSON with dcm2niix's names, and .bval and .bvec of diffusion images.

Only what describes the acquisition is taken, by a list: nothing of the patient, no dates, institutions, stations,
serial numbers or UIDs. Descriptions are free text and as clean as `anonymize` left them. Times are seconds, as BIDS
asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from node.dicom.damage import UNREADABLE
from node.imaging.attributes import source_of
from node.imaging.geometry import Floats
from node.imaging.reading import Attributes, private
from node.imaging.volumes import Volume

_Convert = Callable[[Any], Any]


def _words(value: Any) -> list[str] | None:
    found = [value] if isinstance(value, str) else [str(x) for x in value]
    return [word for word in found if word] or None


def _joined(value: Any) -> str | None:
    return "\\".join(_words(value) or ()) or None


def _text(value: Any) -> str | None:
    return str(value).strip() or None


def _number(value: Any) -> float | int | None:
    found = float(value[0] if isinstance(value, Sequence) and not isinstance(value, str) else value)
    return (int(found) if found.is_integer() else found) if math.isfinite(found) else None


def _seconds(value: Any) -> float | None:
    """From ms."""
    found = _number(value)
    return None if found is None else round(found / 1000, 9)


_ENTRIES: tuple[tuple[str, str, str, _Convert], ...] = (
    ("Modality", "", "Modality", _text),
    ("MagneticFieldStrength", "", "MagneticFieldStrength", _number),
    ("ImagingFrequency", "MRImagingModifierSequence", "ImagingFrequency", _number),
    ("Manufacturer", "", "Manufacturer", _text),
    ("ManufacturersModelName", "", "ManufacturerModelName", _text),
    ("BodyPartExamined", "", "BodyPartExamined", _text),
    ("PatientPosition", "", "PatientPosition", _text),
    ("SoftwareVersions", "", "SoftwareVersions", _joined),
    ("MRAcquisitionType", "", "MRAcquisitionType", _text),
    ("SeriesDescription", "", "SeriesDescription", _text),
    ("ProtocolName", "", "ProtocolName", _text),
    ("ScanningSequence", "", "ScanningSequence", _joined),
    ("SequenceVariant", "", "SequenceVariant", _joined),
    ("ScanOptions", "", "ScanOptions", _joined),
    ("SequenceName", "", "SequenceName", _text),
    ("PulseSequenceName", "", "PulseSequenceName", _text),
    ("ImageType", "", "ImageType", _words),
    ("SeriesNumber", "", "SeriesNumber", _number),
    ("AcquisitionNumber", "", "AcquisitionNumber", _number),
    ("SliceThickness", "PixelMeasuresSequence", "SliceThickness", _number),
    ("SpacingBetweenSlices", "PixelMeasuresSequence", "SpacingBetweenSlices", _number),
    ("SAR", "", "SAR", _number),
    ("EchoNumber", "", "EchoNumbers", _number),
    ("EchoTime", "MREchoSequence", "EffectiveEchoTime", _seconds),
    ("EchoTime", "", "EchoTime", _seconds),
    ("RepetitionTime", "MRTimingAndRelatedParametersSequence", "RepetitionTime", _seconds),
    ("InversionTime", "", "InversionTime", _seconds),
    ("FlipAngle", "MRTimingAndRelatedParametersSequence", "FlipAngle", _number),
    ("EchoTrainLength", "MRTimingAndRelatedParametersSequence", "EchoTrainLength", _number),
    ("PhaseEncodingSteps", "", "NumberOfPhaseEncodingSteps", _number),
    ("PercentPhaseFOV", "", "PercentPhaseFieldOfView", _number),
    ("PercentSampling", "", "PercentSampling", _number),
    ("PixelBandwidth", "MRImagingModifierSequence", "PixelBandwidth", _number),
    ("InPlanePhaseEncodingDirectionDICOM", "MRFOVGeometrySequence", "InPlanePhaseEncodingDirection", _text),
    ("ReceiveCoilName", "MRReceiveCoilSequence", "ReceiveCoilName", _text),
    ("KVP", "", "KVP", _number),
    ("XRayTubeCurrent", "", "XRayTubeCurrent", _number),
    ("XRayExposure", "", "Exposure", _number),
    ("ExposureTime", "", "ExposureTime", _seconds),
    ("ConvolutionKernel", "", "ConvolutionKernel", _joined),
    ("GantryTilt", "", "GantryDetectorTilt", _number),
    ("Units", "", "Units", _text),
    ("DecayCorrection", "", "DecayCorrection", _text),
)
"""Name in the sidecar, functional group of an enhanced image, keyword, and how it is written; the first found stays."""


def sidecar(ds: Attributes, number: int, volume: Volume) -> dict[str, Any]:
    """The entries for a volume whose first frame is frame `number` (from 0) of `ds`."""
    get = source_of(ds, number).get
    found: dict[str, Any] = {}
    for name, group, keyword, convert in _ENTRIES:
        value = _read(get, group, keyword) if group else _read(lambda _, k: ds.get(k), "", keyword)
        if name not in found and value not in (None, ""):
            converted = _converted(convert, value)
            if converted is not None:
                found[name] = converted
    found["ImageOrientationPatientDICOM"] = list(volume.frames[0].orientation)
    timing = slice_timing(ds, volume)
    if timing:
        found["SliceTiming"] = timing
    found["ConversionSoftware"] = "dicom-node"
    return found


def slice_timing(ds: Attributes, volume: Volume) -> list[float]:
    """Seconds after the start of a volume at which each slice of a Siemens mosaic was acquired, in file order."""
    times = _read(lambda _, __: private(ds, 0x0019, "SIEMENS MR HEADER", 0x29), "", "")
    if volume.frames[0].tile is None or not isinstance(times, Sequence) or len(times) != volume.slices:
        return []
    # Tiles are in the order of times; slices of the file by position along the normal.
    frames, tiles = volume.frames[: volume.slices], {f.tile for f in volume.frames[: volume.slices]}
    by_tile = sorted(tiles, key=lambda tile: (tile.row, tile.column) if tile else (0, 0))
    return [round(float(times[by_tile.index(frame.tile)]) / 1000, 6) for frame in frames]


def diffusion(volume: Volume, affine: Floats) -> tuple[str, str, str]:
    """The texts of .bval and .bvec in the image's axes as FSL reads them, "" for none, and what is missing.

    affine  (4, 4) of the file, voxel to RAS mm. FSL takes the first axis as running to the left: where the affine's
    determinant is positive it is turned (https://fsl.fmrib.ox.ac.uk/fsl/docs/#/diffusion/index).
    """
    weightings = [frame.weighting for frame in volume.columns[0]]
    if not any(w.b_value for w in weightings) or any(w.b_value is None for w in weightings):
        return "", "", ""
    values = " ".join(f"{w.b_value:g}" for w in weightings) + "\n"
    if any(w.b_value and w.gradient is None for w in weightings):
        return values, "", "b-values without directions that are known in the patient's axes: no .bvec"
    axes = affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)
    third = np.cross(axes[:, 0], axes[:, 1])
    third *= np.sign(third @ affine[:3, 2])
    basis = np.column_stack([axes, third])
    ras = np.array([np.array(w.gradient or (0.0, 0.0, 0.0)) * [-1, -1, 1] for w in weightings])
    vectors = ras @ basis
    if np.linalg.det(affine[:3, :3]) > 0:
        vectors[:, 0] *= -1
    rows = [" ".join(f"{x + 0.0:.6g}" for x in row) for row in vectors.T]
    return values, "\n".join(rows) + "\n", ""


def _read(get: Callable[[str, str], Any], group: str, keyword: str) -> Any:
    try:
        return get(group, keyword)
    except UNREADABLE:
        return None


def _converted(convert: _Convert, value: Any) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def repetition(entries: Mapping[str, Any], volume: Volume) -> float:
    """Seconds from one volume to the next for the header, 0 where it is not a series in time."""
    found = entries.get("RepetitionTime", 0.0)
    return float(found) if volume.times > 1 and entries.get("Modality") == "MR" else 0.0
