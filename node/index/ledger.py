"""Where every acknowledged instance is. Counted from the rows, and held against what lies in the spool.

The state of an instance is its worst obligation's; an instance that no obligation speaks for is in_job while
a unit of it is open or being compared, and unrouted when all are complete and no job was made that should have
it. An instance that fits nowhere is *unaccounted*, one whose file is gone while it is still needed is *missing*:
then the ledger does not balance, and that is a fault of the node or of its disk, never of the operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
_OWED = {
    s.value: s
    for s in (State.HELD, State.IN_JOB, State.WAITING, State.DELIVERED, State.PRODUCED, State.DROPPED, State.IGNORED)
}


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
    missing: tuple[ReceiptId, ...]
    """Not over, and their file is not in the spool."""

    @property
    def balanced(self) -> bool:
        return sum(self.states.values()) == self.acknowledged and not self.unaccounted and not self.missing


NEEDED = frozenset({State.HELD, State.IN_JOB, State.UNROUTED})
"""While an instance is in one of these its file in the spool must be there."""


def count(
    connection: sa.Connection,
    spooled: Iterable[ReceiptId],
    routed: frozenset[UnitKind],
    there: Callable[[str], bool] = lambda path: False,
) -> Ledger:
    """Count everything once, in one read of the database.

    spooled     every receipt that has a file in the spool, as listed before
    routed      kinds of units that some route works on: only those can still bring an instance anywhere
    there       whether a path below the spool exists now: what came after the list was made is not missing
    """
    states: Counter[State] = Counter()
    unaccounted, unlisted = [], []
    indexed: set[str] = set()
    listed = set(spooled)
    for receipt_id, state in instance_states(connection, routed):
        indexed.add(receipt_id)
        if state is None:
            unaccounted.append(receipt_id)
        else:
            states[state] += 1
        if receipt_id not in listed and state in NEEDED:
            unlisted.append(receipt_id)
    unindexed = len(listed - indexed)
    missing = [r for r, path in _paths(connection, unlisted) if path is None or not there(path)]
    owed = connection.execute(sa.select(obligation.c.state, sa.func.count()).group_by(obligation.c.state))
    return Ledger(
        states={s: states[s] for s in State}, obligations=dict(owed.all()),
        acknowledged=len(indexed) + unindexed, unindexed=unindexed, unaccounted=tuple(unaccounted),
        missing=tuple(missing),
    )  # fmt: skip


def _paths(connection: sa.Connection, ids: Sequence[ReceiptId]) -> Iterator[tuple[ReceiptId, str | None]]:
    for begin in range(0, len(ids), 500):
        some = receipt.c.id.in_(ids[begin : begin + 500])
        for receipt_id, path in connection.execute(sa.select(receipt.c.id, receipt.c.path).where(some)):
            yield ReceiptId(receipt_id), path


def instance_states(
    connection: sa.Connection, routed: frozenset[UnitKind], where: sa.ColumnElement[bool] | None = None
) -> Iterable[tuple[ReceiptId, State | None]]:
    """(receipt, its worst state), None for one that nothing accounts for."""
    chosen = sa.true() if where is None else where
    worst = _worst_obligations(connection, chosen)
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
    placed -= _forgotten(connection, chosen)
    for receipt_id, state in connection.execute(sa.select(receipt.c.id, receipt.c.state).where(chosen)):
        yield ReceiptId(receipt_id), _state(receipt_id, state, worst, still_open, placed)


def _worst_obligations(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> dict[str, State | None]:
    """receipt -> the worst state of what is owed for it; None when one of them cannot be."""
    filled = sa.select(parcel.c.delivery).distinct().subquery()
    owed = (
        sa.select(obligation.c.receipt, obligation.c.state, job.c.state, delivery.c.state, filled.c.delivery)
        .join(job, job.c.id == obligation.c.job)
        .outerjoin(delivery, sa.and_(delivery.c.job == obligation.c.job, delivery.c.destination == obligation.c.target))
        .outerjoin(filled, filled.c.delivery == delivery.c.id)
        .join(receipt, receipt.c.id == obligation.c.receipt)
        .where(chosen, obligation.c.state != "replaced")
    )
    order = {state: place for place, state in enumerate(State)}
    worst: dict[str, State | None] = {}
    for receipt_id, state, job_state, delivery_state, parcels in connection.execute(owed):
        found = _believable(state, job_state, delivery_state, filled=parcels is not None)
        known = worst.get(receipt_id, State.IGNORED)
        worst[receipt_id] = None if found is None or known is None else min(found, known, key=order.__getitem__)
    return worst


def _forgotten(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> set[str]:
    """Instances that a job of their unit should work on, and for which it owes nothing."""
    covers = sa.or_(
        sa.and_(job.c.delta.is_(False), member.c.generation <= job.c.generation),
        sa.and_(job.c.delta.is_(True), member.c.generation == job.c.generation),
    )
    rows = connection.scalars(
        sa.select(member.c.receipt)
        .join(receipt, receipt.c.id == member.c.receipt)
        .join(job, sa.and_(job.c.unit == member.c.unit, covers))
        .outerjoin(obligation, sa.and_(obligation.c.job == job.c.id, obligation.c.receipt == member.c.receipt))
        .where(chosen, receipt.c.state == "current", obligation.c.job.is_(None))
    )
    return set(rows)


def _believable(state: str, job_state: str, delivery_state: str | None, *, filled: bool) -> State | None:
    """An obligation whose job or delivery could not leave it in this state has been lost sight of."""
    if state == "in_job" and job_state not in ("queued", "running"):
        return None
    if state == "waiting" and (delivery_state != "waiting" or not filled):
        return None
    if state == "delivered" and not filled:
        return None
    return _OWED.get(state)


def _state(
    receipt_id: str, state: str, worst: Mapping[str, State | None], still_open: set[str], placed: set[str]
) -> State | None:
    if state in _DIRECT:
        return _DIRECT[state]
    if state != "current":
        return None
    if receipt_id in worst and receipt_id in placed:
        owed = worst[receipt_id]
        if owed is not None and receipt_id in still_open and owed not in (State.HELD, State.IN_JOB):
            return State.IN_JOB
        return owed
    if receipt_id in still_open and receipt_id in placed:
        return State.IN_JOB
    return State.UNROUTED if receipt_id in placed else None
