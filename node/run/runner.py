"""One job: its steps in order, each from files to files. The body of the engine's `job` workflow.

Whatever happens here may happen again: after a crash the engine starts the interrupted step once more. So
everything a step leaves is written under names that derive from the input, and every change of state is one
that may be repeated.
"""

from __future__ import annotations

import functools
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from traceback import format_tb

import sqlalchemy as sa

from node.complete import Announced
from node.config import thaw
from node.crosswalk import Crosswalk, mark
from node.engine.engine import Engine
from node.engine.runs import DONE, STOP, Outcome
from node.errors import CannotSucceed, TryAgain, lacking
from node.index import Database, jobs
from node.index.announced import announced
from node.index.database import damage
from node.index.jobs import Job
from node.model import Batch, Item, Kind, Origin, ReceiptId, Referenced, Step
from node.outbox import Outbox, delivery_id, take_back
from node.pool import WORLD, Bug, Pool
from node.run import results
from node.run.ahead import Ahead, may_go_ahead
from node.run.certify import Certifier
from node.run.goods import goods_of
from node.run.notes import lines
from node.run.one_patient import of_one_patient
from node.run.one_version import of_one_version
from node.run.parts import in_parts, needs_all, sources_held
from node.run.referenced import InTheIndex, referenced
from node.run.second_reading import SecondReader, nothing_yet, readers
from node.run.supply import Supplier, Supply
from node.spool import Spool

log = logging.getLogger("node.run")

_AGAIN = 5.0
"""Seconds before a step is tried again when the world was at fault."""

