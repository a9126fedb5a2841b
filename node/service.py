"""The node, put together. Read `build` from top to bottom: it is the way of the data.

    C-STORE / folder -> receive -> spool (synced, then answer) -> index -> complete? -> match -> job
       job: step -> step -> forward -> outbox -> delivery per destination -> receipt of the peer -> ledger

No other module knows all the parts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from node import secret as secrets
from node.collect.collector import Collector
from node.collect.duplicates import Duplicates
from node.config import Config
from node.deliver.courier import Courier
from node.deliver.targets import open_target
from node.engine.engine import Engine
from node.engine.runs import Outcome, Task
from node.errors import ConfigurationError
from node.index import Database, connect
from node.index.intake import Intake
from node.index.versions import prepare, read_meta, write_meta
from node.model import Kind, Origin, UnitKind
from node.moment import new_receipt, process_name, utc_now
from node.outbox import Outbox
from node.pool import Pool
from node.receive.admission import admit
from node.receive.folder import FolderIntake
from node.receive.keeper import Keeper
from node.receive.marks import publish
from node.receive.rows import RowWriter
from node.receive.scp import Receiver, Told
from node.receive.session import Sessions
from node.receive.sweep import Sweep
from node.report.health import Health
from node.report.http import StatusServer
from node.report.metrics import Metrics
from node.retention import Retention
from node.rules import Rules, RulesWatch
from node.run.runner import Runner
from node.run.supply import Supply
from node.spool import Files, Presence, Spool
from node.spool.spool import Clock
from node.steps import STEPS

log = logging.getLogger("node")


def nothing(point: str) -> None:
    """What is called at named points in production."""


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
    folders: list[FolderIntake]
    sessions: Sessions
    collector: Collector
    engine: Engine
    body: Body
    pool: Pool
    retention: Retention
    status: StatusServer | None
    stopping: threading.Event
    wake: threading.Event
    listening: list[tuple[str, int]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _watch: RulesWatch | None = None

    def start(self) -> None:
        """Take up what an earlier process left, then listen. Raises ConfigurationError, OSError."""
        self.sweep.start()
        self.engine.launch(self.body, _limits(self.rules.current()))
        self.rows.start()
        self._thread("complete", self.collector.run, self.stopping, self.wake)
        self._thread("marks", publish, self.sessions, self.presence, self.stopping)
        self._thread("upkeep", self._upkeep)
        for folder in self.folders:
            folder.start()
        config = self.rules.current()
        for destination in config.destinations.values():
            if destination.folder is not None:
                destination.folder.mkdir(parents=True, exist_ok=True)
        self.listening = self.receiver.start([(a.address.host, a.address.port) for a in config.node.listen])
        if self.status is not None:
            self.status.start()
        self._watch = RulesWatch(self.rules, self._rules_changed)
        self._watch.start()

    def stop(self, seconds: float = 20.0) -> None:
        """Finish the instance in flight, answer no more, leave the rest for the next start."""
        if self._watch is not None:
            self._watch.stop()
        self.receiver.stop(seconds)
        for folder in self.folders:
            folder.stop()
        self.stopping.set()
        self.wake.set()
        self.rows.stop()
        self.engine.stop(seconds)
        self.pool.close()
        for thread in self._threads:
            thread.join(5)
        if self.status is not None:
            self.status.stop()
        self.spool.close()
        self.presence.close()
        self.database.close()

    def _thread(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _rules_changed(self) -> None:
        self.engine.allow(_limits(self.rules.current()))
        self.wake.set()

    def _upkeep(self) -> None:
        """Now and then: index what a dead process left, remove what is over."""
        while not self.stopping.wait(3.0):
            try:
                if self.sweep.dead():
                    self.wake.set()
                self.retention.sometimes()
            except Exception:  # worker loop: upkeep that fails once must not end for ever
                log.exception("upkeep failed; tried again")


def _limits(config: Config) -> set[int]:
    return {d.concurrent for d in config.destinations.values()} or {1}


def build(
    path: Path,
    *,
    config: Config | None = None,
    files: Files | None = None,
    clock: Clock = utc_now,
    reach: Callable[[str], None] = nothing,
) -> Service:
    """Everything that a node is, not yet started.

    path    rules.yaml; `config` when it is loaded already

    Raises ConfigurationError: the rules, a database that is newer than this program, another secret.
    """
    files = files or Files()
    rules = Rules(path, STEPS, config)
    node = rules.current().node
    process = process_name()
    stopping, wake = threading.Event(), threading.Event()

    database = open_database(rules.current())
    secret = open_secret(rules.current(), database)
    presence = Presence(node.data / "run", process)
    spool = Spool(node.data / "spool", process, files=files, clock=clock, ids=new_receipt)
    outbox = Outbox(node.data / "outbox", database, files)
    engine = Engine(database.derived, node.data, process, jobs=_workers(rules.current()))
    pool = Pool(_workers(rules.current()))
    health = Health(database=database, rules=rules, spool=spool, routed=lambda: routed(rules.current()))
    metrics = Metrics(health.figures)

    # receive: bytes to the spool, then rows to the index
    intake = Intake(database, lambda: kinds(rules.current()))
    sessions = Sessions()
    rows = RowWriter(intake=intake, presence=presence, committed=lambda count: wake.set(), reach=reach)
    keeper = Keeper(
        spool=spool, presence=presence, hand_on=rows.put, reach=reach,
        keep_free=lambda: rules.current().node.limits.keep_free,
        largest=lambda: rules.current().node.limits.instance,
        charset=lambda origin: charset_of(rules.current(), origin),
    )  # fmt: skip
    receiver = Receiver(
        keeper=keeper, sessions=sessions, 
        told=Told(
            received=lambda o, seconds: metrics.received(o.calling_ae, o.called_ae, seconds),
            refused=lambda o, status: metrics.refused(o.calling_ae, o.called_ae, status),
        ),
        admit=lambda origin: admit(
            rules.current(), origin, open_associations=sessions.origins(),
            is_peer=lambda o: any(True for _ in rules.current().peers_of([o])),
        ),
        idle=lambda: rules.current().node.limits.idle.total_seconds(),
    )  # fmt: skip
    folders = [
        FolderIntake(
            watched.path, watched.as_ or node.ae_title[0], keeper,
            taken=lambda o: metrics.received("folder", o.called_ae, 0.0),
        )
        for watched in node.watch
    ]
    sweep = Sweep(
        spool=spool, presence=presence, intake=intake, charset=keeper.charset,
        newest=lambda: restored_from(database),
    )  # fmt: skip

    # complete and match: open units to jobs
    duplicates = Duplicates(
        database=database, spool=spool, pool=pool, config=rules.current, kinds=lambda: kinds(rules.current())
    )
    collector = Collector(
        database=database, presence=presence, engine=engine, config=rules.current,
        judge_duplicates=duplicates.judge, reach=reach,
    )  # fmt: skip

    # run: steps, from files to files; what they forward goes to the outbox
    runner = Runner(
        database=database, spool=spool, outbox=outbox, engine=engine, work=node.data / "work", pool=pool,
        supply=Supply({"secret": lambda: secret}), steps=STEPS, reach=reach,
        takes=lambda name: takes(rules.current(), name),
        concurrent=lambda name: rules.current().destinations[name].concurrent,
    )  # fmt: skip

    # deliver: the outbox to its destinations
    courier = Courier(
        database=database, outbox=outbox, destinations=lambda: rules.current().destinations,
        open=lambda delivery, destination, taken: open_target(
            delivery.destination, destination, node.ae_title[0], database, delivery.owner, taken
        ),
        stop=stopping.is_set, reach=reach,
    )  # fmt: skip

    address = node.status
    return Service(
        rules=rules, database=database, presence=presence, spool=spool, sweep=sweep, rows=rows,
        receiver=receiver, folders=folders, sessions=sessions, collector=collector, engine=engine,
        body=Body(runner=runner, courier=courier), pool=pool, stopping=stopping, wake=wake,
        retention=Retention(
            database=database, spool=spool, work=node.data / "work", engine=engine, config=rules.current
        ),
        status=StatusServer((address.host, address.port), metrics.registry, health.check) if address else None,
    )  # fmt: skip


def open_database(config: Config) -> Database:
    """Open and bring up to date the database that the configuration names. Raises ConfigurationError."""
    node = config.node
    url = node.database.url
    if node.database.password is not None:
        import sqlalchemy as sa

        url = sa.make_url(url).set(password=node.database.password.reveal()).render_as_string(hide_password=False)
    database = connect(url, node.data)
    prepare(database.durable, node.data)
    return database


def open_secret(config: Config, database: Database) -> bytes:
    """The key of the pseudonyms, the same as at every start before. Raises ConfigurationError."""
    node = config.node
    if node.secret is not None:
        secret = secrets.check(node.secret.reveal().encode(), "node: secret")
    else:
        secret = secrets.load_or_make(node.data / "secret")
    mark = secrets.fingerprint(secret)
    with database.durable.begin() as connection:
        known = read_meta(connection, "secret")
        if known is None:
            write_meta(connection, "secret", mark)
        elif known != mark:
            raise ConfigurationError(
                "the secret is not the one this database was made with: the same patients would get other "
                f"pseudonyms. Put the former one back ({node.data / 'secret'}, or node: secret)"
            )
    return secret


def kinds(config: Config) -> frozenset[UnitKind]:
    """Which units instances are put into: series and study always, so that a new route finds open ones."""
    return frozenset({UnitKind.SERIES, UnitKind.STUDY}) | routed(config)


def routed(config: Config) -> frozenset[UnitKind]:
    """Kinds of units that some route works on; series when there is no route, so that instances settle."""
    return frozenset(route.unit for route in config.routes) or frozenset({UnitKind.SERIES})


def takes(config: Config, name: str) -> frozenset[Kind]:
    """What a destination can take: DICOM goes to an application entity, everything to a folder."""
    destination = config.destinations.get(name)
    if destination is None:
        return frozenset()
    return frozenset({Kind.DICOM}) if destination.dicom is not None else frozenset(Kind)


def charset_of(config: Config, origin: Origin) -> str | None:
    return next((peer.charset for peer in config.peers_of([origin]) if peer.charset), None)


def restored_from(database: Database) -> float | None:
    """The time of the backup that this data was restored from, if it was."""
    with database.reader.connect() as connection:
        value = read_meta(connection, "restored")
    return None if value is None else float(value)


def _workers(config: Config) -> int:
    return (os.cpu_count() or 1) if config.node.workers == "auto" else config.node.workers
