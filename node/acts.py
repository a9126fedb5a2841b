"""What an operator does: retry, release, drop. Each is one durable transaction with a line of history.

retry     what failed is tried again: held jobs and deliveries, and deliveries that wait for their time.
release   a person has decided that what is held may go on as it is: instances held at receipt, late arrivals,
          units that wait for the decision about a held member, deliveries. What no route took is held against
          the routes of today, when it is named. What the second reader holds goes on with a reason alone, which
          stands in the certificate, and with what it found then, no more.
drop      a person gives it up: it is over, and the ledger says who is missing. What was committed because it is in
          the spool (`commitment: stored`) may go then, too; its sender was told that it is kept.

A job that never began waits for a decision, and to try again decides nothing: only `release` begins it. The
guard at the exit is no one's to release: a delivery that its destination does not accept is held again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.certificate.statement import SECOND_READER
from node.engine.engine import Engine
from node.engine.runs import Task
from node.errors import ConfigurationError
from node.index import Database, jobs
from node.index.commitments import give_up
from node.index.generations import give_way
from node.index.giving_up import drop_in_delivery, drop_in_job, held_in_job
from node.index.intake import join_again
from node.index.schema import BY_A_PERSON, delivery, job, member, obligation, parcel, receipt, unit
from node.index.settle import settle
from node.model import UnitKind
from node.outbox import BY_ITS_JOB

log = logging.getLogger("node.acts")

_LONGEST_REASON = 200
Found = tuple[str, str]
"""(id, state)"""


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did, one sentence each."""

    lines: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Works beside a running node and without one: the engine takes jobs in the same transaction.

    A subject is a study, series or instance UID, a receipt, a job, route, delivery or destination, or `all`.
    """

    database: Database
    engine: Engine
    kinds: frozenset[UnitKind]
    concurrent: Callable[[str], int | None]
    """Destination name -> deliveries side by side; None for one that rules.yaml does not have."""

    def retry(self, subject: str) -> Done:
        with self.database.durable.begin() as connection:
            lines = [self._run_again(connection, j, "retry") for j in self._held_jobs(connection, subject)]
            deliveries = self._deliveries(connection, subject, ("held", "waiting"))
            lines += [self._send_again(connection, key, "retry") for key, state in deliveries if state == "held"]
        # After the commit: the engine writes with a connection of its own, which SQLite would keep waiting.
        waiting = [key for key, state in deliveries if state == "waiting"]
        lines += [f"delivery {key} is tried now" for key in waiting if self.engine.hurry(Task.DELIVERY, key)]
        return Done(tuple(lines))

    def release(self, subject: str, because: str = "", who: str = "a person") -> Done:
        """
        because   why what the second reader found may go on: at most 200 printable characters, nothing of a patient
        who       decides it; for the history

        Raises ConfigurationError for another `because`.
        """
        if len(because) > _LONGEST_REASON or not because.isprintable() or because != because.strip():
            raise ConfigurationError(f"a reason is at most {_LONGEST_REASON} printable characters")
        with self.database.durable.begin() as connection:
            lines = [self._admit(connection, r) for r in self._receipts(connection, subject, ("held",))]
            lines += [
                self._pass(connection, j, because if subject != "all" else "", who)
                if self._is_read(connection, j)
                else self._run_again(connection, j, "release")
                for j in self._held_jobs(connection, subject)
            ]
            lines += [
                self._send_again(connection, key, "release")
                for key, _ in self._deliveries(connection, subject, ("held",))
            ]
            if subject != "all":
                lines += self._match_again(connection, subject)
        return Done(tuple(lines))

    def _match_again(self, connection: sa.Connection, subject: str) -> list[str]:
        """Units that no route took are held against the routes of today, in a generation of their own."""
        of_subject = (
            sa.select(member.c.unit)
            .join(receipt, receipt.c.id == member.c.receipt)
            .where(
                _names(subject), receipt.c.state == "current", receipt.c.path.is_not(None),
                receipt.c.id.not_in(sa.select(obligation.c.receipt)),
            )
        )  # fmt: skip
        found = connection.execute(
            sa.select(unit.c.id, unit.c.kind, unit.c.uid).where(
                unit.c.state == "complete", unit.c.id.in_(of_subject), unit.c.id.not_in(sa.select(job.c.unit))
            )
        ).all()
        now = self.database.now(connection)
        for row in found:
            count = sa.select(sa.func.count()).where(member.c.unit == row.id).scalar_subquery()
            connection.execute(
                sa.update(unit)
                .where(unit.c.id == row.id)
                .values(state="open", generation=unit.c.generation + 1, count=count, first_at=now, last_at=now)
            )
        return [f"{row.kind} {row.uid} is matched again, after its quiet time" for row in found]

    def drop(self, subject: str) -> Done:
        """A UID or receipt drops what is held or waits for these instances, and no others that share a job or a
        delivery with them."""
        with self.database.durable.begin() as connection:
            undecided = self._receipts(connection, subject, ("held", "unjudged"))
            lines = [self._drop_receipt(connection, r) for r in undecided]
            named = _names(subject)
            receipts = (
                None if subject == "all" else set(connection.scalars(sa.select(receipt.c.id).where(named))) or None
            )
            if receipts and (kept := give_up(connection, receipts)):
                lines.append(f"{kept} instances that were committed from the spool may go")
            dropped = []
            for key, _ in self._deliveries(connection, subject, ("held", "waiting")):
                if files := drop_in_delivery(connection, key, receipts):
                    dropped.append(key)
                    lines.append(f"delivery {key}: {files} files are dropped")
            owing = sa.select(obligation.c.job).where(obligation.c.state == "held")
            holds = sa.and_(self._of(subject), sa.or_(job.c.state == "held", job.c.id.in_(owing)))
            for job_id in connection.scalars(sa.select(job.c.id).where(holds).order_by(job.c.id)).all():
                now = self.database.now(connection)
                if owed := drop_in_job(connection, job_id, receipts, now):
                    jobs.remember(connection, job_id, "act", f"{owed} held obligations dropped by a person", now)
                    lines.append(f"job {job_id}: {owed} obligations are dropped")
            over = self._over(connection, dropped)
        for key in over:
            self.engine.cancel(Task.DELIVERY, key)
        return Done(tuple(lines))

    # ---- which ----------------------------------------------------------------------------------------

    def _of(self, subject: str) -> sa.ColumnElement[bool]:
        """Jobs that a subject names, itself or by an instance."""
        if subject == "all":
            return sa.true()
        of_instance = sa.select(obligation.c.job).where(
            obligation.c.receipt.in_(sa.select(receipt.c.id).where(_names(subject)))
        )
        return sa.or_(job.c.id == subject, job.c.route == subject, job.c.id.in_(of_instance))

    def _held_jobs(self, connection: sa.Connection, subject: str) -> list[str]:
        """Held ones, and those that went on without members that were held in them. What is held in an outbox is
        its delivery's to send again."""
        owing = sa.select(obligation.c.job).where(obligation.c.state == "held")
        chosen = sa.or_(job.c.state == "held", sa.and_(job.c.state == "done", job.c.id.in_(owing)))
        found = connection.execute(
            sa.select(job.c.id, job.c.state).where(self._of(subject), chosen).order_by(job.c.id)
        ).all()
        return [r.id for r in found if r.state == "held" or held_in_job(connection, r.id)]

    def _deliveries(self, connection: sa.Connection, subject: str, states: Sequence[str]) -> list[Found]:
        rows = connection.execute(
            sa.select(delivery.c.id, delivery.c.state)
            .join(job, job.c.id == delivery.c.job)
            .where(
                sa.or_(self._of(subject), delivery.c.destination == subject, delivery.c.id == subject),
                delivery.c.state.in_(states),
            )
            .order_by(delivery.c.id)
        )
        return [(r[0], r[1]) for r in rows]

    def _receipts(self, connection: sa.Connection, subject: str, states: Sequence[str]) -> list[str]:
        rows = connection.scalars(
            sa.select(receipt.c.id).where(_names(subject), receipt.c.state.in_(states)).order_by(receipt.c.id)
        )
        return list(rows)

    def _over(self, connection: sa.Connection, keys: Sequence[str]) -> list[str]:
        return list(
            connection.scalars(sa.select(delivery.c.id).where(delivery.c.id.in_(keys), delivery.c.state != "waiting"))
        )

    # ---- how ------------------------------------------------------------------------------------------

    def _run_again(self, connection: sa.Connection, job_id: str, act: str) -> str:
        row = connection.execute(sa.select(job).where(job.c.id == job_id)).one()
        later = give_way(connection, job_id)
        if later is not None:
            return f"job {job_id} is not run: generation {later} works on all of it again"
        if act == "retry" and row.tries == 0:
            return f"job {job_id} waits for a decision: release it or drop it"
        plan = json.loads(row.plan)
        if act == "release" and row.state == "held" and plan["partial"] == "hold":
            plan["partial"] = "proceed"
        tries = jobs.requeue(connection, job_id, json.dumps(plan))
        self.engine.enqueue_job(connection, job_id, len(plan["steps"]), tries=tries)
        jobs.remember(connection, job_id, "act", f"{act} by a person", self.database.now(connection))
        return f"job {job_id} runs again" if row.tries else f"job {job_id} runs"

    def _is_read(self, connection: sa.Connection, job_id: str) -> bool:
        """Whether the second reader holds a job."""
        reason = connection.scalar(sa.select(job.c.reason).where(job.c.id == job_id, job.c.state == "held"))
        return f": {SECOND_READER}" in (reason or "")

    def _pass(self, connection: sa.Connection, job_id: str, because: str, who: str) -> str:
        """What the second reader found in a job, this and nothing more, holds it no longer."""
        if not because:
            return f"job {job_id} stays held by the second reader: name it alone, and say why with --reason"
        row = connection.execute(sa.select(job.c.reason, job.c.plan).where(job.c.id == job_id)).one()
        found = row.reason[row.reason.index(SECOND_READER) :]
        plan = json.loads(row.plan)
        plan["passed"] = [*([one, why] for one, why in plan.get("passed", ()) if one != found), [found, because]]
        connection.execute(sa.update(job).where(job.c.id == job_id).values(plan=json.dumps(plan)))
        text = f"{found}; let pass by {who}: {because}"
        jobs.remember(connection, job_id, "act", text, self.database.now(connection))
        # Without the person's words, which may say more than a log may have.
        log.warning("job %s: %s; let pass by %s", job_id, found, who)
        return self._run_again(connection, job_id, "retry")

    def _send_again(self, connection: sa.Connection, key: str, act: str) -> str:
        row = connection.execute(sa.select(delivery).where(delivery.c.id == key)).one()
        concurrent = self.concurrent(row.destination)
        if concurrent is None:
            return f"delivery {key} stays held: destination {row.destination} is not in rules.yaml"
        later = give_way(connection, row.job)
        if later is not None:
            return f"delivery {key} is not sent: generation {later} works on all of it again"
        held = sa.and_(parcel.c.delivery == key, parcel.c.state == "held")
        if connection.scalar(sa.select(sa.func.count()).where(held, parcel.c.reason.in_(BY_ITS_JOB))):
            return self._make_again(connection, row.job, key, act)
        connection.execute(sa.update(parcel).where(held).values(state="waiting", reason=""))
        again = {"state": "waiting", "reason": "", "failures": 0, "failing_since": None, "next_at": None}
        connection.execute(sa.update(delivery).where(delivery.c.id == key).values(**again, tries=row.tries + 1))
        # Not every obligation held for this destination: one may be held in the job, with no file here.
        settle(connection, key, row.job, row.destination)
        self.engine.enqueue_delivery(connection, key, row.destination, concurrent, tries=row.tries + 1)
        jobs.remember(connection, row.job, "act", f"{act} of {row.destination}", self.database.now(connection))
        return f"delivery {key} is sent again"

    def _make_again(self, connection: sa.Connection, job_id: str, key: str, act: str) -> str:
        """To send it again would find the same file missing, or send what its job would not: that makes it anew."""
        state = connection.scalar(sa.select(job.c.state).where(job.c.id == job_id))
        if state == "running":
            return f"delivery {key} stays held: job {job_id} has to make its files, and still runs; retry it after that"
        if state != "queued":
            self._run_again(connection, job_id, act)
        return f"delivery {key} is sent when job {job_id} has made its files again"

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
        join_again(connection, receipt_id, self.kinds, now)
        jobs.remember(connection, receipt_id, "act", "released by a person", now)
        return f"instance {receipt_id} goes on"

    def _drop_receipt(self, connection: sa.Connection, receipt_id: str) -> str:
        connection.execute(
            sa.update(receipt).where(receipt.c.id == receipt_id).values(state="dropped", reason=BY_A_PERSON)
        )
        jobs.remember(connection, receipt_id, "act", "dropped by a person", self.database.now(connection))
        return f"instance {receipt_id} is dropped"


def _names(subject: str) -> sa.ColumnElement[bool]:
    """Receipts that a subject names by a UID or by their own id."""
    if subject == "all":
        return sa.true()
    columns = (receipt.c.study, receipt.c.series, receipt.c.sop_instance, receipt.c.id)
    return sa.or_(*(column == subject for column in columns))
