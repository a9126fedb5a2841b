"""The report of one volume: what it is, from which instances, what was assumed, why it was split, what the gate saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from node.imaging.gate import Passed
from node.imaging.nifti import RGB24, NiftiHeader
from node.imaging.values import Values, scale_of
from node.imaging.volume_files import Format
from node.imaging.volumes import Volume
from node.steps.nifti.by_dcm2niix import Judged
from node.steps.nifti.members import Member
from node.steps.nifti.written import Written, write_json

SHEARED = (
    "the slices are not at right angles to the stack: the affine is in the sform, the qform code is 0, and readers "
    "that know rotations only (ITK) refuse the file"
)


def facts(
    path: Path,
    form: Format,
    header: NiftiHeader,
    volume: Volume,
    values: Values,
    passed: Passed,
    sources: Sequence[Member],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Plain JSON values. `notes` are assumptions made while writing, after those of the plan."""
    first = sources[0]
    assert first.pixels is not None  # a member without pixels has no frames
    layout = first.pixels.layout
    assumptions = [*volume.assumptions, *notes]
    if layout.photometric == "MONOCHROME1":
        assumptions.append("MONOCHROME1: values are as stored, the lowest is shown white")
    found: dict[str, Any] = {
        "file": path.name,
        "format": form,
        "modality": first.modality,
        "sop_class_uid": first.sop_class,
        "series_instance_uid": first.series,
        "sop_instance_uids": [source.sop_instance for source in sources],
        "instances": len(sources),
        "frames": len(volume.frames),
        "shape": list(header.shape),
        "voxel_mm": [round(float(x), 6) for x in np.linalg.norm(header.affine[:3, :3], axis=0)],
        "affine": header.affine.tolist(),
        "geometry": "resampled" if volume.resampled else "sheared" if volume.sheared else "exact",
        "order_of_volumes": volume.order or None,
        "type": "rgb24" if values.dtype == RGB24 else str(values.dtype),
        "rescale": (
            "in the voxels, frame by frame"
            if values.applied
            else {"slope": values.slope, "intercept": values.intercept}
        ),
        "values": "real-world" if any(scale_of(f, values.real) != (f.slope, f.intercept) for f in volume.frames)
        else "rescaled as the modality says",
        "photometric_interpretation": layout.photometric,
        "transfer_syntaxes": sorted({s.pixels.layout.transfer_syntax for s in sources if s.pixels}),
        "split": list(volume.split),
        "assumptions": assumptions,
        "gate": {"frames": passed.frames, "worst_mm": round(passed.worst_mm, 6), "worst_value": passed.worst_value},
    }  # fmt: skip
    if volume.sheared:
        found["note"] = SHEARED
    return found


def of_foreign(judged: Judged, members: Sequence[Member], beside: bool) -> Written:
    """Write the report of a file that dcm2niix made and the gate let out."""
    sources = [members[n] for n in judged.instances]
    path = judged.path.with_name(judged.path.name.removesuffix(".nii.gz") + ".report.json")
    found = {
        "file": judged.path.name,
        "engine": "dcm2niix",
        "modality": sources[0].modality,
        "series_instance_uid": sources[0].series,
        "sop_instance_uids": [source.sop_instance for source in sources],
        "instances": len(sources),
        "frames": judged.frames,
        "shape": list(judged.shape),
        "affine": judged.affine,
        "gate": {"frames": judged.frames},
    }
    write_json(path, found)
    files = (judged.path, *(judged.beside if beside else ()))
    shape = " x ".join(str(n) for n in judged.shape)
    what = f"{shape}, by dcm2niix, {judged.frames} frames, gate passed"
    return Written(files=files, report=path, instances=judged.instances, what=what)
