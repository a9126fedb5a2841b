"""A step over a batch, in worker processes: part by part where it may, and no member lost on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from node.certificate.statement import Reading
from node.errors import CannotSucceed
from node.model import Batch, Held, Item, Kind, ReceiptId, Step
from node.pool import Bug, Pool, WorkerDied
from node.run.notes import Note, lines
from node.run.one_patient import of_one_patient
from node.run.one_version import of_one_version
from node.run.perform import perform
from node.run.second_reading import SecondReader
from node.run.supply import Supplier, Supply

log = logging.getLogger("node.run")

_LEAST, _MOST, _FOR_EACH = 12, 48, 4
"""Instances given to a worker at once, and parts that each worker has at least where they are more than the least:
small enough that a series keeps all workers busy, large enough that what a step learns of the first serves others."""

Made = tuple[Batch, list[Note]]
"""What a step gave for a part, and its notes."""


def perform_in_parts(
    pool: Pool, step: Step, batch: Batch, out: Path, given: Mapping[str, object]
) -> tuple[Batch, list[str]]:
    """Run one step; what it gave, and its notes as lines. Raises what it raises for the whole batch, and TryAgain where
    files that it names were edited meanwhile; a member at fault alone is held alone."""
    made, notes = in_parts(pool, step, batch, out, given)
    return of_one_patient(of_one_version(made)), lines(notes)


def in_parts(
    pool: Pool, step: Step, batch: Batch, out: Path, given: Mapping[str, object], *, alone: bool = True
) -> Made:
    """The same, with its notes as the step gave them.

    alone   a batch of one is all there is, so that its fault is the batch's; else it is held as any other member
    """
    if step.whole or not batch.items or (alone and len(batch.items) == 1):
        return pool.call(perform, step, batch, out, given)
    size = min(max(len(batch.items) // (_FOR_EACH * pool.size), _LEAST), _MOST)
    parts = [
        replace(batch, items=batch.items[i : i + size], held=(), dropped=()) for i in range(0, len(batch.items), size)
    ]
    with ThreadPoolExecutor(max_workers=pool.size) as threads:
        made, notes = together(batch, list(threads.map(lambda part: _part(pool, step, part, out, given), parts)))
    return replace(made, held=(*batch.held, *made.held), dropped=(*batch.dropped, *made.dropped)), notes


def _part(pool: Pool, step: Step, part: Batch, out: Path, given: Mapping[str, object]) -> Made:
    """When a part fails as a whole its instances go one by one, and the one that fails again is held alone."""
    try:
        return pool.call(perform, step, part, out, given)
    except (CannotSucceed, Bug) as error:
        if len(part.items) > 1:
            return together(part, [_part(pool, step, replace(part, items=(item,)), out, given) for item in part.items])
        if isinstance(error, Bug):
            log.error("%s: %s\n%s", step.name, error, error.trace)
        elif isinstance(error, WorkerDied):
            log.warning("%s: %s", step.name, error)
        reason = f"a fault in the node ({error}); see its log" if isinstance(error, Bug) else str(error)
        return replace(part, items=(), held=(Held(sources=part.items[0].sources, reason=reason),)), []


def together(batch: Batch, made: Sequence[Made]) -> Made:
    """One batch from its parts. A part of which nothing came out says nothing about the disclosure."""
    parts = [m for m, _ in made]
    disclosures = {m.disclosure for m in parts if m.items} or {m.disclosure for m in parts}
    if len(disclosures) > 1:
        raise CannotSucceed("its parts do not agree on whether they are de-identified")
    together = Batch(
        items=tuple(i for m in parts for i in m.items),
        held=tuple(h for m in parts for h in m.held),
        dropped=tuple(d for m in parts for d in m.dropped),
        disclosure=disclosures.pop() if disclosures else batch.disclosure,
    )
    return together, [note for _, notes in made for note in notes]


def needs_all(step: Step, batch: Batch, partial: str) -> None:
    """Raise CannotSucceed when a step over the whole unit would work without members that were held."""
    if step.whole and batch.held and partial == "hold":
        raise CannotSucceed(
            f"{len(sources_held(batch))} of its instances were held before it, and it needs all of them; "
            f"`partial: proceed` in the route goes on without them. The first one: {batch.held[0].reason}"
        )


def one_for_one(step: Step) -> bool:
    """Whether a step makes an instance of an instance, and no file beside it. What de-identifies says that it gives a
    report too: that is the certificate, which is made of what the whole route did."""
    beside = {Kind.REPORT} if getattr(step, "deidentifies", False) else set()
    return Kind.DICOM in step.accepts and step.gives - beside == {Kind.DICOM}


def sources_held(batch: Batch) -> set[ReceiptId]:
    return {source for held in batch.held for source in held.sources}


Certify = Callable[[Batch, Mapping[int, Batch], Reading, Callable[[str, bytes], None]], Item | None]
"""What the last step gave, what each step gave by its number, what the second reader said of it, and what reads the
certificate -> the certificate."""


def run_chain(
    pool: Pool, supply: Supply, steps: Sequence[Step], batch: Batch, work: Path, *, partial: str,
    own: Callable[[int, Batch], Mapping[str, Supplier]] = lambda number, batch: {}, certify: Certify | None = None,
) -> tuple[Batch, list[str]]:  # fmt: skip
    """All steps of a route but `forward`, one after the other. Raises as the steps do.

    own     what the step with this number may need beside `supply`, for the batch it is given

    Reasons and notes begin with the step's name, as in the history of a job. What a route that de-identifies gives is
    read by the second reader, and then certified, where that is asked for.
    """
    notes: list[str] = []
    outcomes: dict[int, Batch] = {}
    received = batch
    for number, step in enumerate(steps):
        if step.name == "forward":
            continue
        before = batch.held
        try:
            needs_all(step, batch, partial)
            given = supply.for_step(step, own(number, batch))
            batch, said = perform_in_parts(pool, step, batch, work / f"{number}-{step.name}", given)
        except CannotSucceed as error:
            raise CannotSucceed(f"{step.name}: {error}") from error
        newly = (replace(held, reason=f"{step.name}: {held.reason}") for held in batch.held[len(before) :])
        batch = outcomes[number] = replace(batch, held=(*before, *newly))
        notes += [f"{step.name}: {text}" for text in said]
    reader = SecondReader(pool, steps, lambda: received, below=work)
    reading, said = reader.read(batch)
    certificate = certify(batch, outcomes, reading, reader.read_certificate) if certify is not None else None
    if certificate is not None:
        batch = replace(batch, items=(*batch.items, certificate))
    return batch, [*notes, *said]
