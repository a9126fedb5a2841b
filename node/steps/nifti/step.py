"""nifti: volumes as .nii.gz, each with a report, beside the DICOM instances they were made from.

```yaml
steps:
  - nifti
  - nifti: {tilt: sheared, names: "%s_%p_{EchoNumbers}"}
```
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.capabilities import cannot_decode
from node.imaging.volumes import Unplaced, Volume, plan
from node.model import Batch, Held, Item, Kind, ReceiptId, Work
from node.steps.nifti import by_dcm2niix, naming, report
from node.steps.nifti.members import NO_PIXELS, Member, read_members
from node.steps.nifti.writing import Wanted, write_volume
from node.steps.nifti.written import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Nifti:
    """Every stack of planes becomes one 3-D or 4-D file, exact in place and value by its own header; the rest is held.

    Frames are put together by series, orientation, size, spacing, echo, image and frame type and units, and stacked
    by position; several at each position are the fourth dimension, in the order of time. Mosaics and grids are taken
    apart. After writing, every pixel of every source frame is looked for in the file; a volume that fails is held.
    Beside a volume are its report (`.report.json`), and for BIDS a sidecar (`.json`), `.bval` and `.bvec`.

    An instance is converted with all its frames or held: what has no pixels, no geometry, or a frame in a stack that
    cannot be put together with certainty leaves the batch as held, with the numbers. DICOM instances that were
    converted pass on. Raises CannotSucceed when the batch has no image at all.
    """

    name: ClassVar[str] = "nifti"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.NIFTI, Kind.REPORT})
    whole: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()

    tilt: Literal["resample", "sheared", "hold"] = "resample"
    """A tilted stack (gantry): interpolated to right angles, exact with an affine that shears (`_sheared` in its name;
    ITK-based readers refuse it), or held."""
    gaps: Literal["split", "resample", "hold"] = "split"
    """Slices that are missing or not one distance apart: split into uniform pieces, interpolated, or held."""
    values: Literal["display", "real"] = "display"
    """`display`: rescaled as the header says. `real`: by its real-world value mapping or Philips' scale slope instead,
    where it has one."""
    format: Literal["nii.gz", "nii", "nrrd", "mha", "npy"] = "nii.gz"
    """What is written; `.npy` has its affine in the report."""
    names: str = ""
    """A pattern with dcm2niix's letters (`%s_%p_%t`) and header keywords (`{EchoNumbers}`). Default: series number,
    modality, a hash of the series UID, number of the volume."""
    sidecar: bool = True
    """Write the BIDS sidecar, `.bval` and `.bvec`."""

    engine: Literal["node", "dcm2niix"] = "node"
    """`dcm2niix`: its program (`pip install dcm2niix`) converts; what our gate does not find exact is held."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, and what this installation cannot do."""
        lacking = [f"this installation cannot decode {name}" for name in cannot_decode()]
        if self.engine == "dcm2niix" and by_dcm2niix.program() is None:
            lacking.append("dcm2niix is not installed: pip install dcm2niix")
        return (*self._wrong(), *lacking)

    def _wrong(self) -> tuple[str, ...]:
        found = list(naming.problems(self.names))
        if self.engine == "dcm2niix":
            given = [n for n in ("tilt", "gaps", "values", "format") if getattr(self, n) != getattr(Nifti(), n)]
            found += [f'"{name}" is for engine: node' for name in given]
            if "{" in self.names:
                found.append("names: header keywords are for engine: node")
        return tuple(found)

    def run(self, batch: Batch, work: Work) -> Batch:
        if problems := self._wrong():
            raise CannotSucceed("; ".join(problems))
        items = [item for item in batch.items if item.kind is Kind.DICOM]
        members, reasons = read_members(items, naming.keywords(self.names))
        if not any(member.pixels for member in members):
            unread = next((reason for _, reason in sorted(reasons.items()) if reason != NO_PIXELS), "")
            raise CannotSucceed(f"no image in the batch{unread and ' can be converted; the first: '}{unread}")
        if self.engine == "dcm2niix":
            written = self._by_dcm2niix(members, reasons, work)
        else:
            written = self._write(self._plan(members, reasons), members, reasons, work)
        for made in written:
            work.note(f"a volume of {made.what}")
        return _batch(batch, members, reasons, written)

    def _plan(self, members: Sequence[Member], reasons: dict[int, str]) -> dict[str, Volume]:
        """The volumes to write, by name; what stands in the way of the others goes to `reasons`, by member."""
        series: dict[str, list[Frame]] = {}
        for n, member in enumerate(members):
            if n not in reasons:
                series.setdefault(member.series, []).extend(member.frames)
        found: dict[str, Volume] = {}
        taken: set[str] = set()
        for frames in series.values():
            for number, group in enumerate(plan(frames, self.tilt, self.gaps), 1):
                if isinstance(group, Unplaced):
                    _hold(group.frames, group.reason, reasons)
                else:
                    first = members[group.frames[0].instance]
                    found[naming.free(self._name(first, number) + "_sheared" * group.sheared, taken)] = group
        return found

    def _by_dcm2niix(self, members: Sequence[Member], reasons: dict[int, str], work: Work) -> list[Written]:
        series: dict[str, list[int]] = {}
        for n, member in enumerate(members):
            if n not in reasons:
                series.setdefault(member.series, []).append(n)
        written: list[Written] = []
        taken: set[str] = set()
        for number, numbers in enumerate(series.values(), 1):
            first = members[numbers[0]]
            folder = work.out / f"dcm2niix-{number:03d}"
            shutil.rmtree(folder, ignore_errors=True)  # a repeat
            folder.mkdir()
            try:
                paths = by_dcm2niix.convert(members, numbers, folder, self.names or self._name(first, 1))
                judged = by_dcm2niix.judge(paths, members, numbers, reasons)
            except CannotSucceed as error:
                reasons.update({n: str(error) for n in numbers if n not in reasons})
                continue
            here = [by_dcm2niix.placed(one, work.out, taken) for one in judged]
            shutil.rmtree(folder)
            written += [report.of_foreign(one, members, self.sidecar) for one in here]
        return written

    def _name(self, first: Member, number: int) -> str:
        if self.names:
            return naming.by_pattern(self.names, first.fields)
        return naming.by_series(first.series_number, first.modality, first.series, number)

    def _write(
        self, volumes: dict[str, Volume], members: Sequence[Member], reasons: dict[int, str], work: Work
    ) -> list[Written]:
        """Write the volumes, then take back those that share an instance with what turned out to be held."""
        wanted = Wanted(form=self.format, real=self.values == "real", beside=self.sidecar)
        written: list[tuple[Volume, Written]] = []
        for name, volume in volumes.items():
            if any(frame.instance in reasons for frame in volume.frames):
                continue
            try:
                written.append((volume, write_volume(work.out, name, volume, members, reasons, wanted)))
            except CannotSucceed as error:
                _hold(volume.frames, str(error), reasons)
        _spread(list(volumes.values()), reasons)
        kept = []
        for volume, made in written:
            if any(frame.instance in reasons for frame in volume.frames):
                made.remove()
            else:
                kept.append(made)
        return kept


