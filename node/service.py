"""The node, put together. Read `build` from top to bottom: it is the way of the data.

    C-STORE / folder -> receive -> spool (synced, then answer) -> index -> complete? -> match -> job
       job: step -> step -> forward -> outbox -> delivery per destination -> receipt of the peer -> ledger

No other module knows all the parts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from node.collect.collector import Collector
from node.collect.duplicates import Duplicates
from node.commit.committer import REPORTING, Committer
from node.commit.peers import PeerAddress, unreachable
from node.commit.spooled import damaged
from node.commitment import Proof
from node.config import Config, Destination
from node.crosswalk import Crosswalk
from node.deliver.commitment import send_report, send_request
from node.deliver.courier import Courier
from node.deliver.dicom import DicomTarget
from node.deliver.targets import open_dicom, open_target
from node.dicom.commitment import Report, Request
from node.dicom.status import SUCCESS
from node.dicom.uids import derived_uid
from node.engine.engine import Engine
from node.engine.runs import Task
from node.errors import TryAgain
from node.evidence.asker import Asker
from node.evidence.pull import Pulls
from node.index import Database
from node.index.asking import Asked
from node.index.commitments import Commitment
from node.index.intake import Intake
from node.lifecycle import Body, Service
from node.model import UID, Origin
from node.moment import new_receipt, process_name, utc_now
from node.outbox import Outbox
from node.pool import Pool, Room
from node.receive.admission import admit, idle_limit
from node.receive.commitment import Commitments
from node.receive.conversation import Told
from node.receive.folder import FolderIntake
from node.receive.keeper import Command, Keeper
from node.receive.procedure_steps import ProcedureSteps
from node.receive.promised import Promised
from node.receive.receivers import Receivers, Terms
from node.receive.rows import RowWriter
from node.receive.scp import Receiver
from node.receive.services import Services
from node.receive.session import Sessions
from node.receive.sweep import Sweep
from node.receive.watermark import Watermark
from node.report.balance import RunningCheck
from node.report.health import Health
from node.report.http import StatusServer
from node.report.metrics import Metrics
from node.retention import Retention
from node.rules import Rules
from node.run.ahead import Ahead
from node.run.certify import Certifier
from node.run.runner import Runner
from node.run.supply import supply_of
from node.spool import Files, Presence, Spool
from node.spool.spool import Clock
from node.steps import STEPS
from node.stores import open_crosswalk, open_database, open_keys, restored_at
from node.tls import Certificates
from node.tls.report import days_left

__all__ = ["Service", "build"]

REPORT_TIMEOUT = 30.0
"""Seconds for the answer to a report on the association that asked for it."""


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
    sessions = ground.sessions
    room = Room(ground.pool.processes, sessions.count)
    rows = _rows(ground, intake, room)
    ground.health.damaged = lambda: rows.damaged
    keeper = _keeper(ground, rows)
    commitments = _commitments(ground)
    # An injected disk, clock or point is in this process alone.
    receivers = _receivers(ground, rows) if (files, clock, reach) == (None, utc_now, nothing) else None
    receiver = _receiver(ground, keeper, commitments, receivers)
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
    asker = _asker(ground, keeper)
    body = Body(runner=_runner(ground), courier=_courier(ground))
    committer = _committer(ground, commitments)

    retention = Retention(
        database=database, spool=spool, outbox=ground.outbox, work=node.data / "work", engine=ground.engine,
        config=rules.current, reach=ground.reach,
    )  # fmt: skip
    return Service(
        rules=rules, database=database, presence=ground.presence, spool=spool, sweep=sweep, rows=rows,
        receiver=receiver, receivers=receivers, folders=folders, sessions=sessions, collector=collector, asker=asker,
        engine=ground.engine, body=body, committer=committer, pool=ground.pool, room=room, stopping=ground.stopping,
        wake=ground.wake, asked=commitments.wake, watermark=ground.watermark, retention=retention,
        status=_status(ground), balance=ground.health.balance,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What the parts stand on."""

    rules: Rules
    database: Database
    crosswalk: Crosswalk
    presence: Presence
    spool: Spool
    watermark: Watermark
    promised: Promised
    sessions: Sessions
    certificates: Mapping[tuple[str, int], Certificates]
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
    promised = Promised.made()
    watermark = Watermark(
        lambda: spool.files.room(spool.root), lambda: rules.current().node.limits.keep_free, promised=promised
    )  # fmt: skip
    sessions = Sessions()
    listen = [(one.address, one.tls) for one in config.node.listen if one.tls is not None]
    certificates = {(address.host, address.port): Certificates(tls) for address, tls in listen}
    balance = RunningCheck(database=database, spool=spool, routed=lambda: rules.current().routed)
    health = Health(
        database=database, rules=rules, spool=spool, balance=balance,
        low=lambda: watermark.low, associations=sessions.count,
        broken=lambda: "; ".join(one.broken for one in certificates.values() if one.broken),
        certificates=lambda: days_left(rules.current(), utc_now()),
    )  # fmt: skip
    return _Ground(
        rules=rules,
        database=database,
        crosswalk=open_crosswalk(config, open_keys(config, database), database),
        presence=Presence(data / "run", process),
        spool=spool,
        watermark=watermark,
        promised=promised,
        sessions=sessions,
        certificates=certificates,
        outbox=Outbox(data / "outbox", database, files),
        engine=Engine(database.derived, data, process, jobs=_workers(config)),
        pool=Pool(_workers(config), memory=_memory(config)),
        health=health,
        metrics=Metrics(health.figures),
        stopping=threading.Event(),
        wake=threading.Event(),
        reach=reach,
    )


