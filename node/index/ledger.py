"""Where every acknowledged instance is. Counted from the rows, and held against what lies in the spool.

The state of an instance is its worst obligation's; an instance that no obligation speaks for is in_job while
a unit of it is open or being compared, and unrouted when all are complete. An instance that fits nowhere is
*unaccounted*: then the ledger does not balance, and that is a fault of the node, never of the operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from node.index.schema import delivery, job, member, obligation, parcel, receipt, unit
from node.model import ReceiptId, State, UnitKind

_DIRECT = {
    "held": State.HELD,
    "duplicate": State.DUPLICATE,
    "superseded": State.SUPERSEDED,
    "dropped": State.DROPPED,
    "unjudged": State.IN_JOB,
}
_OWED = {s.value: s for s in State}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One count of everything."""

    states: Mapping[State, int]
    """Instances by their worst state."""
    obligations: Mapping[str, int]
    """Obligations by state."""
    acknowledged: int
    """Receipts: those that have a row, and those in the spool that have none yet."""
    unindexed: int
    """In the spool and not in the index."""
    unaccounted: tuple[ReceiptId, ...]
    """Have a row and fit nowhere."""

    @property
    def balanced(self) -> bool:
        return sum(self.states.values()) == self.acknowledged and not self.unaccounted


def count(connection: sa.Connection, spooled: Iterable[ReceiptId], routed: frozenset[UnitKind]) -> Ledger:
    """Count everything once, in one read of the database.

    spooled     every receipt that has a file in the spool
    routed      kinds of units that some route works on: only those can still bring an instance anywhere
    """
    states: Counter[State] = Counter()
    unaccounted = []
    indexed: set[str] = set()
    for receipt_id, state in instance_states(connection, routed):
        indexed.add(receipt_id)
        if state is None:
            unaccounted.append(receipt_id)
        else:
            states[state] += 1
    unindexed = sum(1 for r in spooled if r not in indexed)
    owed = connection.execute(sa.select(obligation.c.state, sa.func.count()).group_by(obligation.c.state)).tuples()
    return Ledger(
        states={s: states[s] for s in State}, obligations=dict(owed.all()),
        acknowledged=len(indexed) + unindexed, unindexed=unindexed, unaccounted=tuple(unaccounted),
    )  # fmt: skip


def instance_states(
    connection: sa.Connection, routed: frozenset[UnitKind], where: sa.ColumnElement[bool] | None = None
) -> Iterable[tuple[ReceiptId, State | None]]:
    """(receipt, its worst state), None for one that nothing accounts for."""
    chosen = sa.true() if where is None else where
    worst: dict[str, State | None] = {}
    owed = (
        sa.select(
            obligation.c.receipt, obligation.c.state, job.c.state, delivery.c.state, sa.func.min(parcel.c.number)
        )
        .join(job, job.c.id == obligation.c.job)
        .outerjoin(
            delivery, sa.and_(delivery.c.job == obligation.c.job, delivery.c.destination == obligation.c.target)
        )
        .outerjoin(parcel, parcel.c.delivery == delivery.c.id)
        .join(receipt, receipt.c.id == obligation.c.receipt)
        .where(chosen, obligation.c.state != "replaced")
        .group_by(obligation.c.receipt, obligation.c.state, job.c.state, delivery.c.state)
    )
    order = list(State)
    for receipt_id, state, job_state, delivery_state, first_parcel in connection.execute(owed):
        found = _believable(state, job_state, delivery_state, first_parcel)
        known = worst.get(receipt_id, State.IGNORED)
        worst[receipt_id] = (
            None if found is None or known is None else order[min(order.index(found), order.index(known))]
        )
    still_open = set(
        connection.scalars(
            sa.select(member.c.receipt)
            .join(unit, unit.c.id == member.c.unit)
            .join(receipt, receipt.c.id == member.c.receipt)
            .where(chosen, unit.c.state == "open", unit.c.kind.in_([k.value for k in routed]))
        )
    )
    placed = set(
        connection.scalars(
            sa.select(member.c.receipt).join(receipt, receipt.c.id == member.c.receipt).where(chosen).distinct()
        )
    )
    for receipt_id, state in connection.execute(sa.select(receipt.c.id, receipt.c.state).where(chosen)):
        yield ReceiptId(receipt_id), _state(receipt_id, state, worst, still_open, placed)


def _believable(state: str, job_state: str, delivery_state: str | None, parcels: int | None) -> State | None:
    """An obligation whose job or delivery could not leave it in this state has been lost sight of."""
    if state == "in_job" and job_state not in ("queued", "running"):
        return None
    if state == "waiting" and (delivery_state != "waiting" or parcels is None):
        return None
    return _OWED[state]


def _state(
    receipt_id: str, state: str, worst: Mapping[str, State | None], still_open: set[str], placed: set[str]
) -> State | None:
    if state in _DIRECT:
        return _DIRECT[state]
    if receipt_id in worst:
        owed = worst[receipt_id]
        if owed is not None and receipt_id in still_open and owed not in (State.HELD, State.IN_JOB):
            return State.IN_JOB
        return owed
    if receipt_id in still_open:
        return State.IN_JOB
    return State.UNROUTED if receipt_id in placed else None