def _spread(volumes: Sequence[Volume], reasons: dict[int, str]) -> None:
    """A multi-frame instance that is held for one volume takes its other volumes with it."""
    held = -1
    while held != len(reasons):
        held = len(reasons)
        for volume in volumes:
            if any(frame.instance in reasons for frame in volume.frames):
                _hold(volume.frames, "shares a volume with an instance that is held", reasons)


def _hold(frames: Sequence[Frame], reason: str, reasons: dict[int, str]) -> None:
    for frame in frames:
        reasons.setdefault(frame.instance, reason)


def _batch(batch: Batch, members: Sequence[Member], reasons: dict[int, str], written: Sequence[Written]) -> Batch:
    held = {id(members[n].item) for n in reasons}
    items = [item for item in batch.items if id(item) not in held]
    for made in written:
        sources = _receipts([members[n].item for n in made.instances])
        items += [Item(path=path, kind=Kind.NIFTI, sources=sources) for path in made.files]
        items.append(Item(path=made.report, kind=Kind.REPORT, sources=sources))
    found = tuple(Held(sources=members[n].item.sources, reason=reason) for n, reason in sorted(reasons.items()))
    return replace(batch, items=tuple(items), held=batch.held + found)


def _receipts(items: Sequence[Item]) -> tuple[ReceiptId, ...]:
    """Each receipt once, in order of first mention."""
    return tuple(dict.fromkeys(receipt for item in items for receipt in item.sources))