def _rows(ground: _Ground, intake: Intake, room: Room) -> RowWriter:
    def committed(count: int) -> None:
        ground.wake.set()
        room.wanted()

    return RowWriter(
        spool=ground.spool, intake=intake, presence=ground.presence, committed=committed, reach=ground.reach
    )  # fmt: skip


def _keeper(ground: _Ground, rows: RowWriter) -> Keeper:
    rules = ground.rules
    return Keeper(
        spool=ground.spool, presence=ground.presence, hand_on=rows.put, reach=ground.reach,
        watermark=ground.watermark,
        largest=lambda: rules.current().node.limits.instance, sop_classes=lambda: rules.current().node.sop_classes,
        charset=lambda origin: rules.current().charset_of(origin),
    )  # fmt: skip


def _told(metrics: Metrics) -> Told:
    return Told(
        received=lambda o, seconds: metrics.received(o.calling_ae, o.called_ae, seconds),
        refused=lambda o, status: metrics.refused(o.calling_ae, o.called_ae, status),
        turned_away=metrics.turned_away,
    )


def _receivers(ground: _Ground, rows: RowWriter) -> Receivers:
    rules = ground.rules

    def terms(origin: Origin) -> Terms:
        config = rules.current()
        limits = config.node.limits
        return Terms(
            largest=limits.instance, keep_free=limits.keep_free, charset=config.charset_of(origin),
            sop_classes=config.node.sop_classes,
        )  # fmt: skip

    return Receivers(
        data=rules.current().node.data, process=ground.presence.process, sessions=ground.sessions, terms=terms,
        count=lambda: _processes(rules.current().node.receivers), hand_on=rows.put, told=_told(ground.metrics),
        watermark=ground.watermark, promised=ground.promised,
    )  # fmt: skip


