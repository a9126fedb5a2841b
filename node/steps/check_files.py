"""The instances of one series as the check step reads them, and the report on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from node.complete.facts import Announced, HeaderCount
from node.complete.headers import header_counts
from node.dicom.damage import UNREADABLE
from node.dicom.dataset import read
from node.dicom.header import read_header_of
from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.imaging.consistency import FINDINGS, Finding, Stack, consistency
from node.imaging.functional import value_of
from node.imaging.ordering import Ordered, ordered, trend
from node.imaging.pixels import read_header
from node.imaging.planes import Plane, planes_of
from node.model import Item, ReceiptId
from node.steps.picture_names import series_name

_LISTED = 100
"""Absent instance numbers that are named; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One instance."""

    item: Item
    ds: Dataset
    planes: tuple[Plane, ...]
    unreadable: str = ""
    """Why, where it is."""

    @property
    def series(self) -> str:
        return str(value_of(self.ds, "SeriesInstanceUID") or "")

    @property
    def uid(self) -> str:
        return str(value_of(self.ds, "SOPInstanceUID") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A series and what was found."""

    name: str
    members: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    stacks: tuple[Stack, ...]
    order: Ordered
    counts: tuple[HeaderCount, ...]


def read_instance(item: Item) -> Checked:
    """The header of one instance; what cannot be read is said, not raised."""
    try:
        ds, pixels = read_header(item.path)
    except CannotSucceed as error:
        return Checked(item=item, ds=_header_alone(item.path), planes=(), unreadable=str(error))
    return Checked(item=item, ds=ds, planes=tuple(planes_of(ds, pixels.layout, 0)) if pixels else ())


def _header_alone(path: Path) -> Dataset:
    """Of an instance whose pixels make no sense, so that it is told which series it belongs to."""
    try:
        with path.open("rb") as file:
            return read(file, stop_before_pixels=True)
    except UNREADABLE:
        return Dataset()


def judge(members: Sequence[Checked], announced: Sequence[Announced], dropped: frozenset[ReceiptId]) -> Judged:
    """Judge one series. The result does not depend on the order of its members.

    announced   what is said of this series and others
    dropped     what a rule took out of the batch: it came, and is not missing
    """
    members = sorted(members, key=lambda member: (member.uid, member.item.path.name))
    planes = [replace(plane, member=n) for n, member in enumerate(members) for plane in member.planes]
    findings, stacks = consistency(planes)
    unreadable = [n for n, member in enumerate(members) if member.unreadable]
    if unreadable:
        text = f"{len(unreadable)} instances; the first: {members[unreadable[0]].unreadable}"
        findings.append(Finding(what="unreadable", text=text, members=tuple(unreadable)))
    headers = header_counts([_indexed(member.item.path) for member in members if _counted(member.ds)])
    here = {source for member in members for source in member.item.sources}
    said = [
        HeaderCount(what=one.says, announced=one.count, here=len(one.receipts & (here | dropped)), exact=True)
        for one in announced
        if one.receipts & here
    ]
    counts = (*headers, *said)
    for count in counts:
        if count.exact and count.here < count.announced:
            text = f"{count.here} of {count.announced} instances: {count.what}"
            findings.append(Finding(what="fewer_than_announced", text=text))
    name = min(series_name(member.ds) for member in members)
    return Judged(
        name=name, members=tuple(members), findings=tuple(findings), stacks=tuple(stacks),
        order=ordered(planes), counts=counts,
    )  # fmt: skip


def _counted(ds: Dataset) -> bool:
    """Whether `node.complete.headers` has something to say of it."""
    return str(value_of(ds, "Modality") or "") == "PT" or value_of(ds, "ConcatenationUID") is not None


def _indexed(path: Path) -> Any:
    meta = read_meta(path)
    return read_header_of(path, meta.transfer_syntax, meta.dataset_offset).header


def write_report(path: Path, judged: Judged, allowed: Sequence[str]) -> None:
    """The report as JSON: UIDs, counts and lengths, nothing that identifies a patient."""
    path.write_text(json.dumps(facts(judged, allowed), indent=2) + "\n")


def facts(judged: Judged, allowed: Sequence[str]) -> dict[str, Any]:
    """What the report says. `allowed`: findings that are no fault here."""
    members, planes = judged.members, judged.order.planes
    first = next((member.ds for member in members if member.planes), members[0].ds)
    return {
        "series_instance_uid": members[0].series,
        "modality": str(value_of(first, "Modality") or ""),
        "instances": len(members),
        "frames": len(planes),
        "without_images": sum(not member.planes and not member.unreadable for member in members),
        "consistent": not faults(judged, allowed),
        "findings": [
            {
                "what": finding.what,
                "meaning": FINDINGS[finding.what],
                "text": finding.text,
                "allowed": finding.what in allowed,
                "sop_instance_uids": [members[n].uid for n in finding.members],
            }
            for finding in judged.findings
        ],
        "stacks": [_stack(stack) for stack in judged.stacks],
        "assumptions": _assumptions(judged.stacks),
        "count": {"here": len(members), "announced": [_count(c) for c in judged.counts], **_numbers(planes)},
        "order": {
            "by": judged.order.by,
            "instance_number": trend([plane.number for plane in planes]),
            "slice_location": trend([plane.location for plane in planes]),
            "frames": [{"sop_instance_uid": members[p.member].uid, "frame": p.frame + 1} for p in planes],
        },
    }


def faults(judged: Judged, allowed: Sequence[str]) -> list[Finding]:
    """The findings that are not allowed."""
    return [finding for finding in judged.findings if finding.what not in allowed]


def _stack(stack: Stack) -> dict[str, Any]:
    return {
        "frames": stack.planes,
        "positions": stack.positions,
        "images_per_position": list(stack.images_per_position),
        "distance_mm": None if stack.distance is None else round(stack.distance, 6),
        "tilt_degrees": round(stack.tilt, 3),
    }


def _assumptions(stacks: Sequence[Stack]) -> list[str]:
    if any(stack.distance is None for stack in stacks):
        return ["one position: nothing says how far the next slice would be; 'Slice Thickness' is not taken for it"]
    return []


def _count(count: HeaderCount) -> dict[str, Any]:
    return {"says": count.what, "announced": count.announced, "here": count.here, "exact": count.exact}


def _numbers(planes: Sequence[Plane]) -> dict[str, Any]:
    """Instance Numbers need not begin at 1 nor be without gaps (PS3.3 C.7.6.1), so a gap is told and no fault."""
    there = {plane.number for plane in planes if plane.number is not None}
    if not there or max(there) - min(there) > 100_000:
        return {}
    absent = [number for number in range(min(there), max(there)) if number not in there]
    return {
        "instance_numbers": [min(there), max(there)],
        "absent_instance_numbers": {"count": len(absent), "first": absent[:_LISTED]},
    }
