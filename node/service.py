"""The node, put together. Read `build` from top to bottom: it is the way of the data.

    C-STORE / folder -> receive -> spool (synced, then answer) -> index -> complete? -> match -> job
       job: step -> step -> forward -> outbox -> delivery per destination -> receipt of the peer -> ledger

No other module knows all the parts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.collect.collector import Collector
from node.collect.duplicates import Duplicates
from node.config import Config
from node.deliver.courier import Courier
from node.deliver.targets import open_target
from node.engine.engine import Engine
from node.engine.runs import Task
from node.index import Database
from node.index.intake import Intake
from node.lifecycle import Body, Service
from node.moment import new_receipt, process_name, utc_now
from node.outbox import Outbox
from node.pool import Pool
from node.receive.admission import admit
from node.receive.conversation import Told
from node.receive.folder import FolderIntake
from node.receive.keeper import Keeper
from node.receive.rows import RowWriter
from node.receive.scp import Receiver
from node.receive.session import Sessions
from node.receive.sweep import Sweep
from node.report.balance import RunningCheck
from node.report.health import Health
from node.report.http import StatusServer
from node.report.metrics import Metrics
from node.retention import Retention
from node.rules import Rules
from node.run.runner import Runner
from node.run.supply import Supply
from node.spool import Files, Presence, Spool
from node.spool.spool import Clock
from node.steps import STEPS
from node.stores import open_database, open_secret, restored_at

__all__ = ["Service", "build"]


def nothing(point: str) -> None:
    """What is called at named points in production."""


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

    Raises ConfigurationError: the rules, a database that is newer than this program, another secret. OSError: the
    address of `status` cannot be bound.
    """
    ground = _ground(Rules(path, STEPS, config), files or Files(), clock, reach)
    rules, database, spool, node = ground.rules, ground.database, ground.spool, ground.rules.current().node

    # receive: bytes to the spool, then rows to the index
    intake = Intake(database, lambda: rules.current().kinds)
    sessions = Sessions()
    rows = RowWriter(
        spool=spool, intake=intake, presence=ground.presence, committed=lambda count: ground.wake.set(), reach=reach
    )  # fmt: skip
    keeper = _keeper(ground, rows)
    receiver = _receiver(ground, keeper, sessions)
    folders = [
        FolderIntake(
            watched.path, watched.as_ or node.ae_title[0], keeper, settle=watched.settle.total_seconds(),
            taken=lambda o: ground.metrics.taken_in(o.called_ae),
        )
        for watched in node.watch
    ]  # fmt: skip
    sweep = Sweep(
        spool=spool, presence=ground.presence, intake=intake, charset=keeper.charset,
        restored=lambda: restored_at(database),
    )  # fmt: skip

    # complete and match: open units to jobs; run: steps; deliver: the outbox to its destinations
    collector = _collector(ground)
    body = Body(runner=_runner(ground), courier=_courier(ground))

    retention = Retention(
        database=database, spool=spool, outbox=ground.outbox, work=node.data / "work", engine=ground.engine,
        config=rules.current, reach=ground.reach,
    )  # fmt: skip
    status = None
    if (at := node.status) is not None:
        status = StatusServer((at.host, at.port), ground.metrics.registry, ground.health.check)
    return Service(
        rules=rules, database=database, presence=ground.presence, spool=spool, sweep=sweep, rows=rows,
        receiver=receiver, folders=folders, sessions=sessions, collector=collector, engine=ground.engine,
        body=body, pool=ground.pool, stopping=ground.stopping, wake=ground.wake, retention=retention, status=status,
        balance=ground.health.balance,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What the parts stand on."""

    rules: Rules
    database: Database
    secret: bytes
    presence: Presence
    spool: Spool
    outbox: Outbox
    engine: Engine
    pool: Pool
    health: Health
    metrics: Metrics
    stopping: threading.Event
    wake: threading.Event
    """Set when something may have become complete."""
    reach: Callable[[str], None]


def _ground(rules: Rules, files: Files, clock: Clock, reach: Callable[[str], None]) -> _Ground:
    config = rules.current()
    data, process = config.node.data, process_name()
    database = open_database(config)
    spool = Spool(data / "spool", process, files=files, clock=clock, ids=new_receipt)
    balance = RunningCheck(database=database, spool=spool, routed=lambda: rules.current().routed)
    health = Health(database=database, rules=rules, spool=spool, balance=balance)
    return _Ground(
        rules=rules,
        database=database,
        secret=open_secret(config, database),
        presence=Presence(data / "run", process),
        spool=spool,
        outbox=Outbox(data / "outbox", database, files),
        engine=Engine(database.derived, data, process, jobs=_workers(config)),
        pool=Pool(_workers(config), memory=_memory(config)),
        health=health,
        metrics=Metrics(health.figures),
        stopping=threading.Event(),
        wake=threading.Event(),
        reach=reach,
    )


def _keeper(ground: _Ground, rows: RowWriter) -> Keeper:
    rules = ground.rules
    return Keeper(
        spool=ground.spool, presence=ground.presence, hand_on=rows.put, reach=ground.reach,
        keep_free=lambda: rules.current().node.limits.keep_free,
        largest=lambda: rules.current().node.limits.instance,
        charset=lambda origin: rules.current().charset_of(origin),
    )  # fmt: skip


def _receiver(ground: _Ground, keeper: Keeper, sessions: Sessions) -> Receiver:
    rules, metrics = ground.rules, ground.metrics
    return Receiver(
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


def _collector(ground: _Ground) -> Collector:
    rules = ground.rules
    duplicates = Duplicates(
        database=ground.database, spool=ground.spool, pool=ground.pool, config=rules.current,
        kinds=lambda: rules.current().kinds, reach=ground.reach,
    )  # fmt: skip
    return Collector(
        database=ground.database, presence=ground.presence, engine=ground.engine, config=rules.current,
        judge_duplicates=duplicates.begin, reach=ground.reach,
    )  # fmt: skip


def _runner(ground: _Ground) -> Runner:
    rules = ground.rules
    return Runner(
        database=ground.database, spool=ground.spool, outbox=ground.outbox, engine=ground.engine,
        work=rules.current().node.data / "work", pool=ground.pool, reach=ground.reach,
        supply=Supply({"secret": lambda: ground.secret}), steps=STEPS,
        takes=lambda name: rules.current().takes(name),
        concurrent=lambda name: rules.current().destinations[name].concurrent,
    )  # fmt: skip


def _courier(ground: _Ground) -> Courier:
    rules, database = ground.rules, ground.database
    own = rules.current().node.ae_title[0]
    return Courier(
        database=database, outbox=ground.outbox, destinations=lambda: rules.current().destinations,
        open=lambda delivery, destination, taken: open_target(
            delivery.destination, destination, own, database, delivery.owner, taken, delivery.delta
        ),
        stop=ground.stopping.is_set, reach=ground.reach,
        under_way=lambda key: ground.engine.running(Task.DELIVERY, key),
    )  # fmt: skip


def _memory(config: Config) -> int:
    """Bytes that one worker may use: its share of the machine, and enough for one large series."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(4 << 30, total * 8 // 10 // _workers(config))


def _workers(config: Config) -> int:
    return (os.cpu_count() or 1) if config.node.workers == "auto" else config.node.workers
