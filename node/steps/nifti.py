"""nifti: volumes as .nii.gz, each with a report, beside the DICOM instances they were made from.

```yaml
steps:
  - nifti
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.capabilities import cannot_decode
from node.imaging.volumes import Unplaced, Volume, plan
from node.model import Batch, Held, Item, Kind, ReceiptId, Work
from node.steps.nifti_files import Member, Written, read_members, write_volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Nifti:
    """Every uniform stack of planes becomes one 3-D or 4-D file, exact in place and value; the rest is held.

    An instance is converted with all its frames or held: what has no pixels, no geometry, or a frame in a stack that is
    tilted, not uniform or ragged leaves the batch as held, with the numbers. DICOM instances that were converted
    pass on. Raises CannotSucceed when the batch has no image at all.
    """

    name: ClassVar[str] = "nifti"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.NIFTI, Kind.REPORT})
    whole: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()

    def problems(self) -> tuple[str, ...]:
        """What this installation cannot decode."""
        return tuple(f"this installation cannot decode {name}" for name in cannot_decode())

    def run(self, batch: Batch, work: Work) -> Batch:
        members, reasons = read_members([item for item in batch.items if item.kind is Kind.DICOM])
        if not any(member.pixels for member in members):
            raise CannotSucceed("no image in the batch")
        groups = _plan(members, reasons)
        written = _write(groups, members, reasons, work)
        for made in written:
            work.note(f"{made.nifti.name}: {made.what}")
        return _batch(batch, members, reasons, written)


def _plan(members: Sequence[Member], reasons: dict[int, str]) -> dict[str, Volume]:
    """The volumes to write, by file name; what stands in the way of the others goes to `reasons`, by member."""
    series: dict[str, list[Frame]] = {}
    for n, member in enumerate(members):
        if n not in reasons:
            series.setdefault(member.series, []).extend(member.frames)
    found: dict[str, Volume] = {}
    for frames in series.values():
        for number, group in enumerate(plan(frames), 1):
            if isinstance(group, Unplaced):
                _hold(group.frames, group.reason, reasons)
            else:
                found[members[group.frames[0].instance].file_name(number)] = group
    return found


def _write(volumes: dict[str, Volume], members: Sequence[Member], reasons: dict[int, str], work: Work) -> list[Written]:
    """Write the volumes, then take back those that share an instance with what turned out to be held."""
    written: list[tuple[Volume, Written]] = []
    for name, volume in volumes.items():
        if any(frame.instance in reasons for frame in volume.frames):
            continue
        try:
            written.append((volume, write_volume(work.out / name, volume, members, reasons)))
        except CannotSucceed as error:
            _hold(volume.frames, str(error), reasons)
    held = 0
    while held != len(reasons):  # a multi-frame instance held for one volume takes its other volumes with it
        held = len(reasons)
        for volume in volumes.values():
            if any(frame.instance in reasons for frame in volume.frames):
                _hold(volume.frames, "shares a volume with an instance that is held", reasons)
    kept = []
    for volume, made in written:
        if any(frame.instance in reasons for frame in volume.frames):
            made.remove()
        else:
            kept.append(made)
    return kept


def _hold(frames: Sequence[Frame], reason: str, reasons: dict[int, str]) -> None:
    for frame in frames:
        reasons.setdefault(frame.instance, reason)


def _batch(batch: Batch, members: Sequence[Member], reasons: dict[int, str], written: Sequence[Written]) -> Batch:
    held = {id(members[n].item) for n in reasons}
    items = [item for item in batch.items if id(item) not in held]
    for made in written:
        sources = _receipts([members[n].item for n in made.instances])
        items.append(Item(path=made.nifti, kind=Kind.NIFTI, sources=sources))
        items.append(Item(path=made.report, kind=Kind.REPORT, sources=sources))
    found = tuple(Held(sources=members[n].item.sources, reason=reason) for n, reason in sorted(reasons.items()))
    return replace(batch, items=tuple(items), held=batch.held + found)


def _receipts(items: Sequence[Item]) -> tuple[ReceiptId, ...]:
    """Each receipt once, in order of first mention."""
    return tuple(dict.fromkeys(receipt for item in items for receipt in item.sources))
