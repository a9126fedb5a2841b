"""The certificate of a job: made of what its steps said that they did and of the files that came out, before any of
them leaves the work folder.

It is in the database, in its place in the chain, before it is a file. A repeat finds it there and gives the same bytes.
"""

from __future__ import annotations

import hmac
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from node.model import UID, Batch, Disclosure, Item, Kind, ReceiptId, Step
from node.pool import Pool
from node.run import results
from node.run.outputs import of_files
from node.run.parts import sources_held

_PART = 12
"""Files given to a worker at once."""

Outcomes = Callable[[int], Batch]
"""Number of a step -> what it gave, made again where it is not there any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certifier:
    """Issues certificates in the name of one process."""

    database: Database
    pool: Pool
    secret: Callable[[], bytes]
    process: str
    """Its name; each has a chain of its own."""

    def certify(
        self, job: Job, steps: Sequence[Step], last: int, batch: Batch, outcomes: Outcomes, folder: Path, of: str,
        reading: Reading = NOT_READ, read: Callable[[str, bytes], None] = lambda name, text: None,
    ) -> Item | None:  # fmt: skip
        """The certificate of `batch`, as an item that stands beside it; None of what may identify, and of nothing.

        last      number of the step that made the batch
        folder    of the job; `of`: the job's mark, see run/results.py
        reading   what the second reader said of the files of the batch
        read      reads it before it is issued, by its name and what it says in words; raises where it must not be

        Raises CannotSucceed when a step that de-identifies gave no account of what it did, OSError, and what
        `Pool.call` and `read` raise.
        """
        if batch.disclosure is not Disclosure.DEIDENTIFIED or not batch.items:
            return None
        beside = f"{last}-certificate"
        known = results.read(folder, beside, of)
        if known is not None:
            return known.items[0]
        name = f"certificate-{self._mark(job, last)}.json"
        made = self._issue(job, steps, last, batch, outcomes, reading, lambda text: read(name, text))
        (folder / beside).mkdir(exist_ok=True)
        path = folder / beside / name
        path.unlink(missing_ok=True)  # one from before a power cut may be linked into the outbox
        path.write_bytes(made.document)
        sources = tuple(dict.fromkeys(source for item in batch.items for source in item.sources))
        item = Item(path=path, kind=Kind.REPORT, sources=sources)
        results.write(folder, beside, Batch(items=(item,), disclosure=batch.disclosure), [], of)
        return item

    def _issue(
        self, job: Job, steps: Sequence[Step], last: int, batch: Batch, outcomes: Outcomes, reading: Reading,
        read: Callable[[bytes], None],
    ) -> Certificate:  # fmt: skip
        with self.database.reader.connect() as connection:
            received = jobs.identities(connection, job.id)
        keys = Keys(self.secret())
        subject = Subject(
            kind=job.kind.value, uid=job.uid, generation=job.generation, route=job.plan.route,
            rules=job.plan.fingerprint, received=len(received), held=len(sources_held(batch)),
            dropped=len(set(batch.dropped)),
        )  # fmt: skip
        came_out = {source for item in batch.items for source in item.sources}
        performed = [
            _performed(step, outcomes, number, came_out)
            for number, step in enumerate(steps[: last + 1])
            if step.name != "forward"
        ]
        outputs = self._outputs(batch.items, received)
        statement, inner = state(keys, subject, performed, outputs, reading, _versions())
        read(in_words(statement))  # before it has a place in the chain
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            made = certificates.issue(connection, keys, self.process, job.id, last, now, statement, inner)
            if made.new:
                text = f"certificate {made.number} of chain {made.chain}: {len(outputs)} files, SHA-256 {made.sha256}"
                jobs.remember(connection, job.id, "note", text, now)
        return made

    def _outputs(self, items: Sequence[Item], received: Mapping[ReceiptId, tuple[UID, str]]) -> list[Output]:
        parts = [
            [(item.path, item.kind) for item in items[begin : begin + _PART]] for begin in range(0, len(items), _PART)
        ]
        with ThreadPoolExecutor(max_workers=self.pool.size) as threads:
            files = list(chain.from_iterable(threads.map(lambda part: self.pool.call(of_files, part), parts)))
        return [
            Output(
                kind=item.kind.value, sha256=file.sha256, size=file.size, instance=file.instance,
                received=tuple(received[source][0] for source in item.sources if source in received),
            )
            for item, file in zip(items, files, strict=True)
        ]  # fmt: skip

    def _mark(self, job: Job, last: int) -> str:
        """What the file is named by: the same for every generation of a unit, so that the next one takes its place,
        and nothing that leads back to it."""
        name = f"certificate of {job.kind} {job.uid} route {job.plan.route} step {last}"
        return hmac.digest(self.secret(), name.encode(), "sha256").hex()[:16]


def _performed(step: Step, outcomes: Outcomes, number: int, came_out: set[ReceiptId]) -> Performed:
    if not getattr(step, "deidentifies", False):
        return Performed(name=step.name)
    # What a later step held is not certified.
    items = [item for item in outcomes(number).items if item.kind is Kind.DICOM and came_out & set(item.sources)]
    if not all(item.account for item in items):
        raise CannotSucceed(f"{step.name} gave no account of what it did, so that there can be no certificate of it")
    return Performed(name=step.name, totals=add_up(item.account for item in items))


@cache
def _versions() -> Mapping[str, str]:
    return {"dicom-node": __version__, "pydicom": importlib.metadata.version("pydicom")}
