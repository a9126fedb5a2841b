"""When a later generation of a unit works on everything again, what earlier ones still owe is its to bring.

Otherwise the older result could arrive last: a delivery that waited for a dead destination, or a job that a
person retried, would put back what the newer generation has replaced.

    held       in a job or a delivery of an earlier generation: replaced as soon as the later job is made
    waiting    in an earlier delivery: replaced when the later job has something for the same destination

A job that works on late arrivals alone takes over the instances that both have, and nothing else. What a person
gave up stays given up in every later generation.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from node.index.schema import BY_A_PERSON, delivery, job, obligation, parcel, receipt
from node.index.settle import settle


def replace_earlier(connection: sa.Connection, unit_id: int, route: str, generation: int) -> None:
    """A job that works on all members again was made: what earlier ones of its route are held with is over."""
    earlier = sa.select(job.c.id).where(job.c.unit == unit_id, job.c.route == route, job.c.generation < generation)
    _replace_held(connection, earlier, generation)


def give_way(connection: sa.Connection, job_id: str) -> int | None:
    """If a later generation works on all of this job's members again, what this one is held with is over.

    Returns that generation, else None. Called wherever something becomes held, since the later job may be there
    already, and before a person's retry.
    """
    mine = connection.execute(sa.select(job.c.unit, job.c.route, job.c.generation).where(job.c.id == job_id)).one()
    later: int | None = connection.scalar(
        sa.select(sa.func.max(job.c.generation)).where(
            job.c.unit == mine.unit, job.c.route == mine.route, job.c.generation > mine.generation,
            job.c.delta.is_(False),
        )
    )  # fmt: skip
    if later is not None:
        _replace_held(connection, sa.select(job.c.id).where(job.c.id == job_id), later)
    return later


def replace_waiting(connection: sa.Connection, job_id: str, destination: str) -> None:
    """This job has something for a destination: what earlier generations have not brought there stays here."""
    mine = connection.execute(sa.select(job).where(job.c.id == job_id)).one()
    if mine.delta:
        return
    earlier = sa.select(job.c.id).where(
        job.c.unit == mine.unit, job.c.route == mine.route, job.c.generation < mine.generation
    )
    why = _why(mine.generation)
    waiting = sa.and_(
        delivery.c.job.in_(earlier), delivery.c.destination == destination, delivery.c.state.in_(("waiting", "held"))
    )
    _drop_parcels(connection, waiting, why)
    connection.execute(sa.update(delivery).where(waiting).values(state="dropped", reason=why, next_at=None))
    connection.execute(
        sa.update(obligation)
        .where(
            obligation.c.job.in_(earlier), obligation.c.target == destination,
            obligation.c.state.in_(("waiting", "held")),
        )
        .values(state="replaced", reason=why)
    )  # fmt: skip


def replace_same(connection: sa.Connection, job_id: str, destination: str) -> None:
    """Of an instance that several generations have for a destination only the latest one's content goes there.

    For jobs that work on late arrivals alone, which take over nothing else. Called for whichever comes last: an
    earlier job may run after a later one, when a person retries it. What is on its way in this moment arrives
    before the later content, see `Courier`.
    """
    mine = connection.execute(sa.select(job).where(job.c.id == job_id)).one()
    of_destination = sa.and_(
        job.c.unit == mine.unit, job.c.route == mine.route, delivery.c.destination == destination,
        parcel.c.sop_instance != "", parcel.c.state.in_(("waiting", "held", "delivered")),
    )  # fmt: skip
    parcels = (
        sa.select(parcel.c.delivery, parcel.c.number, parcel.c.sop_instance, parcel.c.state, job.c.generation)
        .join(delivery, delivery.c.id == parcel.c.delivery)
        .join(job, job.c.id == delivery.c.job)
        .where(of_destination)
    )
    instances = (
        sa.select(parcel.c.sop_instance)
        .join(delivery, delivery.c.id == parcel.c.delivery)
        .where(delivery.c.job == job_id, delivery.c.destination == destination)
    )
    others = connection.execute(parcels.where(job.c.id != job_id, parcel.c.sop_instance.in_(instances))).all()
    if not others:
        return
    found = [*connection.execute(parcels.where(job.c.id == job_id)), *others]
    latest: dict[str, int] = {}
    for one in found:
        latest[one.sop_instance] = max(one.generation, latest.get(one.sop_instance, 0))
    older: dict[tuple[str, int], list[int]] = {}
    for one in found:
        if one.state != "delivered" and one.generation < latest[one.sop_instance]:
            older.setdefault((one.delivery, latest[one.sop_instance]), []).append(one.number)
    for (key, by), numbers in sorted(older.items()):
        _take_out(connection, key, numbers, f"generation {by} brings it with other content")


def given_up_earlier(connection: sa.Connection, unit_id: int, route: str, generation: int) -> set[tuple[str, str]]:
    """(receipt, target) of what a person dropped in an earlier generation of a unit and route."""
    rows = connection.execute(
        sa.select(obligation.c.receipt, obligation.c.target)
        .join(job, job.c.id == obligation.c.job)
        .where(
            job.c.unit == unit_id, job.c.route == route, job.c.generation < generation,
            obligation.c.state == "dropped", obligation.c.reason == BY_A_PERSON,
        )
    )  # fmt: skip
    return {(r, target) for r, target in rows}


def earlier_deliveries(connection: sa.Connection, delivery_id: str) -> list[str]:
    """Deliveries of earlier generations of the same unit and route to the same destination."""
    mine = connection.execute(
        sa.select(job.c.unit, job.c.route, job.c.generation, delivery.c.destination)
        .join(delivery, delivery.c.job == job.c.id)
        .where(delivery.c.id == delivery_id)
    ).one()
    return list(
        connection.scalars(
            sa.select(delivery.c.id)
            .join(job, job.c.id == delivery.c.job)
            .where(
                job.c.unit == mine.unit, job.c.route == mine.route, job.c.generation < mine.generation,
                delivery.c.destination == mine.destination,
            )
        )
    )  # fmt: skip


def _replace_held(connection: sa.Connection, jobs: sa.Select[tuple[str]], by: int) -> None:
    why = _why(by)
    held = sa.and_(delivery.c.job.in_(jobs), delivery.c.state == "held")
    _drop_parcels(connection, held, why)
    connection.execute(sa.update(delivery).where(held).values(state="dropped", reason=why, next_at=None))
    connection.execute(
        sa.update(obligation)
        .where(obligation.c.job.in_(jobs), obligation.c.state == "held")
        .values(state="replaced", reason=why)
    )
    connection.execute(sa.update(job).where(job.c.id.in_(jobs), job.c.state == "held").values(state="done", reason=why))


def _take_out(connection: sa.Connection, key: str, numbers: Collection[int], why: str) -> None:
    """Some parcels of a delivery are not sent any more; without any left it is over."""
    wanted = sorted(numbers)
    for begin in range(0, len(wanted), 500):
        connection.execute(
            sa.update(parcel)
            .where(
                parcel.c.delivery == key, parcel.c.number.in_(wanted[begin : begin + 500]),
                parcel.c.state.in_(("waiting", "held")),
            )
            .values(state="dropped", reason=why)
        )  # fmt: skip
    of = connection.execute(sa.select(delivery).where(delivery.c.id == key)).one()
    states = set(connection.scalars(sa.select(parcel.c.state).where(parcel.c.delivery == key)))
    if not states & {"waiting", "held"}:
        over = "delivered" if "delivered" in states else "dropped"
        connection.execute(sa.update(delivery).where(delivery.c.id == key).values(state=over, reason=why, next_at=None))
    settle(connection, key, of.job, of.destination)
    # An instance that is still current and only stands behind such a file is not in the later job.
    gone = sa.select(receipt.c.id).where(receipt.c.state != "current")
    connection.execute(
        sa.update(obligation)
        .where(
            obligation.c.job == of.job, obligation.c.target == of.destination, obligation.c.state == "dropped",
            obligation.c.reason == why, obligation.c.receipt.in_(gone),
        )
        .values(state="replaced")
    )  # fmt: skip


def _drop_parcels(connection: sa.Connection, deliveries: sa.ColumnElement[bool], why: str) -> None:
    connection.execute(
        sa.update(parcel)
        .where(
            parcel.c.delivery.in_(sa.select(delivery.c.id).where(deliveries)),
            parcel.c.state.in_(("waiting", "held")),
        )
        .values(state="dropped", reason=why)
    )


def _why(generation: int) -> str:
    return f"generation {generation} works on it again"
