"""Where one instance stands, from what the rows say of it: one query, and a pure reading of its result.

The state of an instance is its worst obligation's; an instance that no obligation speaks for is in_job while
a unit of it is open or being compared, and unrouted when all are complete and no job was made that should have
it. None: it fits nowhere, which is a fault of the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.index.schema import delivery, job, member, obligation, parcel, receipt, unit
from node.model import ReceiptId, State, UnitKind

NEEDED = frozenset({State.HELD, State.IN_JOB, State.UNROUTED})
"""While an instance is in one of these its file in the spool must be there."""

LIVE = ("in_job", "waiting", "held")
"""States of an obligation that is not over."""

_DIRECT = {
    "held": State.HELD,
    "duplicate": State.DUPLICATE,
    "superseded": State.SUPERSEDED,
    "dropped": State.DROPPED,
    "unjudged": State.IN_JOB,
}
_ORDER = tuple(State)
_OWED = (State.HELD, State.IN_JOB, State.WAITING, State.DELIVERED, State.PRODUCED, State.DROPPED, State.IGNORED)
_IMPOSSIBLE = -1
"""The rank of an obligation whose job or delivery could not leave it in its state: it has been lost sight of."""


@dataclass(frozen=True, slots=True)
class Standing:
    receipt: ReceiptId
    path: str | None
    """Below the spool; None once the row forgot its file."""
    state: State | None
    sop_instance: str

    @property
    def needed(self) -> bool:
        return self.state in NEEDED


def standings(
    connection: sa.Connection, routed: frozenset[UnitKind], where: sa.ColumnElement[bool]
) -> Iterator[Standing]:
    """Of the receipts that `where` chooses, in order of receipt.

    routed      kinds of units that some route works on: only those can still bring an instance anywhere
    """
    facts = connection.execute(_facts(routed).where(where).order_by(receipt.c.id))
    for one, path, sop_instance, row_state, worst, still_open, placed in facts:
        state = _read(row_state, worst, still_open=bool(still_open), placed=bool(placed))
        yield Standing(ReceiptId(one), path, state, sop_instance)


def page(connection: sa.Connection, routed: frozenset[UnitKind], after: str, size: int) -> list[Standing]:
    """The next receipts behind `after`, at most `size`; none at the end."""
    # The bound first, and then a range: the planner cannot take the page for more rows than it has.
    last = connection.scalar(
        sa.select(receipt.c.id).where(receipt.c.id > after).order_by(receipt.c.id).offset(size - 1).limit(1)
    )
    chosen = receipt.c.id > after if last is None else sa.and_(receipt.c.id > after, receipt.c.id <= last)
    return list(standings(connection, routed, chosen))


def of_receipts(
    connection: sa.Connection, routed: frozenset[UnitKind], receipts: Iterable[str]
) -> dict[ReceiptId, Standing]:
    """Of these receipts; one that has no row is left out."""
    wanted = list(receipts)
    found: dict[ReceiptId, Standing] = {}
    for begin in range(0, len(wanted), 500):
        chosen = receipt.c.id.in_(wanted[begin : begin + 500])
        found.update((one.receipt, one) for one in standings(connection, routed, chosen))
    return found


def live(connection: sa.Connection, routed: frozenset[UnitKind], most: int) -> list[Standing] | None:
    """Of all receipts for which something is not over; None when they are more than `most`."""
    kinds = [kind.value for kind in routed]
    of_units = sa.select(member.c.receipt).join(unit, unit.c.id == member.c.unit)
    ids = sa.union(
        sa.select(obligation.c.receipt).where(obligation.c.state.in_(LIVE)).limit(most + 1).subquery().select(),
        sa.select(receipt.c.id).where(receipt.c.state.in_(("held", "unjudged"))).limit(most + 1).subquery().select(),
        of_units.where(unit.c.state == "open", unit.c.kind.in_(kinds)).limit(most + 1).subquery().select(),
    ).subquery()
    if (connection.scalar(sa.select(sa.func.count()).select_from(ids)) or 0) > most:
        return None
    return list(standings(connection, routed, receipt.c.id.in_(sa.select(ids.c[0]))))


def _facts(routed: frozenset[UnitKind]) -> sa.Select[tuple[Any, ...]]:
    """(receipt, path, SOP instance, state of the row, rank of its worst obligation, in an open unit, in its place).

    Everything is looked up by the receipt, in indexes: what a page costs does not grow with the tables.
    """
    here = member.c.receipt == receipt.c.id
    still_open = (
        sa.exists()
        .where(here, unit.c.id == member.c.unit, unit.c.state == "open", unit.c.kind.in_([k.value for k in routed]))
        .correlate(receipt)
    )
    placed = sa.and_(sa.exists().where(here).correlate(receipt), sa.not_(_forgotten()))
    current = receipt.c.state == "current"
    return sa.select(
        receipt.c.id, receipt.c.path, receipt.c.sop_instance, receipt.c.state,
        sa.case((current, _worst())), sa.case((current, still_open)), sa.case((current, placed)),
    )  # fmt: skip


def _worst() -> sa.ScalarSelect[int]:
    filled = sa.exists().where(parcel.c.delivery == delivery.c.id).correlate(delivery)
    impossible = sa.or_(
        sa.and_(obligation.c.state == "in_job", job.c.state.not_in(("queued", "running"))),
        sa.and_(
            obligation.c.state == "waiting",
            sa.or_(delivery.c.state.is_(None), delivery.c.state != "waiting", sa.not_(filled)),
        ),
        sa.and_(obligation.c.state == "delivered", sa.not_(filled)),
    )
    ranks = [(obligation.c.state == state.value, _ORDER.index(state)) for state in _OWED]
    rank = sa.case((impossible, _IMPOSSIBLE), *ranks, else_=_IMPOSSIBLE)
    return (
        sa.select(sa.func.min(rank))
        .select_from(obligation)
        .join(job, job.c.id == obligation.c.job)
        .outerjoin(delivery, sa.and_(delivery.c.job == obligation.c.job, delivery.c.destination == obligation.c.target))
        .where(obligation.c.receipt == receipt.c.id, obligation.c.state != "replaced")
        .correlate(receipt)
        .scalar_subquery()
    )


def _forgotten() -> sa.Exists:
    """A job of one of its units should work on it, and owes nothing for it."""
    covers = sa.or_(
        sa.and_(job.c.delta.is_(False), member.c.generation <= job.c.generation),
        sa.and_(job.c.delta.is_(True), member.c.generation == job.c.generation),
    )
    owed = sa.exists().where(obligation.c.job == job.c.id, obligation.c.receipt == receipt.c.id)
    return (
        sa.exists()
        .where(
            member.c.receipt == receipt.c.id, job.c.unit == member.c.unit, covers,
            sa.not_(owed.correlate(job, receipt)),
        )
        .correlate(receipt)
    )  # fmt: skip


def _read(row_state: str, worst: int | None, *, still_open: bool, placed: bool) -> State | None:
    if row_state in _DIRECT:
        return _DIRECT[row_state]
    if row_state != "current" or not placed or worst == _IMPOSSIBLE:
        return None
    if worst is None:
        return State.IN_JOB if still_open else State.UNROUTED
    owed = _ORDER[worst]
    return State.IN_JOB if still_open and owed not in (State.HELD, State.IN_JOB) else owed
