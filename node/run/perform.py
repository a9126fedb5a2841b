"""One step on one part of a batch, in a worker process."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from node.errors import CannotSucceed
from node.model import Batch, Step
from node.run.notes import Note


@dataclass(slots=True)
class Bench:
    """The `Work` that a step is given: its folder, what it asked for, and a pad for notes."""

    out: Path
    given: Mapping[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def note(self, text: str, *counts: int) -> None:
        if counts:
            text.format(*counts)  # a text that does not fit its counts is the step's fault, and is found here
        self.notes.append((text, counts))


def perform(step: Step, batch: Batch, out: Path, given: Mapping[str, Any]) -> tuple[Batch, list[Note]]:
    """Run a step on the items it accepts; the others are passed on unchanged.

    Raises what the step raises. `out` is made when it is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = tuple(item for item in batch.items if item.kind in step.accepts)
    others = tuple(item for item in batch.items if item.kind not in step.accepts)
    if not wanted:
        return batch, []
    if others and getattr(step, "deidentifies", False):
        # They would go on beside what is de-identified, and be taken for it.
        raise CannotSucceed(f"{step.name} cannot de-identify files made before it; put it before the steps that do")
    bench = Bench(out=out, given=given)
    made = step.run(replace(batch, items=wanted), bench)
    return replace(
        made,
        items=(*others, *made.items),
        # What an earlier step held or dropped stays so, whether this one says it again or not.
        held=(*batch.held, *(h for h in made.held if h not in batch.held)),
        dropped=(*batch.dropped, *(r for r in made.dropped if r not in batch.dropped)),
    ), bench.notes


def prepare() -> None:
    """Import, in a worker, what steps and forwarding need: most of a second that no job then waits for."""
    importlib.import_module("node.crosswalk")
    importlib.import_module("node.run.contents")
    importlib.import_module("node.steps")
