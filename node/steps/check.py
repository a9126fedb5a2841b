"""check: whether the instances of each series fit together, before anybody makes a volume of them.

```yaml
steps:
  - check
  - check: note
  - check: {on_fail: hold, allow: [mixed_orientation, missing_frame_of_reference]}
```
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from node.errors import CannotSucceed
from node.imaging.consistency import FINDINGS, Finding
from node.model import Batch, Held, Item, Kind, ReceiptId, Work
from node.steps.check_files import Checked, faults, judge, read_instance, write_report

_SAID = 4
"""Findings that a reason names; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Look whether the images of each series fit together; the instances pass on, with a JSON report per series.

    Sizes, pixels, orientation, spacing, positions that are missing, double, uneven or off the line, rescale, frame of
    reference, and as many instances as headers, C-FIND answers and procedure steps announce. The report also has the
    order of the frames: by position projected onto the normal of their plane, else by Slice Location, else by Instance
    Number. Series without images are not judged.
    """

    name: ClassVar[str] = "check"
    short: ClassVar[str] = "on_fail"
    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM})
    gives: ClassVar[frozenset[Kind]] = frozenset({Kind.DICOM, Kind.REPORT})
    whole: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"announced"})

    on_fail: Literal["hold", "note"] = "hold"
    """What becomes of a series that does not fit together: `hold` it, or `note` the findings and pass it on."""
    allow: tuple[str, ...] = ()
    """Findings that are no fault here, by name; they stay in the report. docs/CONVERSION.md has the list."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the options, a sentence each."""
        return tuple(_unknown(name) for name in self.allow if name not in FINDINGS)

    def run(self, batch: Batch, work: Work) -> Batch:
        """The batch with a report for each series; raises CannotSucceed for options that mean nothing."""
        if problems := self.problems():
            raise CannotSucceed("; ".join(problems))
        items: list[Item] = list(batch.items)
        held = list(batch.held)
        # pydicom parses on first use and warns with the value in the text, which no log may carry.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for members in _by_series([read_instance(item) for item in batch.items]):
                judged = judge(members, work.given["announced"], frozenset(batch.dropped))
                sources = _receipts([member.item for member in judged.members])
                found = faults(judged, self.allow)
                if found and self.on_fail == "hold":
                    theirs = {id(member.item) for member in judged.members}
                    items = [item for item in items if id(item) not in theirs]
                    held.append(Held(sources=sources, reason=_reason(found)))
                    continue
                for finding in found:
                    work.note(f"{judged.name}: {finding.what}: {finding.text}")
                work.note("{} of {} series consistent", int(not found), 1)
                path = work.out / f"{judged.name}_check.json"
                write_report(path, judged, self.allow)
                items.append(Item(path=path, kind=Kind.REPORT, sources=sources))
        return replace(batch, items=tuple(items), held=tuple(held))


def _by_series(members: Sequence[Checked]) -> list[list[Checked]]:
    """Series that have an image, or what should be one."""
    series: dict[str, list[Checked]] = {}
    for member in members:
        series.setdefault(member.series, []).append(member)
    return [group for group in series.values() if any(member.planes or member.unreadable for member in group)]


def _reason(findings: Sequence[Finding]) -> str:
    shown = "; ".join(f"{finding.what}: {finding.text}" for finding in findings[:_SAID])
    more = f"; and {len(findings) - _SAID} more" if len(findings) > _SAID else ""
    return f"its series does not fit together: {shown}{more}"


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, FINDINGS, n=1, cutoff=0.6)
    hint = f'Did you mean "{near[0]}"?' if near else f"There are: {', '.join(FINDINGS)}."
    return f'unknown finding "{name}". {hint}'


def _receipts(items: Sequence[Item]) -> tuple[ReceiptId, ...]:
    """Each receipt once, in order of first mention."""
    return tuple(dict.fromkeys(receipt for item in items for receipt in item.sources))
