"""What a large index costs: receiving, and a round of the completion scan, with so many instances already indexed.

Every size has its own data folder, filled through the index's own code with invented rows as they are after a
route has run: receipts with a real header, closed series, jobs, delivered obligations. No bytes lie behind them.
Rounds go from size to size and around again. Called by `python -m benchmarks.receive --growth`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from benchmarks.figures import Figures, number, open_figures, table
from benchmarks.ground import new_ground
from benchmarks.images import ct
from benchmarks.processes import wait_until
from benchmarks.receivers import rows, rules, serving
from benchmarks.sending import blast, shares
from benchmarks.template import Template, Which
from benchmarks.wire import EXPLICIT_LE
from node.config import Config, freeze, load
from node.dicom.header import pack, read_header
from node.dicom.identity import identify
from node.index import Database, units
from node.index.intake import Intake
from node.index.schema import member, unit
from node.index.units import NewJob
from node.model import UID, Arrival, Origin, ReceiptId, UnitKind
from node.moment import new_receipt, utc_now
from node.service import build
from node.steps import STEPS
from node.stores import open_database

_SERIES = 400
"""Instances of each series that is there before."""
_GROUP = 500
_ASSOCIATIONS = 4
_WARM = 8
_OPEN = 64
"""Series that are open and not yet quiet while the idle scan is measured: as many as may arrive at once."""
_INDEXED, _ARRIVING, _DUE = 10**9, 2 * 10**9, 3 * 10**9
"""First `Which.run` of each kind of invented instance: every series is a study of its own."""
_ORIGIN = Origin(calling_ae="BENCH", called_ae="NODE", sender="127.0.0.1")


def arrivals(template: Template, run: int, series: int, count: int) -> Iterable[Arrival]:
    """Rows of one series, without files. All have the header of its first instance: packing is not measured here."""
    data = template.instance(Which(run, series, 0))
    header = read_header(data, EXPLICIT_LE).header
    identity, packed, received = identify(header, UID(EXPLICIT_LE)), pack(header), utc_now()
    for each in range(count):
        instance, receipt = Which(run, series, each).instance, new_receipt()
        yield Arrival(
            receipt=receipt, path=f"2020-01-01/00/{receipt}.dcm", size=len(data),
            sha256=hashlib.sha256(instance.encode()).hexdigest(), received=received, origin=_ORIGIN,
            identity=replace(identity, sop_instance=UID(instance)), header=packed,
        )  # fmt: skip


def fill(path: Path, size: int, template: Template) -> None:
    """Make the data folder of a node that has received, processed and delivered so many instances."""
    config = load(path, STEPS)
    database = open_database(config)
    intake = Intake(database, lambda: config.kinds)
    began = time.perf_counter()
    for first in range(0, size, _SERIES * 25):
        numbers = range(first // _SERIES, min(first // _SERIES + 25, -(-size // _SERIES)))
        waiting: list[Arrival] = []
        for series in numbers:
            waiting += arrivals(template, _INDEXED + series, 0, min(_SERIES, size - series * _SERIES))
        for start in range(0, len(waiting), _GROUP):
            intake.record(waiting[start : start + _GROUP])
        _close(database, config)
    database.close()
    if size:
        print(f"{size} instances indexed in {time.perf_counter() - began:.0f} s", flush=True)


def _close(database: Database, config: Config) -> None:
    """Complete what is open, each series with a job that is done and has delivered everything."""
    (route,) = config.routes
    waits = {UnitKind.SERIES: (0.0, 0.0), UnitKind.STUDY: (0.0, 0.0)}
    with database.durable.begin() as connection:
        now = database.now(connection)
        for candidate in units.open_units(connection, now + 1, waits):
            members = connection.scalars(sa.select(member.c.receipt).where(member.c.unit == candidate.unit.id))
            owed = [(ReceiptId(receipt), "archive", "delivered", "") for receipt in members]
            new = NewJob(plan=freeze(route), owed=owed, replaces=False, delta=False, starts=False)
            units.close(
                connection, candidate.unit, evidence="quiet: 60 s", verdicts=[(route.name, True, ["always"])],
                jobs=[new] if candidate.unit.kind is route.unit else [], now=now, enqueue=lambda *_: None,
            )  # fmt: skip


def receiving(path: Path, template: Template, instances: int) -> tuple[float, float]:
    """By the real process: (instances a second over four associations, seconds until the last one is indexed)."""
    database = path.parent / "data" / "node.db"
    before = rows(database)
    run = 10 + before  # so that no instance has come before
    with serving(path) as (_, port):
        blast(port, template, shares(run, _WARM, 1), path.parent)
        sent = blast(port, template, shares(run + 1, instances, _ASSOCIATIONS), path.parent)
        wanted, began = before + instances + _WARM, time.perf_counter()
        wait_until("every instance is indexed", lambda: rows(database) >= wanted, 300)
        behind = time.perf_counter() - began
    if (more := rows(database) - before) != instances + _WARM:
        raise SystemExit(f"{instances + _WARM} were acknowledged, and the index has {more} more")
    return instances / sent.seconds, behind


def scanning(path: Path, template: Template, rounds: int) -> Iterable[tuple[float, float]]:
    """Milliseconds of rounds of the completion scan: (with nothing to close, closing a series of 400).

    On a copy: the jobs that this makes have no files, and a node that starts would try them.
    """
    with tempfile.TemporaryDirectory(dir=path.parents[1], prefix="dicom-node-scan-") as temporary:
        copy = shutil.copy(path, temporary)
        shutil.copytree(path.parent / "data", Path(temporary) / "data", ignore=shutil.ignore_patterns("spool"))
        service = build(Path(copy))
        intake = Intake(service.database, lambda: service.rules.current().kinds)
        try:
            for series in range(_OPEN):
                intake.record(list(arrivals(template, _ARRIVING + series, 0, 5)))
            for series in range(rounds):
                idle = statistics.median(_timed(service.collector.once) for _ in range(20))
                intake.record(list(arrivals(template, _DUE + series, 0, _SERIES)))
                _age(service.database, Which(_DUE + series, 0, 0).values()["series"].decode())
                yield idle * 1e3, _timed(service.collector.once) * 1e3
        finally:
            service.stop(5.0)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _age(database: Database, uid: str) -> None:
    """As if the last instance of a series had come an hour ago."""
    with database.derived.begin() as connection:
        connection.execute(sa.update(unit).where(unit.c.uid == uid).values(last_at=unit.c.last_at - 3600))


def compare(
    sizes: Sequence[int], rounds: int, instances: int, *, folder: Path, figures: Path | None, kept: Path | None
) -> None:
    """Fill, measure, show. Data folders are made below `kept` when they are not there, and stay."""
    template = ct()
    found = open_figures(figures, folder, f"growth, {instances} CT over {_ASSOCIATIONS} associations")
    with new_ground(folder, "dicom-node-growth-") as temporary:
        paths = {size: _filled((kept or temporary) / f"{size}", size, template) for size in sizes}
        for _ in range(rounds):
            for size, path in paths.items():
                rate, behind = receiving(path, template, instances)
                found.add({"size": size, "rate": rate, "behind_ms": behind * 1e3})
                print(f"{size:>8} indexed: {rate:.0f} instances/s", flush=True)
                shutil.rmtree(path.parent / "data" / "spool", ignore_errors=True)
                os.sync()  # so that the next one does not pay for it
        for size, path in paths.items():
            for idle, closing in scanning(path, template, rounds):
                found.add({"size": size, "idle_ms": idle, "closing_ms": closing})
    if found.rows:
        show(found)


def _filled(here: Path, size: int, template: Template) -> Path:
    path = here / "rules.yaml"
    if not path.exists():
        here.mkdir(parents=True)
        fill(rules(here), size, template)
    return path


def show(figures: Figures) -> None:
    print(f"\n{figures.about}")
    columns = {
        "rate": "received/s",
        "behind_ms": "last one indexed after, ms",
        "idle_ms": f"scan, nothing due of {_OPEN} open, ms",
        "closing_ms": f"scan that closes a series of {_SERIES}, ms",
    }
    sizes = figures.values("size")
    lines = [[f"{size}", *(number(figures.median(key, size=size), 1) for key in columns)] for size in sizes]
    first, last = (figures.median("rate", size=size) for size in (sizes[0], sizes[-1]))
    print(f"\n{table(['instances indexed before', *columns.values()], lines)}")
    if first and last and len(sizes) > 1:
        print(f"\nreceiving with {sizes[-1]} indexed : with {sizes[0]} = {last / first:.2f}")
