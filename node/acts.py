"""What an operator does: retry, release, drop. Each is one durable transaction with a line of history.

retry     what failed is tried again: held jobs and deliveries, and deliveries that wait for their time.
release   a person has decided that what is held may go on as it is: instances held at receipt, late arrivals,
          units that wait for the decision about a held member, deliveries.
drop      a person gives it up: it is over, and the ledger says who is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.engine.engine import Engine
from node.engine.runs import Task
from node.index import Database, jobs
from node.index.intake import join_units
from node.index.schema import delivery, job, obligation, parcel, receipt
from node.model import UID, Identity, ReceiptId, UnitKind


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did, one sentence each."""

    lines: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Works beside a running node and without one: the engine takes jobs in the same transaction."""

    database: Database
    engine: Engine
    kinds: frozenset[UnitKind]
    concurrent: Callable[[str], int | None]
    """Destination name -> deliveries side by side; None for one that rules.yaml does not have."""

    def retry(self, subject: str) -> Done:
        """`subject`: a study, series, instance, job or destination; `all` for everything held."""
        with self.database.durable.begin() as connection:
            lines = [self._requeue_job(connection, j, "retry") for j in self._jobs(connection, subject, ("held",))]
            for key, state in self._deliveries(connection, subject, ("held", "waiting")):
                lines.append(self._send_again(connection, key, state, "retry"))
        return Done(tuple(line for line in lines if line))

    def release(self, subject: str) -> Done:
        with self.database.durable.begin() as connection:
            lines = [self._admit(connection, r) for r in self._receipts(connection, subject, ("held",))]
            for job_id in self._jobs(connection, subject, ("held",)):
                lines.append(self._requeue_job(connection, job_id, "release", proceed=True))
            for key, state in self._deliveries(connection, subject, ("held",)):
                lines.append(self._send_again(connection, key, state, "release"))
        return Done(tuple(line for line in lines if line))

    def drop(self, subject: str) -> Done:
        with self.database.durable.begin() as connection:
            now = self.database.now(connection)
            lines = []
            for receipt_id in self._receipts(connection, subject, ("held", "unjudged")):
                connection.execute(
                    sa.update(receipt).where(receipt.c.id == receipt_id).values(state="dropped", reason="by a person")
                )
                jobs.remember(connection, receipt_id, "act", "dropped by a person", now)
                lines.append(f"instance {receipt_id} is dropped")
            for job_id in self._jobs(connection, subject, ("held",)):
                connection.execute(sa.update(job).where(job.c.id == job_id).values(state="dropped", finished=now))
                lines.append(f"job {job_id} is dropped")
            for key, _ in self._deliveries(connection, subject, ("held", "waiting")):
                self._drop_delivery(connection, key)
                lines.append(f"delivery {key} is dropped")
            lines += self._drop_obligations(connection, subject, now)
        return Done(tuple(lines))

    # ---- which ----------------------------------------------------------------------------------------

    def _of_subject(self, subject: str) -> sa.ColumnElement[bool]:
        """Jobs that a subject names."""
        if subject == "all":
            return sa.true()
        named = sa.select(receipt.c.id).where(
            sa.or_(
                receipt.c.study == subject, receipt.c.series == subject, receipt.c.sop_instance == subject,
                receipt.c.id == subject,
            )
        )  # fmt: skip
        of_instance = sa.select(obligation.c.job).where(obligation.c.receipt.in_(named))
        return sa.or_(job.c.id == subject, job.c.route == subject, job.c.id.in_(of_instance))

    def _jobs(self, connection: sa.Connection, subject: str, states: Sequence[str]) -> list[str]:
        """Jobs in these states, and with `held` those that ended and still owe what was held in them."""
        owing = sa.select(obligation.c.job).where(obligation.c.state == "held")
        undelivered = sa.select(delivery.c.job).where(delivery.c.state == "held")
        chosen = sa.or_(
            job.c.state.in_(states),
            sa.and_(job.c.state == "done", job.c.id.in_(owing), job.c.id.not_in(undelivered)),
        )
        return list(
            connection.scalars(sa.select(job.c.id).where(self._of_subject(subject), chosen).order_by(job.c.id))
        )

    def _deliveries(self, connection: sa.Connection, subject: str, states: Sequence[str]) -> list[tuple[str, str]]:
        rows = connection.execute(
            sa.select(delivery.c.id, delivery.c.state)
            .join(job, job.c.id == delivery.c.job)
            .where(
                sa.or_(self._of_subject(subject), delivery.c.destination == subject, delivery.c.id == subject),
                delivery.c.state.in_(states),
            )
            .order_by(delivery.c.id)
        )
        return [(r[0], r[1]) for r in rows]

    def _receipts(self, connection: sa.Connection, subject: str, states: Sequence[str]) -> list[str]:
        named = sa.or_(
            receipt.c.study == subject, receipt.c.series == subject, receipt.c.sop_instance == subject,
            receipt.c.id == subject, sa.true() if subject == "all" else sa.false(),
        )  # fmt: skip
        return list(connection.scalars(sa.select(receipt.c.id).where(named, receipt.c.state.in_(states))))

    # ---- how ------------------------------------------------------------------------------------------

    def _requeue_job(self, connection: sa.Connection, job_id: str, act: str, *, proceed: bool = False) -> str:
        row = connection.execute(sa.select(job).where(job.c.id == job_id)).one()
        plan = json.loads(row.plan)
        if proceed and row.state == "held" and plan["partial"] == "hold":
            plan["partial"] = "proceed"
        tries = jobs.requeue(connection, job_id, json.dumps(plan))
        self.engine.enqueue_job(connection, job_id, len(plan["steps"]), tries=tries)
        jobs.remember(connection, job_id, "act", f"{act} by a person", self.database.now(connection))
        return f"job {job_id} runs again"

    def _send_again(self, connection: sa.Connection, key: str, state: str, act: str) -> str:
        row = connection.execute(sa.select(delivery).where(delivery.c.id == key)).one()
        if state == "waiting":
            hurried = self.engine.hurry(Task.DELIVERY, key)
            return f"delivery {key} is tried now" if hurried else ""
        concurrent = self.concurrent(row.destination)
        if concurrent is None:
            return f"delivery {key} stays held: destination {row.destination} is not in rules.yaml"
        connection.execute(
            sa.update(parcel)
            .where(parcel.c.delivery == key, parcel.c.state == "held")
            .values(state="waiting", reason="")
        )
        connection.execute(
            sa.update(delivery)
            .where(delivery.c.id == key)
            .values(state="waiting", reason="", tries=row.tries + 1, failures=0, failing_since=None)
        )
        connection.execute(
            sa.update(obligation)
            .where(
                obligation.c.job == row.job, obligation.c.target == row.destination, obligation.c.state == "held"
            )
            .values(state="waiting", reason="")
        )
        self.engine.enqueue_delivery(connection, key, row.destination, concurrent, tries=row.tries + 1)
        jobs.remember(connection, row.job, "act", f"{act} of {row.destination}", self.database.now(connection))
        return f"delivery {key} is sent again"

    def _admit(self, connection: sa.Connection, receipt_id: str) -> str:
        """An instance that was held when it came goes on as if it had just come."""
        row = connection.execute(sa.select(receipt).where(receipt.c.id == receipt_id)).one()
        if not row.sop_instance:
            return f"instance {receipt_id} stays held: it cannot be told what it is"
        connection.execute(
            sa.update(receipt)
            .where(
                receipt.c.called_ae == row.called_ae, receipt.c.sop_instance == row.sop_instance,
                receipt.c.state == "current",
            )
            .values(state="superseded", reason="another one was released", against=receipt_id)
        )  # fmt: skip
        connection.execute(
            sa.update(receipt).where(receipt.c.id == receipt_id).values(state="current", reason="released by a person")
        )
        now = self.database.now(connection)
        identity = Identity(
            sop_class=UID(row.sop_class), sop_instance=UID(row.sop_instance), study=UID(row.study),
            series=UID(row.series), transfer_syntax=UID(row.transfer_syntax),
        )  # fmt: skip
        join_units(connection, [(ReceiptId(receipt_id), row.called_ae, identity)], self.kinds, now)
        jobs.remember(connection, receipt_id, "act", "released by a person", now)
        return f"instance {receipt_id} goes on"

    def _drop_delivery(self, connection: sa.Connection, key: str) -> None:
        row = connection.execute(sa.select(delivery).where(delivery.c.id == key)).one()
        connection.execute(
            sa.update(parcel)
            .where(parcel.c.delivery == key, parcel.c.state.in_(("waiting", "held")))
            .values(state="dropped", reason="by a person")
        )
        connection.execute(
            sa.update(delivery).where(delivery.c.id == key).values(state="dropped", reason="by a person")
        )
        connection.execute(
            sa.update(obligation)
            .where(
                obligation.c.job == row.job, obligation.c.target == row.destination,
                obligation.c.state.in_(("waiting", "held")),
            )
            .values(state="dropped", reason="by a person")
        )  # fmt: skip
        self.engine.cancel(Task.DELIVERY, key)

    def _drop_obligations(self, connection: sa.Connection, subject: str, now: float) -> list[str]:
        """What a job that went on still owes for members that were held in it."""
        ids = list(connection.scalars(sa.select(job.c.id).where(self._of_subject(subject))))
        found = connection.execute(
            sa.update(obligation)
            .where(obligation.c.job.in_(ids), obligation.c.state == "held")
            .values(state="dropped", reason="by a person")
        ).rowcount
        for job_id in ids if found else []:
            jobs.remember(connection, job_id, "act", "what it held was dropped by a person", now)
        return [f"{found} obligations are dropped"] if found else []


