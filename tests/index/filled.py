"""A database with as many receipts as wanted, in the states that a year of work leaves. For tests of size, and

python -m tests.index.filled 1000000 sqlite /tmp/filled             seconds of what reads it; fills it once
python -m tests.index.filled 1000000 postgresql://... /tmp/filled
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.index import Database, connect
from node.index.ledger import instance_states
from node.index.overview import overview
from node.index.schema import delivery, job, member, obligation, parcel, receipt, unit
from node.index.versions import prepare
from node.model import UnitKind
from node.moment import new_receipt, utc_now
from node.report.balance import RunningCheck
from node.report.health import Health, take_ledger
from node.rules import Rules
from node.spool import Files, Spool
from node.steps import STEPS

SERIES = 200
"""Instances of each."""

STATES = ("delivered",) * 90 + ("waiting", "held", "unrouted", "open", "duplicate", "produced") + ("delivered",) * 4
"""Of one series after the other."""

_HOUR = "2026-01-02/03"


def fill(database: Database, spool: Path, receipts: int) -> None:
    """Everything over has left the spool; what is held, open or unrouted has its (empty) file."""
    (spool / _HOUR).mkdir(parents=True, exist_ok=True)
    series = receipts // SERIES
    for begin in range(0, series, 50):
        with database.derived.begin() as connection:
            for number in range(begin, min(begin + 50, series)):
                state = STATES[number % len(STATES)]
                rows = _series(number, state)
                for table, values in rows:
                    connection.execute(sa.insert(table), values)
                if state in ("held", "unrouted", "open"):
                    for row in rows[0][1]:
                        (spool / row["path"]).touch()
    with database.durable.begin() as connection:
        if connection.dialect.name == "postgresql":  # autoincrement does not see given ids
            connection.exec_driver_sql("SELECT setval('node_unit_id_seq', (SELECT max(id) FROM node_unit))")
            connection.exec_driver_sql("ANALYZE")


def _series(number: int, state: str) -> list[tuple[sa.Table, list[dict[str, Any]]]]:
    ids = [f"{number:012x}{n:020x}" for n in range(SERIES)]
    kept = state in ("held", "unrouted", "open")
    common = {
        "received": float(number), "calling_ae": "CT1", "called_ae": "NODE", "sender": "127.0.0.1",
        "sop_class": "1.2.840.10008.5.1.4.1.1.2", "study": f"1.2.{number // 2}", "series": f"1.2.{number}.1",
        "transfer_syntax": "1.2.840.10008.1.2.1", "size": 1000, "sha256": "0" * 64, "reason": "",
        "header": b"\x01" if kept else None,
    }  # fmt: skip
    receipts = [
        {
            **common, "id": one, "sop_instance": f"1.2.{number}.1.{n}",
            "path": f"{_HOUR}/{one}.dcm" if kept else None,
            "state": "duplicate" if state == "duplicate" else "current",
        }
        for n, one in enumerate(ids)
    ]  # fmt: skip
    if state == "duplicate":
        return [(receipt, receipts)]
    key, sends = f"{number + 1}.1.all", f"{number + 1}.1.all>archive"
    of_unit = {
        "id": number + 1, "kind": "series", "called_ae": "NODE", "uid": common["series"], "study": common["study"],
        "series": common["series"], "generation": 1, "state": "open" if state == "open" else "complete",
        "count": SERIES, "first_at": float(number), "last_at": float(number),
    }  # fmt: skip
    rows: list[tuple[sa.Table, list[dict[str, Any]]]] = [
        (receipt, receipts), (unit, [of_unit]),
        (member, [{"unit": number + 1, "receipt": one, "generation": 1} for one in ids]),
    ]  # fmt: skip
    if state in ("unrouted", "open"):
        return rows
    target = "output" if state == "produced" else "archive"
    rows.append((job, [_job(key, number + 1, "held" if state == "held" else "done")]))
    owed = {"job": key, "target": target, "state": state, "reason": ""}
    rows.append((obligation, [{**owed, "receipt": one} for one in ids]))
    if state in ("delivered", "waiting"):
        rows.append((delivery, [_delivery(sends, key, state)]))
        rows.append((parcel, [_parcel(sends, n, one, state) for n, one in enumerate(ids)]))
    return rows


def _job(key: str, of: int, state: str) -> dict[str, Any]:
    plan = {"route": "all", "unit": "series", "partial": "hold", "fingerprint": "", "steps": [["forward", {}]]}
    return {
        "id": key, "unit": of, "generation": 1, "route": "all", "plan": json.dumps(plan), "delta": False,
        "state": state, "reason": "", "tries": 1, "created": 1.0, "finished": 1.0,
    }  # fmt: skip


def _delivery(key: str, of: str, state: str) -> dict[str, Any]:
    return {
        "id": key, "job": of, "destination": "archive", "disclosure": "identified", "state": state, "reason": "",
        "tries": 1, "failures": 0, "failing_since": None, "next_at": None, "created": 1.0,
    }  # fmt: skip


def _parcel(key: str, number: int, source: str, state: str) -> dict[str, Any]:
    return {
        "delivery": key, "number": number, "step": 0, "path": f"x/{source}", "name": source, "kind": "dicom",
        "fields": "{}", "content": "0" * 64, "size": 1000, "sources": json.dumps([source]), "state": state,
        "reason": "", "sop_instance": f"{key}.{number}",
    }  # fmt: skip


def main(receipts: int, url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    database = connect(url, folder)
    prepare(database.durable, folder)
    with database.reader.connect() as connection:
        empty = not connection.scalar(sa.select(sa.func.count()).select_from(receipt))
    if empty:
        fill(database, folder / "spool", receipts)
    spool = Spool(folder / "spool", "filled", files=Files(), clock=utc_now, ids=new_receipt)
    for what, run in _readers(database, spool, folder):
        best = min(_seconds(run) for _ in range(3))
        print(f"{what:<28} {best:8.3f} s", flush=True)
    database.close()


def _readers(database: Database, spool: Spool, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    def reading(what: Callable[[sa.Connection], object]) -> Callable[[], object]:
        def run() -> object:
            with database.reader.connect() as connection:
                return what(connection)

        return run

    yield "ledger", reading(lambda connection: take_ledger(connection, spool, frozenset(UnitKind)))
    yield "status", reading(lambda connection: overview(connection, frozenset(UnitKind)))
    some = receipt.c.id.in_([f"{7:012x}{n:020x}" for n in range(SERIES)])
    yield "states of 200 instances", reading(lambda c: list(instance_states(c, frozenset(UnitKind), some)))
    rules = folder / "rules.yaml"
    rules.write_text("node: {ae_title: NODE}\n")
    balance = RunningCheck(database=database, spool=spool, routed=lambda: frozenset(UnitKind))
    health = Health(database=database, rules=Rules(rules, STEPS), spool=spool, balance=balance)
    yield "/metrics", health.figures
    yield "a turn of the running check", balance.turn


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
