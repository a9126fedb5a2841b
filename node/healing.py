"""Work that the rows say is under way and that the engine does not have: it is put in again.

Rows and engine change in one transaction, so this finds nothing after a crash. It is for what breaks that:
an engine's tables that were emptied or restored by hand, a restore that was cut off before it ended.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import sqlalchemy as sa

from node.engine.engine import Engine
from node.engine.runs import Task
from node.index import Database
from node.index.schema import delivery, job

log = logging.getLogger("node")


def heal(database: Database, engine: Engine, concurrent: Callable[[str], int | None]) -> int:
    """At start. Returns how many jobs and deliveries were put in again.

    concurrent   destination name -> deliveries side by side; None for one that rules.yaml does not have
    """
    with database.reader.connect() as connection:
        jobs = connection.execute(
            sa.select(job.c.id, job.c.tries, job.c.plan).where(job.c.state.in_(("queued", "running")))
        ).all()
        deliveries = connection.execute(
            sa.select(delivery.c.id, delivery.c.tries, delivery.c.destination).where(delivery.c.state == "waiting")
        ).all()
    healed = 0
    for row in jobs:
        if not engine.has(Task.JOB, row.id):
            with database.durable.begin() as connection:
                if _claimed(connection, job, row.id, row.tries):
                    steps = len(json.loads(row.plan)["steps"])
                    healed += engine.enqueue_job(connection, row.id, steps, tries=row.tries + 1)
    for row in deliveries:
        if not engine.has(Task.DELIVERY, row.id):
            with database.durable.begin() as connection:
                if _claimed(connection, delivery, row.id, row.tries):
                    # One whose destination is gone is put in all the same: the courier holds it, with the reason.
                    limit = concurrent(row.destination) or 1
                    healed += engine.enqueue_delivery(connection, row.id, row.destination, limit, tries=row.tries + 1)
    if healed:
        log.warning("%d jobs and deliveries were not in the engine any more and are put in again", healed)
    return healed


def _claimed(connection: sa.Connection, table: sa.Table, key: str, tries: int) -> bool:
    """Count one more try, unless another process that starts now has done so."""
    found = connection.execute(
        sa.update(table).where(table.c.id == key, table.c.tries == tries).values(tries=tries + 1)
    )
    return bool(found.rowcount)
