"""What is open, running, waiting and held at this moment, for `status`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from node.index.schema import commitment, commitment_item, delivery, job, obligation, parcel, receipt, unit, waiting
from node.model import UnitKind


def overview(connection: sa.Connection, routed: Collection[UnitKind]) -> dict[str, Any]:
    """Counts and lines, without patient data.

    routed      kinds of units that some route works on: the others are open too, and nothing will come of them
    """
    still_open = sa.and_(unit.c.state == "open", unit.c.kind.in_([kind.value for kind in routed]))
    jobs: dict[str, int] = dict(connection.execute(sa.select(job.c.state, sa.func.count()).group_by(job.c.state)).all())
    return {
        "open": connection.scalar(sa.select(sa.func.count()).where(still_open)) or 0,
        "queued": jobs.get("queued", 0),
        "running": jobs.get("running", 0),
        "deliveries": _waiting(connection),
        "commitments": _commitments(connection),
        "held": _held(connection),
    }


def _waiting(connection: sa.Connection) -> list[dict[str, Any]]:
    rows = connection.execute(
        sa.select(
            delivery.c.destination, delivery.c.reason, sa.func.count().label("files"),
            sa.func.min(delivery.c.next_at).label("next_at"),
        )
        .join(parcel, parcel.c.delivery == delivery.c.id)
        .where(delivery.c.state == "waiting", waiting)
        .group_by(delivery.c.destination, delivery.c.reason)
        .order_by(delivery.c.destination)
    )  # fmt: skip
    return [dict(row) for row in rows.mappings()]


def _commitments(connection: sa.Connection) -> list[dict[str, Any]]:
    """Open requests for storage commitment, oldest first: how far each is, and why its report does not get through."""
    by_state = [
        sa.func.count().filter(commitment_item.c.state == state).label(state)
        for state in ("waiting", "committed", "failed")
    ]
    rows = connection.execute(
        sa.select(
            commitment.c.transaction, commitment.c.calling_ae, commitment.c.called_ae, commitment.c.sender,
            commitment.c.proof, commitment.c.at, commitment.c.tries, commitment.c.next_at, commitment.c.reason,
            *by_state,
        )
        .join(commitment_item, commitment_item.c.commitment == commitment.c.id)
        .where(commitment.c.state == "open")
        .group_by(commitment.c.id)
        .order_by(commitment.c.at, commitment.c.id)
    )  # fmt: skip
    return [dict(row) for row in rows.mappings()]


def _held(connection: sa.Connection) -> list[dict[str, Any]]:
    """By place and reason. What is held at its receipt is in no unit, so each one is named."""
    at_receipt = connection.execute(
        sa.select(receipt.c.called_ae, receipt.c.reason, receipt.c.id, receipt.c.sop_instance, receipt.c.series)
        .where(receipt.c.state == "held")
        .order_by(receipt.c.id)
    )
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for called_ae, why, receipt_id, instance, series in at_receipt:
        one = {"receipt": receipt_id, "sop_instance": instance, "series": series}
        groups.setdefault((called_ae, why), []).append(one)
    found: list[dict[str, Any]] = [
        {"where": f"received as {ae}", "reason": why, "instances": len(those), "receipts": those}
        for (ae, why), those in groups.items()
    ]
    in_jobs = connection.execute(
        sa.select(
            job.c.route, unit.c.kind, unit.c.uid, obligation.c.reason,
            sa.func.count(sa.distinct(obligation.c.receipt)),
        )
        .join(job, job.c.id == obligation.c.job)
        .join(unit, unit.c.id == job.c.unit)
        .where(obligation.c.state == "held")
        .group_by(job.c.route, unit.c.kind, unit.c.uid, obligation.c.reason)
        .order_by(unit.c.uid)
    )  # fmt: skip
    found += [
        {"where": f"route {route}, {kind} {uid}", "reason": why, "instances": n} for route, kind, uid, why, n in in_jobs
    ]
    return found


def queues(connection: sa.Connection) -> dict[str, int]:
    """Files that wait, by destination."""
    rows = connection.execute(
        sa.select(delivery.c.destination, sa.func.count())
        .join(parcel, parcel.c.delivery == delivery.c.id)
        .where(waiting)
        .group_by(delivery.c.destination)
    )
    return dict(rows.all())


def jobs_under_way(connection: sa.Connection) -> int:
    return (
        connection.scalar(sa.select(sa.func.count()).select_from(job).where(job.c.state.in_(("queued", "running"))))
        or 0
    )