Reach = Callable[[str], None]
"""Called at named points; a test stops the process there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs steps. Holds no state of its own: everything is in the database and in the work folder."""

    database: Database
    spool: Spool
    outbox: Outbox
    engine: Engine
    work: Path
    pool: Pool
    supply: Supply
    steps: Mapping[str, type[Step]]
    takes: Callable[[str], frozenset[Kind]]
    """Destination name -> the kinds it can take; empty for an unknown one."""
    concurrent: Callable[[str], int]
    """Destination name -> deliveries side by side."""
    reach: Reach
    certifier: Certifier
    charset: Callable[[Origin], str | None] = lambda _: None
    """Who sent -> the character set of its data sets that name none, or another than they are in."""
    ahead: Ahead = field(default_factory=Ahead)

    def begin(self, chain: Sequence[Step], items: Sequence[Item]) -> None:
        """Run the first step of a route on instances whose job may come soon, where that may be; see run/ahead.py."""
        folder, step = results.ahead_folder(self.work, self.engine.process), chain[0]
        if not may_go_ahead(step):
            return  # it may need what only its job has
        self.ahead.work(
            self.pool, step, items, folder, self.supply.for_step(step), lambda: self.engine.stopping,
            to_send=[one.name for one in chain[1:2]] == ["forward"],
        )  # fmt: skip

    def step(self, job_id: str, number: int) -> Outcome:
        """Run one step of a job; the last one also finishes it."""
        try:
            return self._attempt(job_id, number)
        except sa.exc.OperationalError as error:
            log.warning("job %s: the database is away, tried again: %s", job_id, type(error.orig).__name__)
            return Outcome("again", _AGAIN)

    def _attempt(self, job_id: str, number: int) -> Outcome:
        """Raises OperationalError when the database is away: at the first look, or when it is told what went wrong."""
        with self.database.reader.connect() as connection:
            job = jobs.read(connection, job_id)
            before = jobs.earlier_running(connection, job) if job else None
        if job is None or job.state in ("held", "dropped", "done"):
            return STOP
        if before is not None:
            # Two generations at once could publish the older result last.
            return Outcome("again", 2.0)
        try:
            return self._step(job, number)
        except (TryAgain, OSError) as error:
            if isinstance(error, OSError) and error.errno not in WORLD:
                return self._hold(
                    job, f"{_named(job, number)}: {error.strerror or type(error).__name__}", number, error
                )
            if isinstance(error, TryAgain) and error.after is not None:
                return self._wait(job, f"{_named(job, number)}: {error}", error.after)
            log.warning("job %s: %s: tried again in %g s: %s", job.id, _named(job, number), _AGAIN, error)
            return Outcome("again", _AGAIN)
        except CannotSucceed as error:
            return self._hold(job, f"{_named(job, number)}: {error}", number)
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # worker loop: a bug holds this job, and the others go on
            if lack := lacking(error) or damage(error):
                log.warning("job %s: %s: tried again in %g s: %s", job.id, _named(job, number), _AGAIN, lack)
                return Outcome("again", _AGAIN)
            return self._hold(job, f"{_named(job, number)}: {_bug(error)}", number, error)

    def _step(self, job: Job, number: int) -> Outcome:
        thawed = thaw(job.plan, self.steps)
        folder = results.job_folder(self.work, job.id, job.tries)
        folder.mkdir(parents=True, exist_ok=True)
        with self.database.durable.begin() as connection:
            jobs.start(connection, job.id)
            of = results.mark(jobs.identities(connection, job.id), job.plan)
        batch = self._input(job, thawed, number, folder, of)
        self.reach(f"step {number} begins")
        if results.read(folder, number, of) is None:
            self._run(job, thawed, number, batch, folder, of)
        if number == len(thawed) - 1:
            if thawed[number].name != "forward":  # else it has been read and certified already, to be sent
                self._end(job, thawed, self._input(job, thawed, number + 1, folder, of), folder, of)
            self.reach("job ends")
            with self.database.durable.begin() as connection:
                jobs.finish(connection, job.id, self.database.now(connection))
        return DONE

    def _input(self, job: Job, thawed: tuple[Step, ...], number: int, folder: Path, of: str) -> Batch:
        """The batch that step `number` works on; what is missing on disk is made again."""
        if number == 0:
            return self._received(job)
        batch = results.read(folder, number - 1, of)
        if batch is None:
            given = self._input(job, thawed, number - 1, folder, of)
            self._run(job, thawed, number - 1, given, folder, of)
            batch = results.read(folder, number - 1, of)
        if batch is None:
            raise TryAgain(f"the output of step {number - 1} cannot be read back")
        return batch

    def _received(self, job: Job) -> Batch:
        with self.database.reader.connect() as connection:
            sources = jobs.sources(connection, job.id)
        gone = [s.receipt for s in sources if s.path is None]
        if gone:
            raise CannotSucceed(f"{len(gone)} of {len(sources)} instances are no longer in the spool (keep: received)")
        return Batch(
            items=tuple(
                Item(path=self.spool.where(s.path), kind=Kind.DICOM, sources=(s.receipt,)) for s in sources if s.path
            )
        )

    def _given(self, job: Job, step: Step, own: Mapping[str, Supplier]) -> dict[str, object]:
        """What the step asked for, and if it reads text strictly the character sets of the peers that sent, by receipt.

        A step that is run ahead has none of these: what it gave all the same is what it gives with them, for they
        count only where it would hold the instance."""
        given: dict[str, object] = self.supply.for_step(step, own)
        if getattr(step, "deidentifies", False):
            given["charsets"] = self._charsets(job)
        return given

    def _charsets(self, job: Job) -> dict[ReceiptId, str]:
        """Of the peers that sent its instances, where rules.yaml says one."""
        with self.database.reader.connect() as connection:
            sources = jobs.sources(connection, job.id)
        sent = {one.receipt: self.charset(one.origin) for one in sources}
        return {receipt: charset for receipt, charset in sent.items() if charset}

    def _run(self, job: Job, thawed: tuple[Step, ...], number: int, batch: Batch, folder: Path, of: str) -> None:
        began, step = time.monotonic(), thawed[number]
        needs_all(step, batch, job.plan.partial)
        destination = getattr(step, "to", None) if step.name == "forward" else None
        notes: list[str] = []
        if destination is not None:
            made = batch
            certificate, reading = self._certified(job, thawed, number, batch, folder, of)
            notes += reading
            notes.append(self._forward(job, step, number, str(destination), batch, certificate))
        else:
            out = folder / f"{number}-{step.name}"
            # What an interrupted try left here may be linked into the outbox: to write over it would change,
            # under the courier's eyes, what is being sent.
            shutil.rmtree(out, ignore_errors=True)
            perform = self.ahead.perform if number == 0 else in_parts
            own: dict[str, Supplier] = {
                "announced": lambda: self._announced(job),
                "referenced": lambda: self._referenced(job, step, number, batch, out),
            }
            given = self._given(job, step, own)
            made, said = perform(self.pool, step, batch, out, given)
            made = of_one_patient(of_one_version(made))
            notes += lines(said)
            if isinstance(crosswalk := given.get("crosswalk"), Crosswalk):
                mark.note(self.database, crosswalk)
        self.reach(f"step {number} made its files")
        self._account(job, step, number, batch, made, notes, time.monotonic() - began)
        results.write(folder, number, made, notes, of)

    def _certified(
        self, job: Job, thawed: tuple[Step, ...], number: int, leaving: Batch, folder: Path, of: str
    ) -> tuple[Item | None, list[str]]:
        """What is about to leave ahead of step `number` is read once more, certified, and the certificate read too.

        Returns the certificate, of what was de-identified, and notes. Files that a forward step before it sent were
        read then.
        """
        known: set[Path] = set()
        for earlier in range(number):
            if thawed[earlier].name == "forward" and readers(thawed[:earlier]):
                batch = results.read(folder, earlier, of)
                known.update(item.path for item in (batch.items if batch else ()))
        before = functools.partial(self.ahead.forereads.take, thawed[0]) if number == 1 else nothing_yet
        reader = SecondReader(
            self.pool, thawed[:number], lambda: self._received(job), below=folder, before=before,
            passed=job.plan.passed, charsets=self._charsets(job) if readers(thawed[:number]) else {},
        )  # fmt: skip
        reading, notes = reader.read(leaving, known)
        last = max((n for n in range(number) if thawed[n].name != "forward"), default=-1)

        def outcomes(step: int) -> Batch:
            return self._input(job, thawed, step + 1, folder, of)

        certificate = self.certifier.certify(
            job, thawed, last, leaving, outcomes, folder, of, reading, reader.read_certificate
        )
        return certificate, notes

    def _end(self, job: Job, thawed: tuple[Step, ...], batch: Batch, folder: Path, of: str) -> None:
        """What nobody is sent is read and certified all the same."""
        step = thawed[-1]
        _, notes = self._certified(job, thawed, len(thawed), batch, folder, of)
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            for note in notes:
                jobs.remember(connection, job.id, "note", f"{step.name}: {note}", now)

    def _account(
        self, job: Job, step: Step, number: int, given: Batch, made: Batch, notes: Iterable[str], seconds: float
    ) -> None:
        """Record what the step held, dropped and made; no member may vanish without a word."""
        newly = made.held[len(given.held) :]
        dropped = set(made.dropped) - set(given.dropped)
        left = {s for item in made.items for s in item.sources} | dropped | sources_held(made)
        vanished = {s for item in given.items for s in item.sources} - left
        if vanished:
            raise CannotSucceed(f"{len(vanished)} instances went in and neither came out nor were held")
        kinds = _counted(made.items)
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            for held in newly:
                jobs.hold_receipts(connection, job.id, held.sources, f"{step.name}: {held.reason}")
            jobs.drop_receipts(connection, job.id, dropped, f"{step.name} in route {job.plan.route}")
            text = f"{number + 1}. {step.name}: {kinds}" + (f", {len(sources_held(made))} held" if made.held else "")
            jobs.remember(connection, job.id, "step", text, now, seconds)
            for note in notes:
                jobs.remember(connection, job.id, "note", f"{step.name}: {note}", now)

    def _forward(
        self, job: Job, step: Step, number: int, destination: str, batch: Batch, certificate: Item | None
    ) -> str:
        takes = self.takes(destination)
        if not takes:
            raise CannotSucceed(f'destination "{destination}" is not in rules.yaml any more; add it, then retry')
        what = getattr(step, "what", None)
        kinds = takes & frozenset(what) if what else takes
        with self.database.reader.connect() as connection:
            received = jobs.identities(connection, job.id)
            given_up = jobs.given_up(connection, job.id, destination)
        items = [item for item in batch.items if not given_up.issuperset(item.sources)]
        if certificate is not None and items:
            # It goes with what is sent. To count an instance as delivered because of it alone would be wrong, unless
            # reports are all that is wanted.
            with_it = [item for item in items if item.kind in kinds] or items
            items.append(replace(certificate, sources=tuple({s: s for i in with_it for s in i.sources})))
        goods = goods_of(self.pool, items, kinds, received, self.ahead.known)
        # What is owed to a destination is owed until the last step that sends there.
        last = all(options.get("to") != destination for _, options in job.plan.steps[number + 1 :])

        def also(connection: sa.Connection, sent: set[ReceiptId], tries: int | None) -> None:
            if last:
                jobs.hand_over(connection, job.id, destination, sent)
                rest = {s for item in batch.items for s in item.sources} - sent
                jobs.send_nothing(connection, job.id, destination, rest)
            if tries is not None:
                key, concurrent = delivery_id(job.id, destination), self.concurrent(destination)
                self.engine.enqueue_delivery(connection, key, destination, concurrent, tries=tries)

        count = self.outbox.put(job.id, destination, goods, batch.disclosure, step=number, also=also)
        return f"{count} files for {destination}"

    def _announced(self, job: Job) -> tuple[Announced, ...]:
        with self.database.reader.connect() as connection:
            return announced(connection, job.id)

    def _referenced(self, job: Job, step: Step, number: int, batch: Batch, out: Path) -> Referenced:
        wait = getattr(step, "wait", timedelta(0))
        look = InTheIndex(database=self.database, spool=self.spool, created=job.created, wait=wait)
        return referenced(look, self.pool, self.supply, thaw(job.plan, self.steps)[:number], batch, out)

    def _wait(self, job: Job, reason: str, seconds: float) -> Outcome:
        """For something that is expected: no fault, and said once."""
        with self.database.durable.begin() as connection:
            jobs.remember_once(connection, job.id, "note", f"waits: {reason}", self.database.now(connection))
        log.debug("job %s waits: %s", job.id, reason)
        return Outcome("again", seconds)

    def _hold(self, job: Job, reason: str, number: int | None = None, error: Exception | None = None) -> Outcome:
        if isinstance(error, Bug):
            log.error("job %s held: %s\n%s", job.id, reason, error.trace)
        elif error is not None:
            # Without the error's text, which may quote what was in a data set.
            log.error("job %s held: %s\n%s", job.id, reason, "".join(format_tb(error.__traceback__)))
        else:
            log.warning("job %s held: %s", job.id, reason)
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            jobs.hold(connection, job.id, reason, now)
            if number is not None:
                take_back(connection, job.id, number)
            jobs.remember(connection, job.id, "note", f"held: {reason}", now)
        return STOP

    def poisoned(self, job_id: str, why: str) -> None:
        """The engine gave up on a job whose step killed the process again and again."""
        with self.database.reader.connect() as connection:
            job = jobs.read(connection, job_id)
        if job is not None:
            self._hold(job, why)


def _named(job: Job, number: int) -> str:
    return job.plan.steps[number][0] if number < len(job.plan.steps) else "end"


def _bug(error: Exception) -> str:
    return f"a fault in the node ({error if isinstance(error, Bug) else type(error).__name__}); see its log"


def _counted(items: Iterable[Item]) -> str:
    counts: dict[str, int] = {}
    for item in items:
        counts[item.kind.value] = counts.get(item.kind.value, 0) + 1
    return ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "nothing"
