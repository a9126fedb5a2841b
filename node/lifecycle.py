"""The life of a node: start its parts in order, keep them going, stop them in order."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.collect.collector import Collector
from node.collect.soon import Soon
from node.commit.committer import Committer
from node.config import Config
from node.crosswalk import doors
from node.deliver.courier import Courier
from node.engine.engine import Engine
from node.engine.runs import Outcome, Task
from node.errors import NodeError
from node.evidence.asker import Asker
from node.healing import heal
from node.index import Database
from node.index.versions import note_made, read_made
from node.pool import Pool, Room
from node.receive.folder import FolderIntake
from node.receive.marks import publish
from node.receive.receivers import Receivers
from node.receive.rows import RowWriter
from node.receive.scp import Receiver
from node.receive.session import Sessions
from node.receive.sweep import Sweep
from node.receive.watermark import Watermark
from node.report.balance import RunningCheck
from node.report.http import StatusServer
from node.report.leaving import what_is_left
from node.retention import Retention
from node.rules import Rules, RulesWatch
from node.run.perform import prepare
from node.run.results import ahead_folder
from node.run.runner import Runner
from node.spool import Presence, Spool, set_apart

log = logging.getLogger("node")

_STARTING = 10.0
"""Seconds in which receiver processes should have started; the node receives without those that have not."""
_UNTIL_QUIET = 2.0
"""Seconds that work ahead waits for associations to end."""
_UNTIL_INDEXED = 0.05
"""Seconds that the rows of what came last may take: a unit that changes would be looked at twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What the engine runs: steps of jobs, and deliveries."""

    runner: Runner
    courier: Courier

    def step(self, job: str, number: int, attempt: int) -> Outcome:
        return self.runner.step(job, number)

    def deliver(self, delivery: str, attempt: int) -> Outcome:
        return self.courier.deliver(delivery, attempt)

    def poisoned(self, task: Task, key: str, why: str) -> None:
        (self.runner if task is Task.JOB else self.courier).poisoned(key, why)


@dataclass(slots=True)
class Service:
    """A node that can be started and stopped once."""

    rules: Rules
    database: Database
    presence: Presence
    spool: Spool
    sweep: Sweep
    rows: RowWriter
    receiver: Receiver
    receivers: Receivers | None
    folders: list[FolderIntake]
    sessions: Sessions
    watermark: Watermark
    collector: Collector
    asker: Asker
    engine: Engine
    body: Body
    committer: Committer
    pool: Pool
    room: Room
    retention: Retention
    balance: RunningCheck
    status: StatusServer | None
    stopping: threading.Event
    wake: threading.Event
    asked: threading.Event
    """Set when storage commitment was asked for, or a destination answered."""
    listening: list[tuple[str, int]] = field(default_factory=list)
    _soon: threading.Event = field(default_factory=threading.Event)
    """Set when a unit is about to be complete."""
    _threads: list[threading.Thread] = field(default_factory=list)
    _watch: RulesWatch | None = None

    def start(self) -> None:
        """Take up what an earlier process left, then listen. Raises ConfigurationError, OSError."""
        self.sweep.start()
        _make_work(self.body.runner.work)
        heal(self.database, self.engine, _concurrent(self.rules.current()))
        self.engine.launch(self.body, _limits(self.rules.current()))
        self.rows.start()
        self._thread("complete", self.collector.run, self.stopping, self.wake, self._soon)
        self._thread("ahead", self._look_ahead)
        self._thread("evidence", self.asker.run, self.stopping)
        self._thread("commitment", self.committer.run, self.stopping, self.asked)
        self._thread("marks", publish, self.sessions, self.presence, self.stopping)
        self._thread("room", self.room.run, self.stopping)
        self._thread("upkeep", self._upkeep)
        for folder in self.folders:
            folder.start()
        config = self.rules.current()
        _make_folders(self.database, config)
        self.listening = self.receiver.start([(a.address.host, a.address.port) for a in config.node.listen])
        if self.status is not None:
            self.status.start()
        self._watch = RulesWatch(self.rules, self._rules_changed)
        self._watch.start()

    def start_workers(self) -> None:
        """Start them all and the first receiver processes, and return when each has imported what it needs: neither a
        job nor the first senders then wait for that.

        Not needed: a worker is started by its first task, which says why if it cannot, a receiver process by the first
        busy association.
        """
        if self.receivers is not None:
            self.receivers.start()
        with ThreadPoolExecutor(self.pool.size) as threads, contextlib.suppress(NodeError):
            list(threads.map(lambda _: self.pool.call(prepare), range(self.pool.size)))
        if self.receivers is not None:
            self.receivers.wait_ready(_STARTING)

    def read_rules_again(self) -> None:
        """Also where the file looks as it did."""
        if self._watch is not None:
            self._watch.read_again()

    def stop(self, seconds: float = 20.0) -> bool:
        """Finish the instance in flight, answer no more, leave the rest for the next start.

        False when a step or a delivery did not end in time: its thread keeps the interpreter from ending, so
        the caller ends the process. What it was doing is done again at the next start.
        """
        if self._watch is not None:
            self._watch.stop()
        self.receiver.stop(seconds)
        for folder in self.folders:
            folder.stop()
        self.stopping.set()
        self.wake.set()
        self._soon.set()
        self.asked.set()
        self.rows.stop()
        if self.receivers is not None:
            self.receivers.stop()
        ended = self.engine.stop(seconds)
        if self.listening:
            self._say_what_is_left(ended)
        self.committer.wait_until_sent(2.0)
        self.pool.close()
        for thread in self._threads:
            thread.join(5)
        shutil.rmtree(ahead_folder(self.body.runner.work, self.engine.process), ignore_errors=True)
        if self.status is not None:
            self.status.stop()
        self.spool.close()
        self.presence.close()
        doors.close_all()
        self.database.close()
        return ended

    def _say_what_is_left(self, ended: bool) -> None:
        """For who reads the log of the night: what the next start will go on with."""
        left = "what is in the database, which is away"
        if self.engine.reachable:
            with contextlib.suppress(sa.exc.SQLAlchemyError), self.database.reader.connect() as connection:
                left = str(what_is_left(connection, self.rules.current().routed))
        cut = "" if ended else "; what did not end in time is done again"
        count = self.rows.written
        log.info("stopped: %d instances received since the start; left for the next start: %s%s", count, left, cut)

    def _thread(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _rules_changed(self) -> None:
        config = self.rules.current()
        _make_folders(self.database, config)
        self.engine.allow(_limits(config))
        self.receiver.rules_changed()
        if self.receivers is not None:
            self.receivers.recall_lent()
        self.wake.set()

    def _look_ahead(self) -> None:
        """Use the quiet time of units, when nobody is sending, to begin with what their jobs will begin with.

        Of several nodes that share the work each would guess that it gets the job, so none begins.
        """
        soon = Soon(
            database=self.database, spool=self.spool, config=self.rules.current, foreseen=self.collector.foreseen
        )  # fmt: skip
        while True:
            self._soon.wait()
            deadline = time.monotonic() + _UNTIL_QUIET
            while self.sessions.count() and time.monotonic() < deadline and not self.stopping.wait(0.05):
                pass
            if self.stopping.wait(_UNTIL_INDEXED):
                return
            self._soon.clear()
            try:
                if len(self.presence.nodes()) == 1:
                    for chain, items in soon.beginnings():
                        self.body.runner.begin(chain, items)
            except Exception as error:  # worker loop: only a guess, and the jobs do it all the same
                log.warning("nothing is begun ahead: %s", type(error).__name__)

    def _upkeep(self) -> None:
        """Now and then: index what a dead process left, remove what is over, see whether the disk has room again, look
        at a stretch of the ledger, and whether each receiver process still answers."""
        while not self.stopping.wait(3.0):
            try:
                if self.receivers is not None:
                    self.receivers.look(time.monotonic())
                self.watermark.refresh()
                self.body.runner.ahead.forget()
                self.receiver.lines.settle()
                for certificates in self.receiver.certificates.values():
                    certificates.context()  # so that a broken file is reported before a sender comes
                if self.sweep.dead():
                    self.wake.set()
                self.retention.sometimes()
                self.balance.turn()
            except sa.exc.OperationalError as error:
                log.warning("upkeep: the database is away: %s", type(error.orig).__name__)
            except Exception:  # worker loop: upkeep that fails once must not end for ever
                log.exception("upkeep failed; tried again")


def _make_work(folder: Path) -> None:
    """Jobs make and remove as many files as come in, and each job has a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    set_apart(folder)


def _make_folders(database: Database, config: Config) -> None:
    """Of new destinations only, also after a restart: a folder that was there before and is gone may be a share that
    is not mounted, and a folder made in its place would take the files."""
    with database.reader.connect() as connection:
        before = read_made(connection)
    there = set()
    for name, destination in config.destinations.items():
        if destination.folder is None:
            continue
        path = str(destination.folder)
        if path in before:
            if not destination.folder.is_dir():
                log.warning("destination %s: its folder is gone; create it, or mount what belongs there", name)
            continue
        try:
            destination.folder.mkdir(parents=True, exist_ok=True)
            there.add(path)
        except OSError as error:
            # A share that is away must not keep the node from receiving; what is for it waits.
            log.warning("destination %s: its folder cannot be made: %s", name, error.strerror)
    with database.durable.begin() as connection:
        note_made(connection, there)


def _concurrent(config: Config) -> Callable[[str], int | None]:
    return lambda name: found.concurrent if (found := config.destinations.get(name)) else None


def _limits(config: Config) -> set[int]:
    return {d.concurrent for d in config.destinations.values()} or {1}
