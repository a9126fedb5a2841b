"""`dicom-node contours`: the regions of a structure set or a segmentation, without its images."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from node.cli.table import show


def contours(path: Path, as_json: bool) -> int:
    from node.cli.gather import batch_of, gather
    from node.errors import CannotSucceed, ConfigurationError
    from node.model import UnitKind

    if not path.is_file():
        raise ConfigurationError(f"{path} is no file")
    gathered = gather([path], UnitKind.INSTANCE)
    if not gathered.units:
        print(f"{path}: {gathered.held[0][1] if gathered.held else 'no DICOM instance'}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="dicom-node-") as work:
        (item,) = batch_of(gathered.units[0], Path(work)).items  # a copy, for it may have no file meta information
        try:
            facts = _facts(item.path, gathered.units[0].members[0].identity.sop_class)
        except CannotSucceed as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        _tell(facts)
    return 0


def _facts(path: Path, sop_class: str) -> dict[str, Any]:
    from node.dicom.references import RT_STRUCTURE_SET
    from node.errors import CannotSucceed
    from node.imaging.segments import SEGMENTATIONS

    if sop_class == RT_STRUCTURE_SET:
        return _of_structures(path)
    if sop_class in SEGMENTATIONS:
        return _of_segmentation(path)
    raise CannotSucceed("neither a structure set nor a segmentation")


def _of_structures(path: Path) -> dict[str, Any]:
    from node.imaging.extent import distance_of_planes, extent_of
    from node.imaging.structures import read_structures

    found = read_structures(path)
    between = distance_of_planes(contour for roi in found.rois for contour in roi.contours)
    regions = []
    for roi in found.rois:
        extent = extent_of(roi.contours)
        regions.append({
            "number": roi.number, "name": roi.name, "type": roi.interpreted, "algorithm": roi.algorithm,
            "contours": len(roi.contours), "kinds": dict(Counter(c.kind for c in roi.contours)),
            "planes": extent.planes, "ml": extent.millilitres(between),
            "faults": dict(Counter(c.fault for c in roi.contours if c.fault)),
        })  # fmt: skip
    return {"modality": "RTSTRUCT", "referenced_series": list(found.referenced), "between_planes_mm": between,
            "regions": regions}  # fmt: skip


def _of_segmentation(path: Path) -> dict[str, Any]:
    from node.imaging.segments import own_grid, read_segmentation
    from node.steps.masks.files import Frames

    found = read_segmentation(path)
    grid, places, assumed = own_grid(found)
    regions = []
    for segment in found.segments:
        slices = Frames(found.slices_of(segment.number, places), grid.shape, found.maximum)
        regions.append({
            "number": segment.number, "name": segment.label, "type": "", "algorithm": "",
            "contours": len(slices.slices), "kinds": {found.kind: len(slices.slices)}, "planes": len(slices.slices),
            "voxels": slices.voxels, "ml": slices.filled * grid.millilitres, "faults": {},
        })  # fmt: skip
    return {"modality": "SEG", "referenced_series": list(found.referenced), "between_planes_mm": grid.planes.step,
            "assumptions": assumed, "regions": regions}  # fmt: skip


def _tell(facts: dict[str, Any]) -> None:
    rows = []
    for one in facts["regions"]:
        amount = "volume unknown" if one["ml"] is None else f"{one['ml']:.2f} ml"
        kinds = ", ".join(f"{n} {kind}" for kind, n in one["kinds"].items()) or "nothing drawn"
        faults = "".join(f"; {n}: {fault}" for fault, n in one["faults"].items())
        what = f"{one['number']} {one['name'] or '(no name)'}"
        rows.append((what, one["contours"], f"{one['planes']} planes, {amount}", kinds + faults))
    show(rows)
    for series in facts["referenced_series"]:
        print(f"drawn on series {series}")
