"""masks: structure sets and segmentations as masks.

```yaml
steps:
  - masks
  - masks: {write: [labels, seg], rois: {"(?:left |l_?)lung|lung_l": lung_left, "ptv.*": PTV}, wait: 12h}
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from node.dicom.part10 import read_meta
from node.dicom.references import REFERRING, RT_STRUCTURE_SET
from node.dicom.uids import mark_of
from node.errors import CannotSucceed
from node.imaging.grid import Image, read_image
from node.imaging.segmentation import Mask, Origin, write_segmentation
from node.imaging.segments import Segmentation, read_segmentation
from node.imaging.structures import StructureSet, read_structures
from node.model import Batch, Held, Item, Kind, Referenced, Work
from node.steps.masks.drawing import Result, Sheet, draw_structures, take_segments
from node.steps.masks.files import Patches, facts_of, write_labels, write_mask, write_report
from node.steps.masks.naming import problems_of

Write = Literal["masks", "labels", "seg"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """RT structure sets and DICOM segmentations become masks on the slices of the images they were drawn on.

    A voxel belongs to a region when its centre lies inside a contour or on it (PS3.3 C.8.8.6.3). A contour is drawn on
    the slice that it lies on, within 0.05 mm; one that lies between slices or outside, and one that is open, is left
    out and reported, never moved. Each structure set gets a report: per region the contours, voxels and ml, and what
    was left out and why. Images that are not in the unit are looked up, also where they came in another association; a
    structure set whose images do not come is held.

    `anonymize` before it empties the names of regions (PS3.15 E.1-1, ROI Name: Z); where a route chooses by name, its
    recipe has to `KEEP ROIName`. The images that are looked up go through the same `anonymize`.
    """

    name: ClassVar[str] = "masks"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.MASK, Kind.REPORT})
    whole: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"referenced"})

    write: tuple[Write, ...] = ("masks",)
    """masks: a NIfTI file for each region; labels: one NIfTI file with a value for each; seg: a DICOM segmentation."""
    rois: Mapping[str, str] = field(default_factory=dict)
    """Regular expression -> name. The first one that fits the whole name of a region, in any case, names it; \\1 is its
    first group. Its place is the value in a label map. Empty: all regions, under their own names."""
    others: Literal["drop", "keep"] = "drop"
    """Regions that no row of `rois` fits."""
    nested: Literal["xor", "union"] = "xor"
    """What a CLOSED_PLANAR contour inside another one is: a hole, or nothing; CLOSEDPLANAR_XOR is always a hole."""
    incomplete: Literal["report", "hold"] = "report"
    """When a contour of a wanted region cannot be drawn: say so in the report, or hold the structure set."""
    tilt: Literal["hold", "sheared"] = "hold"
    """NIfTI masks on images of a tilted gantry. `sheared`: on the slices as they are, in files with a sheared affine
    that ITK-based readers refuse, `_sheared` at the end of their names. A segmentation is written in any case."""
    wait: timedelta = timedelta(hours=4)
    """How long to wait for images that have not come."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each."""
        found = problems_of(self.rois)
        if not self.write:
            found.append("write: name at least one of masks, labels, seg")
        return tuple(found)

    def run(self, batch: Batch, work: Work) -> Batch:
        """Convert each structure set and segmentation; what cannot be converted is held alone.

        Raises CannotSucceed when the batch has none of either.
        """
        if problems := self.problems():
            raise CannotSucceed("; ".join(problems))
        classes = {item.path: read_meta(item.path).sop_class or "" for item in batch.items}
        if not REFERRING.intersection(classes.values()):
            raise CannotSucceed("no structure set and no segmentation in the batch")
        referenced: Referenced = work.given["referenced"]
        others = [item for item in batch.items if classes[item.path] not in REFERRING]
        images = _images([*others, *referenced.items])
        items, held = list(others), list(batch.held)
        done: Counter[str] = Counter()
        for item in sorted(set(batch.items) - set(others), key=lambda item: item.path.name):
            missing = next((referenced.missing[s] for s in item.sources if s in referenced.missing), "")
            try:
                made = self._convert(item, classes[item.path], images, missing, work.out, done)
            except CannotSucceed as error:
                held.append(Held(sources=item.sources, reason=str(error)))
            else:
                items += [item, *made]
        if done:
            work.note("{} masks of {} regions; {} regions and {} contours left out", done["files"], done["regions"],
                      done["left out"], done["contours"])  # fmt: skip
        return replace(batch, items=tuple(items), held=tuple(held))

    def _convert(
        self, item: Item, sop_class: str, images: Mapping[str, Sequence[Image]], missing: str, out: Path,
        done: Counter[str],
    ) -> list[Item]:  # fmt: skip
        """The files made of one object; none is left behind when it raises."""
        source: StructureSet | Segmentation
        if sop_class == RT_STRUCTURE_SET:
            source = read_structures(item.path)
            if missing:
                raise CannotSucceed(missing)
            of_series = [image for series in source.referenced for image in images.get(series, ())]
            if not of_series:
                raise CannotSucceed("the images that it refers to are not there")
            result = draw_structures(source, of_series, self.rois, self.others, self.nested)
            if result.contours_left_out and self.incomplete == "hold":
                raise CannotSucceed(
                    f"{result.contours_left_out} contours cannot be drawn; `incomplete: report` goes on"
                )
        else:
            source = read_segmentation(item.path)
            if not {"masks", "labels"}.intersection(self.write):
                return []
            of_series = [image for series in source.referenced for image in images.get(series, ())]
            result = take_segments(source, of_series, self.rois, self.others)
        made: list[Item] = []
        try:
            for number, sheet in enumerate(result.sheets, 1):
                stem = _stem(source) + (f"_{number:02d}" if len(result.sheets) > 1 else "")
                self._write(source, sheet, result, out / stem, item, made)
                done["regions"] += len(sheet.regions)
        except CannotSucceed:
            for one in made:
                one.path.unlink(missing_ok=True)
            raise
        done["files"] += sum(one.kind is Kind.MASK for one in made)
        done["left out"] += len(result.left_out)
        done["contours"] += result.contours_left_out
        return made

    def _write(
        self, source: StructureSet | Segmentation, sheet: Sheet, result: Result, stem: Path, item: Item,
        made: list[Item],
    ) -> None:  # fmt: skip
        """One sheet; each file is in `made` as soon as it is there."""

        def add(path: Path, kind: Kind) -> str:
            made.append(Item(path=path, kind=kind, sources=item.sources))
            return path.name

        files: dict[str, Any] = {}
        worst = 0.0
        sheared = sheet.grid.volume.sheared
        if sheared and self.tilt == "hold" and {"masks", "labels"}.intersection(self.write):
            raise CannotSucceed(f"{sheet.grid.volume.assumptions[0]}; `tilt: sheared` writes masks on them as they are")
        end = "_sheared.nii.gz" if sheared else ".nii.gz"
        if "masks" in self.write:
            for region in sheet.regions:
                path = stem.with_name(f"{stem.name}_{region.called.file}{end}")
                worst = max(worst, write_mask(path, sheet.grid, region.slices))
                files[region.called.file] = add(path, Kind.MASK)
        facts = _facts(source, sheet, result)
        if "labels" in self.write:
            path = stem.with_name(f"{stem.name}{end}")
            apart, taken = write_labels(path, sheet.grid, sheet.regions)
            worst = max(worst, apart)
            facts["labels"] = add(path, Kind.MASK)
            facts["taken_from_others"] = {name: n for name, n in taken.items() if n}
        if "seg" in self.write and isinstance(source, StructureSet):
            path = stem.with_name(f"{stem.name}.dcm")
            _write_segmentation(path, source, sheet)
            facts["segmentation"] = add(path, Kind.DICOM)
        for region, described in zip(sheet.regions, facts["regions"], strict=True):
            described["file"] = files.get(region.called.file)
        facts["gate"] = {"slices": sheet.grid.volume.slices, "worst_mm": round(worst, 6)}
        report = stem.with_name(f"{stem.name}.report.json")
        write_report(report, facts)
        add(report, Kind.REPORT)


