"""The files of the nifti step: DICOM instances in, one .nii.gz and one report out."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging import gate, nifti
from node.imaging.attributes import Frame, frames_of
from node.imaging.layout import Array
from node.imaging.pixels import Pixels, read_header
from node.imaging.values import Values, values_of
from node.imaging.volumes import Volume
from node.model import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One instance of the batch: what is kept of its header."""

    item: Item
    series: str
    series_number: int
    modality: str
    sop_instance: str
    sop_class: str
    number: int
    pixels: Pixels | None
    frames: tuple[Frame, ...]

    def file_name(self, volume: int) -> str:
        """Series number, modality, a hash of the series UID and the volume's number (from 1) in the series."""
        short = hashlib.sha256(self.series.encode()).hexdigest()[:8]
        return f"{self.series_number:03d}_{self.modality}_{short}_{volume:02d}.nii.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A volume that passed the gate."""

    nifti: Path
    report: Path
    instances: tuple[int, ...]
    """Indices of the members whose frames are in it."""
    what: str

    def remove(self) -> None:
        self.nifti.unlink()
        self.report.unlink()


def read_members(items: Sequence[Item]) -> tuple[list[Member], dict[int, str]]:
    """Read the headers; members in order of series, instance number and UID, so that any order of the batch gives the
    same files. Returns them, and by index the reason why a member cannot be converted."""
    read = sorted((_member(item) for item in items), key=lambda pair: _sort_key(pair[0]))
    members: list[Member] = []
    reasons: dict[int, str] = {}
    for n, (member, reason) in enumerate(read):
        if reason:
            reasons[n] = reason
        members.append(_numbered(member, n))
    return members, reasons


def write_volume(path: Path, volume: Volume, members: Sequence[Member], reasons: dict[int, str]) -> Written:
    """Decode, write `path`, pass the gate, and write the report beside it.

    An instance that cannot be decoded gets its own entry in `reasons`. Raises CannotSucceed, with nothing left
    behind, when the volume cannot be written with certainty. Memory: the decoded volume once.
    """
    pixels = _decode(volume, members, reasons)
    source = members[volume.frames[0].instance].pixels
    assert source is not None  # a member without pixels has no frames
    values = values_of(volume, source.layout)
    rows, columns = pixels[0].shape[:2]
    header = nifti.NiftiHeader(
        shape=(columns, rows, volume.slices, volume.times),
        dtype=values.dtype,
        affine=volume.affine,
        slope=values.slope,
        intercept=values.intercept,
    )
    try:
        nifti.write(path, header, (values.voxels(f, p) for f, p in zip(volume.frames, pixels, strict=True)))
        passed = gate.check(path, volume, values, pixels)
    except CannotSucceed:
        path.unlink(missing_ok=True)
        raise
    instances = tuple(dict.fromkeys(frame.instance for frame in volume.frames))
    report = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
    facts = _facts(path, header, volume, values, passed, [members[n] for n in instances])
    report.write_text(json.dumps(facts, indent=2) + "\n")
    shape = " x ".join(str(n) for n in header.shape[: 4 if volume.times > 1 else 3])
    return Written(
        nifti=path, report=report, instances=instances, what=f"{shape}, {len(volume.frames)} frames, gate passed"
    )


def _decode(volume: Volume, members: Sequence[Member], reasons: dict[int, str]) -> list[Array]:
    """The frames of the volume, in its order; each file is opened once."""
    places: dict[int, list[int]] = {}
    for n, frame in enumerate(volume.frames):
        places.setdefault(frame.instance, []).append(n)
    pixels: list[Array] = [np.empty(0)] * len(volume.frames)
    broken = 0
    for instance, wanted in places.items():
        source = members[instance].pixels
        assert source is not None  # a member without pixels has no frames
        try:
            for n, decoded in zip(wanted, source.frames([volume.frames[n].number for n in wanted]), strict=True):
                pixels[n] = decoded
        except CannotSucceed as error:
            reasons[instance] = str(error)
            broken += 1
    if broken:
        raise CannotSucceed(f"its volume lacks {broken} of {len(places)} instances, which cannot be decoded")
    return pixels


def _facts(
    path: Path, header: nifti.NiftiHeader, volume: Volume, values: Values, passed: gate.Passed, sources: list[Member]
) -> dict[str, Any]:
    first = sources[0]
    assert first.pixels is not None  # a member without pixels has no frames
    layout = first.pixels.layout
    rescale = (
        "in the voxels, frame by frame" if values.applied else {"slope": values.slope, "intercept": values.intercept}
    )
    assumptions = list(volume.assumptions)
    if layout.photometric == "MONOCHROME1":
        assumptions.append("MONOCHROME1: values are as stored, the lowest is shown white")
    return {
        "file": path.name,
        "modality": first.modality,
        "sop_class_uid": first.sop_class,
        "series_instance_uid": first.series,
        "sop_instance_uids": [source.sop_instance for source in sources],
        "instances": len(sources),
        "frames": len(volume.frames),
        "shape": list(header.shape),
        "voxel_mm": [round(float(x), 6) for x in np.linalg.norm(volume.affine[:3, :3], axis=0)],
        "affine": volume.affine.tolist(),
        "type": "rgb24" if values.dtype == nifti.RGB24 else str(values.dtype),
        "rescale": rescale,
        "photometric_interpretation": layout.photometric,
        "transfer_syntaxes": sorted({s.pixels.layout.transfer_syntax for s in sources if s.pixels}),
        "assumptions": assumptions,
        "gate": {"frames": passed.frames, "worst_mm": round(passed.worst_mm, 6)},
    }


def _member(item: Item) -> tuple[Member, str]:
    """The member, and why it cannot be converted or ''."""
    try:
        ds, pixels = read_header(item.path)
    except CannotSucceed as error:
        return _described(item, Dataset(), None, ()), str(error)
    # pydicom parses on first use and warns with the value in the text, which no log may carry.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if pixels is None:
            return _described(item, ds, None, ()), "no pixel data"
        try:
            return _described(item, ds, pixels, tuple(frames_of(ds, pixels.layout, 0))), ""
        except CannotSucceed as error:
            return _described(item, ds, pixels, ()), str(error)


def _described(item: Item, ds: Dataset, pixels: Pixels | None, frames: tuple[Frame, ...]) -> Member:
    return Member(
        item=item,
        series=str(ds.get("SeriesInstanceUID") or ""),
        series_number=_integer(ds, "SeriesNumber"),
        # Goes into a file name: nothing but what a code string may have.
        modality=re.sub(r"[^A-Z0-9]", "", str(ds.get("Modality") or "").upper())[:16] or "OT",
        sop_instance=str(ds.get("SOPInstanceUID") or ""),
        sop_class=str(ds.get("SOPClassUID") or ""),
        number=_integer(ds, "InstanceNumber"),
        pixels=pixels,
        frames=frames,
    )


def _sort_key(member: Member) -> tuple[str, int, str, str]:
    return member.series, member.number, member.sop_instance, member.item.path.name


def _numbered(member: Member, instance: int) -> Member:
    return replace(member, frames=tuple(replace(frame, instance=instance) for frame in member.frames))


def _integer(ds: Dataset, keyword: str) -> int:
    try:
        return max(int(ds.get(keyword) or 0), 0)
    except (TypeError, ValueError):
        return 0
