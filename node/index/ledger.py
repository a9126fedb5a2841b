"""Where every acknowledged instance is. Counted from the rows, and held against what lies in the spool.

An instance that fits nowhere is *unaccounted*, one whose file is gone while it is still needed is *missing*:
then the ledger does not balance, and that is a fault of the node or of its disk, never of the operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import sqlalchemy as sa

from node.index.schema import obligation, receipt
from node.index.standing import Standing, of_receipts, page, standings
from node.model import ReceiptId, State, UnitKind

PAGE = 10_000
"""Receipts read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One count of everything."""

    states: Mapping[State, int]
    """Instances by their worst state."""
    obligations: Mapping[str, int]
    """Obligations by state."""
    acknowledged: int
    """Receipts: those that have a row, and those in the spool that have none yet."""
    without_row: tuple[ReceiptId, ...]
    """In the spool and not in the index."""
    unaccounted: tuple[ReceiptId, ...]
    """Have a row and fit nowhere."""
    missing: tuple[ReceiptId, ...]
    """Not over, and their file is not in the spool."""

    @property
    def unindexed(self) -> int:
        return len(self.without_row)

    @property
    def balanced(self) -> bool:
        return sum(self.states.values()) == self.acknowledged and not self.unaccounted and not self.missing


def count(
    connection: sa.Connection,
    spooled: Iterable[ReceiptId],
    routed: frozenset[UnitKind],
    there: Callable[[str], bool] = lambda path: True,
) -> Ledger:
    """Count everything once, in one read of the database and in bounded memory.

    spooled     every receipt that has a file in the spool, sorted in stretches; read before the rows are, so
                what comes meanwhile has a row and was not listed, which is no fault
    routed      kinds of units that some route works on: only those can still bring an instance anywhere
    there       whether a path below the spool exists now
    """
    strangers = [one for some in in_groups(spooled) for one in sorted(without_row(connection, some))]
    states: Counter[State] = Counter()
    unaccounted: list[ReceiptId] = []
    missing: list[ReceiptId] = []
    indexed = 0
    for some in pages(connection, routed):
        indexed += len(some)
        states.update(one.state for one in some if one.state is not None)
        unaccounted += [one.receipt for one in some if one.state is None]
        missing += [one.receipt for one in some if is_missing(one, there)]
    owed = connection.execute(sa.select(obligation.c.state, sa.func.count()).group_by(obligation.c.state))
    return Ledger(
        states={s: states[s] for s in State}, obligations=dict(owed.all()), acknowledged=indexed + len(strangers),
        without_row=tuple(strangers), unaccounted=tuple(unaccounted), missing=tuple(missing),
    )  # fmt: skip


def look_again(
    connection: sa.Connection, before: Ledger, routed: frozenset[UnitKind], there: Callable[[str], bool]
) -> Ledger:
    """The same count, with what did not fit looked up anew: an instance gets its row a moment after its file, and
    retention takes them in the other order. Not counted again as a whole, which takes seconds for a million."""
    strangers = without_row(connection, list(before.without_row))
    arrived = of_receipts(connection, routed, (r for r in before.without_row if r not in strangers))
    states = Counter(before.states)
    states.update(one.state for one in arrived.values() if one.state is not None)
    again = of_receipts(connection, routed, before.missing)
    return replace(
        before, states={s: states[s] for s in State}, without_row=tuple(sorted(strangers)),
        unaccounted=(*before.unaccounted, *(r for r, one in arrived.items() if one.state is None)),
        missing=tuple(r for r, one in again.items() if is_missing(one, there)),
    )  # fmt: skip


def is_missing(one: Standing, there: Callable[[str], bool]) -> bool:
    return one.needed and (one.path is None or not there(one.path))


def pages(connection: sa.Connection, routed: frozenset[UnitKind], size: int = PAGE) -> Iterator[list[Standing]]:
    """All receipts, in order."""
    after = ""
    while some := page(connection, routed, after, size):
        yield some
        after = some[-1].receipt


def in_groups(ids: Iterable[ReceiptId], size: int = PAGE) -> Iterator[list[ReceiptId]]:
    following = iter(ids)
    while some := list(islice(following, size)):
        yield some


def without_row(connection: sa.Connection, ids: list[ReceiptId]) -> set[ReceiptId]:
    """Which of these receipts have no row.

    Ids that lie close together are told by one look along the key instead of one for each.
    """
    if not ids:
        return set()
    within = receipt.c.id.between(min(ids), max(ids))
    near = connection.scalar(
        sa.select(sa.func.count()).select_from(sa.select(receipt.c.id).where(within).limit(4 * len(ids) + 1).subquery())
    )
    if (near or 0) <= 4 * len(ids):
        return set(ids).difference(connection.scalars(sa.select(receipt.c.id).where(within)))
    left = set(ids)
    for begin in range(0, len(ids), 500):
        chosen = receipt.c.id.in_(ids[begin : begin + 500])
        left.difference_update(connection.scalars(sa.select(receipt.c.id).where(chosen)))
    return left


def instance_states(
    connection: sa.Connection, routed: frozenset[UnitKind], where: sa.ColumnElement[bool] | None = None
) -> Iterator[tuple[ReceiptId, State | None]]:
    """(receipt, its worst state), None for one that nothing accounts for."""
    for one in standings(connection, routed, sa.true() if where is None else where):
        yield one.receipt, one.state
