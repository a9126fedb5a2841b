"""The certificate of a job: made of what its steps said that they did and of the files that came out, before any of
them leaves the work folder.

It is in the database, in its place in the chain, before it is a file. A repeat finds it there and gives the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

from node import __version__
from node.certificate.account import add_up
from node.certificate.document import in_words
from node.certificate.keys import Keys
from node.certificate.statement import NOT_READ, Output, Performed, Reading, Subject, state
from node.errors import CannotSucceed
from node.index import Database, certificates, jobs
from node.index.certificates import Certificate
from node.index.jobs import Job
from node.model import Batch, Disclosure, Item, Kind, Plan, ReceiptId, Step, UnitKind
from node.pool import Pool
from node.run import results
from node.run.known import Known
from node.run.outputs import File, of_files
from node.run.parts import sources_held

_PART = 12
"""Files given to a worker at once."""

Outcomes = Callable[[int], Batch]
"""Number of a step -> what it gave, made again where it is not there any more."""
ReadIt = Callable[[str, bytes], None]
"""Reads a certificate before it is issued: its name, and what it says in words. Raises where it must not be."""


def unread(name: str, text: bytes) -> None:
    """What reads a certificate where there is no second reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a certificate is of."""

    kind: UnitKind
    uid: str
    """As received."""
    generation: int = 1
    plan: Plan
    received: Mapping[ReceiptId, str]
    """Every receipt -> its SOP Instance UID."""
    job: str | None = None
    """None where the steps run without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certifier:
    """Issues certificates in the name of one process."""

    database: Database
    pool: Pool
    secret: Callable[[], bytes]
    process: str
    """Its name; each has a chain of its own."""
    known: Known = field(default_factory=Known)
    """What needs no reading."""

    def certify(
        self, job: Job, steps: Sequence[Step], last: int, batch: Batch, outcomes: Outcomes, folder: Path, of: str,
        reading: Reading = NOT_READ, read: ReadIt = unread,
    ) -> Item | None:  # fmt: skip
        """The certificate of a job's `batch`, as an item that stands beside it; None of what may identify, and of
        nothing. One that was made before is found again.

        folder    of the job; `of`: the job's mark, see run/results.py

        The others, and what is raised: as for `issue`.
        """
        if not may_certify(batch):
            return None
        beside = f"{last}-certificate"
        of = hashlib.sha256(f"{of}{[_as_it_is(item.path) for item in batch.items]}".encode()).hexdigest()
        known = results.read(folder, beside, of)
        if known is not None:
            return known.items[0]
        with self.database.reader.connect() as connection:
            received = {receipt: str(uid) for receipt, (uid, _) in jobs.identities(connection, job.id).items()}
        unit = Unit(kind=job.kind, uid=job.uid, generation=job.generation, plan=job.plan, received=received, job=job.id)
        item = self.issue(unit, steps, last, batch, outcomes, folder / beside, reading, read)
        results.write(folder, beside, Batch(items=(item,), disclosure=batch.disclosure), [], of)
        return item

    def issue(
        self, unit: Unit, steps: Sequence[Step], last: int, batch: Batch, outcomes: Outcomes, folder: Path,
        reading: Reading = NOT_READ, read: ReadIt = unread,
    ) -> Item:  # fmt: skip
        """A new certificate of `batch`, written into `folder`.

        last      number of the step that made the batch
        reading   what the second reader said of the files of the batch

        Raises CannotSucceed when a step that de-identifies gave no account of what it did, OSError, and what
        `Pool.call` and `read` raise.
        """
        name = f"certificate-{self._mark(unit, last)}.json"
        made = self._issue(unit, steps, last, batch, outcomes, reading, lambda text: read(name, text))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.unlink(missing_ok=True)  # one from before a power cut may be linked into the outbox
        path.write_bytes(made.document)
        sources = tuple(dict.fromkeys(source for item in batch.items for source in item.sources))
        return Item(path=path, kind=Kind.REPORT, sources=sources)

    def _issue(
        self, unit: Unit, steps: Sequence[Step], last: int, batch: Batch, outcomes: Outcomes, reading: Reading,
        read: Callable[[bytes], None],
    ) -> Certificate:  # fmt: skip
        keys = Keys(self.secret())
        subject = Subject(
            kind=unit.kind.value, uid=unit.uid, generation=unit.generation, route=unit.plan.route,
            rules=unit.plan.fingerprint, received=len(unit.received), held=len(sources_held(batch)),
            dropped=len(set(batch.dropped)),
        )  # fmt: skip
        came_out = {source for item in batch.items for source in item.sources}
        performed = [
            _performed(step, outcomes, number, came_out)
            for number, step in enumerate(steps[: last + 1])
            if step.name != "forward"
        ]
        outputs = self._outputs(batch.items, unit.received)
        statement, inner = state(keys, subject, performed, outputs, reading, _versions())
        read(in_words(statement))  # before it has a place in the chain
        about = "" if unit.job is not None else self._mark(unit, last)
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            made = certificates.issue(
                connection, keys, self.process, unit.job, last, now, statement, inner, about=about
            )
            if made.new and unit.job is not None:
                text = f"certificate {made.number} of chain {made.chain}: {len(outputs)} files, SHA-256 {made.sha256}"
                jobs.remember(connection, unit.job, "note", text, now)
        return made

    def _outputs(self, items: Sequence[Item], received: Mapping[ReceiptId, str]) -> list[Output]:
        parts = [items[begin : begin + _PART] for begin in range(0, len(items), _PART)]
        with ThreadPoolExecutor(max_workers=self.pool.size) as threads:
            files = list(chain.from_iterable(threads.map(self._files, parts)))
        return [
            Output(
                kind=item.kind.value, sha256=file.sha256, size=file.size, instance=file.instance,
                received=tuple(received[source] for source in item.sources if source in received),
            )
            for item, file in zip(items, files, strict=True)
        ]  # fmt: skip

    def _files(self, items: Sequence[Item]) -> list[File]:
        paths = [item.path for item in items]
        contents = self.known.of(paths) or []
        if contents and all(content.whole for content in contents):
            sizes = [path.stat().st_size for path in paths]
            return [
                File(sha256=content.whole, size=size, instance=content.sop_instance)
                for content, size in zip(contents, sizes, strict=True)
            ]
        return self.pool.call(of_files, [(item.path, item.kind) for item in items])

    def _mark(self, unit: Unit, last: int) -> str:
        """What the file is named by: the same for every generation of a unit, so that the next one takes its place,
        and nothing that leads back to it."""
        name = f"certificate of {unit.kind} {unit.uid} route {unit.plan.route} step {last}"
        return hmac.digest(self.secret(), name.encode(), "sha256").hex()[:16]


def may_certify(batch: Batch) -> bool:
    """Whether there is anything to certify: files that a step has de-identified."""
    return batch.disclosure is Disclosure.DEIDENTIFIED and bool(batch.items)


def _as_it_is(path: Path) -> tuple[str, int, int, int]:
    """Changes when a file is made again: by another recipe perhaps, of which an older certificate says nothing."""
    about = path.stat()
    return path.name, about.st_ino, about.st_size, about.st_mtime_ns


def _performed(step: Step, outcomes: Outcomes, number: int, came_out: set[ReceiptId]) -> Performed:
    if not getattr(step, "deidentifies", False):
        changes = getattr(step, "changes", None)  # what one behind it gives again is not removed
        return Performed(name=step.name, changes=changes() if changes is not None else {})
    # What a later step held is not certified.
    items = [item for item in outcomes(number).items if item.kind is Kind.DICOM and came_out & set(item.sources)]
    if not all(item.account for item in items):
        raise CannotSucceed(f"{step.name} gave no account of what it did, so that there can be no certificate of it")
    return Performed(name=step.name, totals=add_up(item.account for item in items))


@cache
def _versions() -> Mapping[str, str]:
    return {"dicom-node": __version__, "pydicom": importlib.metadata.version("pydicom")}