def _images(items: Sequence[Item]) -> dict[str, list[Image]]:
    """Images by series; what cannot be read is no image, and what refers to it is told that it lacks it."""
    found: dict[str, list[Image]] = {}
    for item in items:
        try:
            image = read_image(item.path)
        except CannotSucceed:
            continue
        if image is not None:
            found.setdefault(image.series, []).append(image)
    return found


def _stem(source: StructureSet | Segmentation) -> str:
    """Series number, kind, and a hash of the SOP Instance UID."""
    kind = "RTSTRUCT" if isinstance(source, StructureSet) else "SEG"
    return f"{source.series_number:03d}_{kind}_{mark_of(source.sop_instance)}"


def _facts(source: StructureSet | Segmentation, sheet: Sheet, result: Result) -> dict[str, Any]:
    found = facts_of(sheet.grid, sheet.regions)
    found["assumptions"] += sheet.assumptions
    return {
        "sop_instance_uid": source.sop_instance,
        "series_instance_uid": source.series,
        "modality": "RTSTRUCT" if isinstance(source, StructureSet) else "SEG",
        "referenced_series_instance_uid": sheet.grid.images[0].series if sheet.grid.images else None,
        **found,
        "left_out": list(result.left_out),
    }


def _write_segmentation(path: Path, source: StructureSet, sheet: Sheet) -> None:
    masks = []
    for region in sheet.regions:
        assert isinstance(region.slices, Patches)  # of a structure set
        roi = sheet.rois[region.called.file]
        masks.append(
            Mask(
                label=region.called.name, algorithm=roi.algorithm, organ=roi.interpreted == "ORGAN",
                slices=region.slices.slices,
            )
        )  # fmt: skip
    origin = Origin(
        sop_instance=source.sop_instance, series_number=source.series_number, date=source.date, time=source.time
    )
    write_segmentation(path, masks, sheet.grid, origin)
