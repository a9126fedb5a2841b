"""When a later generation of a unit works on everything again, what earlier ones still owe is its to bring.

Otherwise the older result could arrive last: a delivery that waited for a dead destination, or a job that a
person retried, would put back what the newer generation has replaced.

    held       in a job or a delivery of an earlier generation: replaced as soon as the later job is made
    waiting    in an earlier delivery: replaced when the later job has something for the same destination
"""

from __future__ import annotations

import sqlalchemy as sa

from node.index.schema import delivery, job, obligation, parcel


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
