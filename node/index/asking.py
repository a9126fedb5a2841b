"""Our own requests for storage commitment: what a destination is asked for, and what it answered.

    due --a--> asked    a  the destination took our N-ACTION
        asked --b--> over   b  it committed everything
        asked --c--> due    c  it did not commit everything, or did not answer in time: it is asked again

Each answer is on the disk before the destination's N-EVENT-REPORT is answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.commitment import next_question
from node.dicom.commitment import Reference, Report, Request
from node.dicom.uids import derived_uid
from node.index.database import insert
from node.index.schema import asked, asked_item, commitment
from node.model import UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One destination, asked for one commitment."""

    id: int
    commitment: int
    destination: str
    transaction: UID
    tries: int


def ask(
    connection: sa.Connection, of: int, instances: Mapping[str, Collection[Reference]], titles: Mapping[str, str],
    now: float,
) -> None:  # fmt: skip
    """Destinations are to be asked for instances that they have. What they are asked for already is left as it is.

    instances   destination -> what it has
    titles      destination -> its AE title
    """
    for destination, references in sorted(instances.items()):
        key: int = connection.execute(
            insert(connection, asked)
            .values(
                commitment=of, destination=destination, ae_title=titles[destination], state="due", next_at=now, tries=0,
                transaction=derived_uid("asked", str(of), destination, repr(now)),
            )
            .on_conflict_do_update(
                index_elements=[asked.c.commitment, asked.c.destination], set_={"ae_title": titles[destination]}
            )
            .returning(asked.c.id)
        ).scalar_one()  # fmt: skip
        known = set(connection.scalars(sa.select(asked_item.c.sop_instance).where(asked_item.c.asked == key)))
        new = {one.sop_instance: one for one in references if one.sop_instance not in known}
        if new:
            connection.execute(
                sa.insert(asked_item),
                [
                    {"asked": key, "sop_instance": uid, "sop_class": one.sop_class, "state": "waiting"}
                    for uid, one in sorted(new.items())
                ],
            )
            # Another Transaction UID: under the one before, it was asked for less.
            if known:
                _begin_again(connection, key, now)


def _begin_again(connection: sa.Connection, key: int, next_at: float) -> None:
    row = connection.execute(sa.select(asked.c.transaction, asked.c.tries).where(asked.c.id == key)).one()
    connection.execute(
        sa.update(asked)
        .where(asked.c.id == key)
        .values(
            state="due", next_at=next_at, tries=row.tries + 1, transaction=derived_uid(row.transaction, "again"),
        )
    )  # fmt: skip


def due(connection: sa.Connection, now: float) -> list[Asked]:
    """What is to be asked now, for the first time or again, of commitments that are open."""
    rows = connection.execute(
        sa.select(asked)
        .join(commitment, commitment.c.id == asked.c.commitment)
        .where(asked.c.state.in_(("due", "asked")), asked.c.next_at <= now, commitment.c.state == "open")
        .order_by(asked.c.next_at, asked.c.id)
    )
    return [
        Asked(
            id=r.id, commitment=r.commitment, destination=r.destination, transaction=UID(r.transaction), tries=r.tries
        )
        for r in rows
    ]


def next_due(connection: sa.Connection, now: float) -> float | None:
    """When the next destination is to be asked that is not to be asked now."""
    at: float | None = connection.scalar(
        sa.select(sa.func.min(asked.c.next_at))
        .join(commitment, commitment.c.id == asked.c.commitment)
        .where(asked.c.state.in_(("due", "asked")), asked.c.next_at > now, commitment.c.state == "open")
    )
    return at


def claim(connection: sa.Connection, one: Asked, process: str, live: Collection[str], now: float) -> bool:
    """Take a question into this process's hands. False: another live process has it, or it is not due any more."""
    free = sa.or_(asked.c.claimed.in_(("", process)), asked.c.claimed.not_in(sorted(live)))
    changed = connection.execute(
        sa.update(asked)
        .where(asked.c.id == one.id, asked.c.state.in_(("due", "asked")), asked.c.next_at <= now, free)
        .values(claimed=process)
    )
    return changed.rowcount > 0


def request_of(connection: sa.Connection, one: Asked) -> Request | None:
    """What the destination has not committed yet; None when there is nothing left."""
    rows = connection.execute(
        sa.select(asked_item.c.sop_class, asked_item.c.sop_instance)
        .where(asked_item.c.asked == one.id, asked_item.c.state != "committed")
        .order_by(asked_item.c.sop_instance)
    )
    references = tuple(Reference(UID(sop_class), UID(instance)) for sop_class, instance in rows)
    return Request(transaction=one.transaction, references=references) if references else None


def was_asked(connection: sa.Connection, one: Asked, process: str, now: float) -> None:
    """The destination took the request; it is asked again when nothing was heard until then."""
    # Where its answer was quicker than this note, the state is another one already.
    mine = sa.and_(asked.c.id == one.id, asked.c.claimed == process)
    same = sa.and_(mine, asked.c.transaction == one.transaction, asked.c.state == "due")
    connection.execute(sa.update(asked).where(same).values(state="asked"))
    still = sa.and_(mine, asked.c.transaction == one.transaction, asked.c.state == "asked")
    connection.execute(
        sa.update(asked)
        .where(still)
        .values(next_at=now + next_question(one.tries), tries=asked.c.tries + 1, reason="it has not answered yet")
    )
    connection.execute(sa.update(asked).where(mine).values(claimed=""))


def was_not_asked(connection: sa.Connection, one: Asked, process: str, reason: str, next_at: float) -> None:
    mine = sa.and_(asked.c.id == one.id, asked.c.claimed == process)
    connection.execute(
        sa.update(asked).where(mine).values(claimed="", reason=reason, next_at=next_at, tries=asked.c.tries + 1)
    )


def answer(connection: sa.Connection, report: Report, ae_title: str, now: float) -> int | None:
    """Note what a destination says. Returns the commitment it is about; None for a transaction that is none of
    ours, or is asked of somebody else."""
    row = connection.execute(
        sa.select(asked.c.id, asked.c.commitment, asked.c.tries)
        .where(asked.c.transaction == report.transaction, asked.c.ae_title == ae_title)
        .with_for_update()
    ).first()
    if row is None:
        return None
    _note(connection, row.id, [one.sop_instance for one in report.committed], "committed", None)
    reasons: dict[int, list[str]] = {}
    for one, reason in report.failed:
        reasons.setdefault(reason, []).append(one.sop_instance)
    for reason, instances in reasons.items():
        _note(connection, row.id, instances, "failed", reason)
    left = connection.scalar(
        sa.select(sa.func.count()).where(asked_item.c.asked == row.id, asked_item.c.state != "committed")
    )
    if left:
        _begin_again(connection, row.id, now + next_question(row.tries))
        why = f"it has not committed {left} of them"
        connection.execute(sa.update(asked).where(asked.c.id == row.id).values(reason=why))
    else:
        connection.execute(sa.update(asked).where(asked.c.id == row.id).values(state="over", reason=""))
    return int(row.commitment)


def _note(connection: sa.Connection, key: int, instances: Sequence[str], state: str, reason: int | None) -> None:
    for begin in range(0, len(instances), 500):
        connection.execute(
            sa.update(asked_item)
            .where(
                asked_item.c.asked == key, asked_item.c.state != "committed",
                asked_item.c.sop_instance.in_(instances[begin : begin + 500]),
            )
            .values(state=state, reason=reason)
        )  # fmt: skip
