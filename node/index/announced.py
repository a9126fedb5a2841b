"""How many instances the series of a job have, by those who know: the latest C-FIND answer of each source that was
asked, and procedure steps that are over. What is said of a study as a whole says nothing of one series."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from node.complete import Announced
from node.index.known import reading_of
from node.index.schema import expected, job, obligation, reading, receipt, unit
from node.model import ReceiptId, UnitKind


def announced(connection: sa.Connection, job_id: str) -> tuple[Announced, ...]:
    """What is said of each series of a job. Nothing for a job that is not of whole series: on single instances, or on
    late arrivals alone."""
    of = connection.execute(
        sa.select(unit.c.kind, job.c.delta).join(unit, unit.c.id == job.c.unit).where(job.c.id == job_id)
    ).first()
    if of is None or of.delta or of.kind == UnitKind.INSTANCE.value:
        return ()
    owed = sa.select(obligation.c.receipt).where(obligation.c.job == job_id)
    rows = connection.execute(
        sa.select(receipt.c.id, receipt.c.called_ae, receipt.c.study, receipt.c.series)
        .where(receipt.c.id.in_(owed))
        .order_by(receipt.c.id)
    )
    groups: dict[tuple[str, str, str], set[ReceiptId]] = {}
    for key, called_ae, study, series in rows:
        groups.setdefault((called_ae, study, series), set()).add(ReceiptId(key))
    return tuple(
        Announced(receipts=frozenset(receipts), count=count, says=says)
        for (called_ae, study, series), receipts in groups.items()
        for says, count in (*_counted(connection, called_ae, study, series), *_made(connection, called_ae, series))
    )


def _counted(connection: sa.Connection, called_ae: str, study: str, series: str) -> Iterator[tuple[str, int]]:
    rows = connection.execute(
        sa.select(reading)
        .where(reading.c.called_ae == called_ae, reading.c.study == study, reading.c.answer.is_not(None))
        .order_by(reading.c.peer, reading.c.number)
    )
    latest = {row.peer: reading_of(row.peer, row.at, row.answer) for row in rows}
    for peer, answer in latest.items():
        if (count := answer.series.get(series)) is not None:
            yield f"{peer} counted (C-FIND)", count


def _made(connection: sa.Connection, called_ae: str, series: str) -> Iterable[tuple[str, int]]:
    rows = connection.execute(
        sa.select(expected).where(
            expected.c.source == "mpps", expected.c.series == series, expected.c.called_ae == called_ae
        )
    ).all()
    if not rows:
        return ()
    peers = ", ".join(sorted({row.peer for row in rows}))
    lists = [json.loads(row.instances) for row in rows if row.instances is not None]
    listed = len({uid for uids in lists for uid in uids})
    unlisted = sum(row._mapping["count"] for row in rows if row.instances is None)
    return [(f"the procedure step of {peers} made", listed + unlisted)]
