"""What a person drops: files that wait or are held, and what is owed for them. Returns counts, for the report.

An instance may be one of many behind a file, such as a volume. Dropping the instance drops what was made from
it alone; a file that others stand behind too goes on.
"""

from __future__ import annotations

import json
from collections.abc import Collection

import sqlalchemy as sa

from node.index.schema import BY_A_PERSON, delivery, job, obligation, parcel
from node.index.settle import settle

_OPEN = ("waiting", "held")


def drop_in_delivery(connection: sa.Connection, key: str, receipts: Collection[str] | None) -> int:
    """Drop the parcels made from these receipts alone; None: all. What is then without any is over.

    Returns how many. Obligations follow their files, see `settle`.
    """
    # Locked: the courier may note an answer in this moment.
    of = connection.execute(sa.select(delivery).where(delivery.c.id == key).with_for_update()).one()
    waiting = connection.execute(
        sa.select(parcel.c.number, parcel.c.sources).where(parcel.c.delivery == key, parcel.c.state.in_(_OPEN))
    ).all()
    given_up = [p.number for p in waiting if receipts is None or set(json.loads(p.sources)) <= set(receipts)]
    if not given_up:
        return 0
    connection.execute(
        sa.update(parcel)
        .where(parcel.c.delivery == key, parcel.c.number.in_(given_up))
        .values(state="dropped", reason=BY_A_PERSON)
    )
    if len(given_up) == len(waiting):
        brought = connection.scalar(
            sa.select(sa.func.count()).where(parcel.c.delivery == key, parcel.c.state == "delivered")
        )
        connection.execute(
            sa.update(delivery)
            .where(delivery.c.id == key)
            .values(state="delivered" if brought else "dropped", reason=BY_A_PERSON, next_at=None)
        )
    settle(connection, key, of.job, of.destination)
    return len(given_up)


def drop_in_job(connection: sa.Connection, job_id: str, receipts: Collection[str] | None, now: float) -> int:
    """Drop what a job is held with for these receipts; None: all. What lies in an outbox stays.

    Returns how many obligations. A held job with nothing held any more is dropped.
    """
    held = held_in_job(connection, job_id)
    found = _drop_obligations(connection, job_id, {(r, t) for r, t in held if receipts is None or r in receipts})
    left = connection.scalar(sa.select(sa.func.count()).where(obligation.c.job == job_id, obligation.c.state == "held"))
    if not left:
        connection.execute(
            sa.update(job)
            .where(job.c.id == job_id, job.c.state == "held")
            .values(state="dropped", reason=BY_A_PERSON, finished=now)
        )
    return found


def held_in_job(connection: sa.Connection, job_id: str) -> set[tuple[str, str]]:
    """(receipt, target) of what the job itself is held with, not one of its deliveries."""
    rows = connection.execute(
        sa.select(obligation.c.receipt, obligation.c.target).where(
            obligation.c.job == job_id, obligation.c.state == "held", obligation.c.in_outbox.is_(False)
        )
    )
    return {(receipt, target) for receipt, target in rows}


def _drop_obligations(connection: sa.Connection, job_id: str, owed: Collection[tuple[str, str]]) -> int:
    count = 0
    for target in {target for _, target in owed}:
        receipts = sorted(r for r, to in owed if to == target)
        for begin in range(0, len(receipts), 500):
            count += connection.execute(
                sa.update(obligation)
                .where(
                    obligation.c.job == job_id, obligation.c.target == target, obligation.c.state == "held",
                    obligation.c.receipt.in_(receipts[begin : begin + 500]),
                )
                .values(state="dropped", reason=BY_A_PERSON)
            ).rowcount  # fmt: skip
    return count