def _receiver(ground: _Ground, keeper: Keeper, commitments: Commitments, receivers: Receivers | None) -> Receiver:
    rules, metrics = ground.rules, ground.metrics
    return Receiver(
        keeper=keeper, sessions=ground.sessions, receivers=receivers, told=_told(metrics),
        node=lambda: rules.current().node, admit=lambda caller, places: admit(rules.current(), caller, places),
        certificates=ground.certificates,
        idle=lambda origin: idle_limit(rules.current(), origin),
        services=Services(
            commitments,
            ProcedureSteps(
                database=ground.database, accepted=lambda: rules.current().node.mpps,
                new_uid=lambda: derived_uid("procedure step", new_receipt()), told=ground.wake.set,
            ),
        ),
    )  # fmt: skip


def _status(ground: _Ground) -> StatusServer | None:
    at = ground.rules.current().node.status
    if at is None:
        return None
    return StatusServer((at.host, at.port), ground.metrics.registry, ground.health.check)


def _commitments(ground: _Ground) -> Commitments:
    rules = ground.rules

    def proof() -> Proof | None:
        chosen = rules.current().node.commitment.proof
        return None if chosen == "off" else Proof(chosen)

    return Commitments(
        database=ground.database, proof=proof, wake=threading.Event(), told=ground.wake.set, reach=ground.reach
    )  # fmt: skip


def _committer(ground: _Ground, commitments: Commitments) -> Committer:
    rules = ground.rules

    def tell(one: Commitment, report: Report, address: PeerAddress | None) -> str:
        """Where it was asked first, else where the requester listens."""
        if commitments.reports.send(one.id, report, REPORT_TIMEOUT) == SUCCESS:
            return "on its association"
        if address is None:
            raise unreachable(one.origin)
        send_report(DicomTarget(address.ae_title, address.host, address.port, address.calling_ae), report)
        return f"at {address.host}:{address.port}"

    def ask(one: Asked, request: Request, destination: Destination | None) -> None:
        if destination is None or destination.dicom is None:
            raise TryAgain(f'destination "{one.destination}" is no application entity in rules.yaml any more')
        title = destination.dicom.ae_title
        send_request(
            open_dicom(destination, destination.dicom, rules.current().node.ae_title[0]), request,
            lambda data, syntax: commitments.heard(data, syntax, title),
        )  # fmt: skip

    return Committer(
        database=ground.database, presence=ground.presence, config=rules.current, here=commitments.reports.has,
        tell=tell, ask=ask, reach=ground.reach, reporting=REPORTING,
        damaged=lambda instances: damaged(ground.database, ground.spool, instances),
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


def _asker(ground: _Ground, keeper: Keeper) -> Asker:
    def keep(data: memoryview, transfer_syntax: UID, origin: Origin, sop_class: UID, instance: UID) -> None:
        keeper.keep(data, transfer_syntax, origin, Command(sop_class=sop_class, sop_instance=instance))
        ground.metrics.pulled(origin.calling_ae, origin.called_ae)

    rules = ground.rules
    return Asker(
        database=ground.database, presence=ground.presence, config=rules.current, wake=ground.wake.set,
        pulls=Pulls(database=ground.database, presence=ground.presence, config=rules.current, keep=keep),
    )  # fmt: skip


def _runner(ground: _Ground) -> Runner:
    rules, ahead = ground.rules, Ahead(ground.spool.files)
    return Runner(
        database=ground.database, spool=ground.spool, outbox=ground.outbox, engine=ground.engine,
        work=rules.current().node.data / "work", pool=ground.pool, reach=ground.reach,
        supply=supply_of(ground.crosswalk), steps=STEPS,
        charset=lambda origin: rules.current().charset_of(origin),
        takes=lambda name: rules.current().takes(name),
        concurrent=lambda name: rules.current().destinations[name].concurrent, ahead=ahead,
        certifier=Certifier(
            database=ground.database, pool=ground.pool, secret=lambda: ground.crosswalk.keys.current,
            process=ground.engine.process, known=ahead.known,
        ),
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


def _processes(receivers: Literal["auto"] | int) -> int:
    """Receiver processes; 0 where the node receives itself."""
    count = (os.cpu_count() or 1) if receivers == "auto" else receivers
    return count if count > 1 else 0
