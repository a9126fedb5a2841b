"""What became of obligations, from what became of parcels."""

from __future__ import annotations

import json

import sqlalchemy as sa

from node.index.schema import obligation, parcel
from node.model import ReceiptId

_ORDER = {"delivered": 0, "dropped": 1, "waiting": 2, "held": 3}


def settle(connection: sa.Connection, key: str, job_id: str, destination: str) -> None:
    """An instance is delivered when everything made from it is, and held when anything of it is.

    Moves only obligations that the job handed over: one that is still in the job or held there, or that a rule or
    a person dropped, stays as it is. A route may forward twice to one destination, and what the first brought
    there does not make up for a member that a step in between held.
    """
    worst: dict[str, tuple[str, str]] = {}
    for sources, state, reason in connection.execute(
        sa.select(parcel.c.sources, parcel.c.state, parcel.c.reason)
        .where(parcel.c.delivery == key)
        .order_by(parcel.c.number)
    ):
        for receipt in json.loads(sources):
            known = worst.get(receipt)
            if known is None or _ORDER[state] > _ORDER[known[0]]:
                worst[receipt] = (state, reason)
    by_result: dict[tuple[str, str], list[str]] = {}
    for receipt, (state, reason) in worst.items():
        by_result.setdefault((state, reason if state in ("held", "dropped") else ""), []).append(receipt)
    for (state, reason), receipts in by_result.items():
        for begin in range(0, len(receipts), 500):
            connection.execute(
                sa.update(obligation)
                .where(
                    obligation.c.job == job_id, obligation.c.target == destination,
                    obligation.c.receipt.in_(receipts[begin : begin + 500]),
                    sa.or_(
                        obligation.c.state.in_(("waiting", "delivered")),
                        sa.and_(obligation.c.state == "held", obligation.c.in_outbox),
                    ),
                )
                .values(state=state, reason=reason, in_outbox=state == "held")
            )  # fmt: skip


def sources_of(connection: sa.Connection, key: str) -> set[ReceiptId]:
    """Every receipt that a parcel of this delivery was made from."""
    rows = connection.scalars(sa.select(parcel.c.sources).where(parcel.c.delivery == key))
    return {ReceiptId(receipt) for sources in rows for receipt in json.loads(sources)}
