"""All that is known of a study, series, instance or receipt, as plain data: what `explain` prints."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from node.index.ledger import instance_states
from node.index.readings import told
from node.index.schema import (
    commitment,
    commitment_item,
    completion,
    delivery,
    history,
    job,
    member,
    obligation,
    parcel,
    receipt,
    unit,
)
from node.model import UnitKind


def story(connection: sa.Connection, uid: str, routed: frozenset[UnitKind]) -> dict[str, Any] | None:
    """None when the UID was never seen here. Holds UIDs, AE titles and times; no patient data.

    `uid` may also be the id of a receipt. A UID that this node gave an instance it made leads to where that came from.
    """
    chosen = sa.or_(receipt.c.study == uid, receipt.c.series == uid, receipt.c.sop_instance == uid, receipt.c.id == uid)
    rows = connection.execute(sa.select(receipt).where(chosen).order_by(receipt.c.id)).all()
    if not rows:
        made = _made_from(connection, uid)
        if not made:
            asked_for = _commitments(connection, commitment_item.c.sop_instance == uid)
            return {"uid": uid, "instances": [], "units": [], "commitments": asked_for} if asked_for else None
        chosen = receipt.c.id.in_(made)
        rows = connection.execute(sa.select(receipt).where(chosen).order_by(receipt.c.id)).all()
    states = dict(instance_states(connection, routed, chosen))
    ids = sa.select(receipt.c.id).where(chosen)
    reasons, told_of = _reasons(connection, ids), _histories(connection, ids)
    units = connection.execute(
        sa.select(unit)
        .where(unit.c.id.in_(sa.select(member.c.unit).where(member.c.receipt.in_(ids))))
        .order_by(unit.c.id)
    ).all()
    return {
        "uid": uid,
        "instances": [
            {
                "receipt": r.id, "sop_instance": r.sop_instance, "series": r.series, "study": r.study,
                "received": r.received, "calling_ae": r.calling_ae, "called_ae": r.called_ae, "sender": r.sender,
                "transfer_syntax": r.transfer_syntax, "size": r.size,
                "state": s.value if (s := states[r.id]) is not None else "unaccounted",
                "reason": r.reason or reasons.get(r.id, ""), "against": r.against,
                "history": told_of.get(r.id, []),
            }
            for r in rows
        ],
        "units": [_unit(connection, u) for u in units],
        "commitments": _commitments(
            connection, commitment_item.c.sop_instance.in_(sa.select(receipt.c.sop_instance).where(chosen))
        ),
    }  # fmt: skip


def _made_from(connection: sa.Connection, uid: str) -> list[str]:
    rows = connection.scalars(sa.select(parcel.c.sources).where(parcel.c.sop_instance == uid))
    return sorted({r for text in rows for r in json.loads(text)})


def _reasons(connection: sa.Connection, receipts: sa.Select[tuple[str]]) -> dict[str, str]:
    """Why a job or a delivery holds them. One query for all: a study may have thousands."""
    chosen = sa.and_(obligation.c.receipt.in_(receipts), obligation.c.state == "held")
    rows = connection.execute(sa.select(obligation.c.receipt, sa.func.min(obligation.c.reason)).where(chosen).group_by(
        obligation.c.receipt
    ))  # fmt: skip
    return dict(rows.all())


def _histories(connection: sa.Connection, subjects: sa.Select[tuple[str]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for h in connection.execute(sa.select(history).where(history.c.subject.in_(subjects)).order_by(history.c.id)):
        found.setdefault(h.subject, []).append(_line(h))
    return found


def _commitments(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    """Who asked for commitment of these instances, and what became of them: in groups of the same result."""
    rows = connection.execute(
        sa.select(
            commitment.c.id, commitment.c.transaction, commitment.c.calling_ae, commitment.c.sender, commitment.c.at,
            commitment.c.proof, commitment.c.state, commitment.c.reason, commitment.c.next_at,
            commitment_item.c.state.label("result"), commitment_item.c.reason.label("failure"),
            commitment_item.c.because, sa.func.count().label("instances"),
        )
        .join(commitment_item, commitment_item.c.commitment == commitment.c.id)
        .where(chosen)
        .group_by(commitment.c.id, commitment_item.c.state, commitment_item.c.reason, commitment_item.c.because)
        .order_by(commitment.c.at, commitment.c.id, commitment_item.c.state, commitment_item.c.because)
    )  # fmt: skip
    found: dict[int, dict[str, Any]] = {}
    for r in rows:
        one = found.setdefault(
            r.id,
            {
                "transaction": r.transaction, "calling_ae": r.calling_ae, "sender": r.sender, "at": r.at,
                "proof": r.proof, "state": r.state, "reason": r.reason, "next_at": r.next_at, "results": [],
            },
        )  # fmt: skip
        one["results"].append(
            {"result": r.result, "failure": r.failure, "because": r.because, "instances": r.instances}
        )
    return list(found.values())


def _unit(connection: sa.Connection, row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    closed = connection.execute(
        sa.select(completion).where(completion.c.unit == row.id).order_by(completion.c.generation)
    ).all()
    jobs = connection.execute(
        sa.select(job).where(job.c.unit == row.id).order_by(job.c.generation, job.c.created)
    ).all()
    return {
        "kind": row.kind, "uid": row.uid, "called_ae": row.called_ae, "state": row.state,
        "generation": row.generation, "count": row._mapping["count"], "first": row.first_at, "last": row.last_at,
        "completions": [
            {
                "generation": c.generation, "at": c.at, "count": c._mapping["count"], "evidence": c.evidence,
                "routes": [{"route": n, "matched": m, "because": b} for n, m, b in json.loads(c.verdicts)],
            }
            for c in closed
        ],
        **told(connection, row.called_ae, row.study, UnitKind(row.kind), row.uid),
        "jobs": [_job(connection, j) for j in jobs],
    }  # fmt: skip


def _job(connection: sa.Connection, row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    owed = connection.execute(
        sa.select(obligation.c.target, obligation.c.state, obligation.c.reason, sa.func.count())
        .where(obligation.c.job == row.id)
        .group_by(obligation.c.target, obligation.c.state, obligation.c.reason)
        .order_by(obligation.c.target, obligation.c.state)
    )
    deliveries = connection.execute(sa.select(delivery).where(delivery.c.job == row.id).order_by(delivery.c.id))
    return {
        "job": row.id, "route": row.route, "generation": row.generation, "state": row.state, "reason": row.reason,
        "tries": row.tries, "created": row.created, "finished": row.finished,
        "obligations": [{"target": t, "state": s, "reason": r, "instances": n} for t, s, r, n in owed],
        "history": _history(connection, row.id),
        "deliveries": [
            {
                "delivery": d.id, "destination": d.destination, "state": d.state, "reason": d.reason,
                "failures": d.failures, "next_at": d.next_at, "files": _files(connection, d.id),
            }
            for d in deliveries
        ],
    }  # fmt: skip


def _history(connection: sa.Connection, subject: str) -> list[dict[str, Any]]:
    lines = connection.execute(sa.select(history).where(history.c.subject == subject).order_by(history.c.id))
    return [_line(h) for h in lines]


def _line(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {"at": row.at, "what": row.what, "text": row.text, "seconds": row.seconds}


def _files(connection: sa.Connection, delivery_id: str) -> dict[str, int]:
    rows = connection.execute(
        sa.select(parcel.c.state, sa.func.count()).where(parcel.c.delivery == delivery_id).group_by(parcel.c.state)
    )
    return dict(rows.all())
