"""Jobs and what they owe.

    job         a queued --b--> running --c--> done
                                running --d--> held --e--> queued     (a person: retry, release)
                                           held --f--> dropped    (a person: drop)
                                           held --g--> done       (a later generation works on it again)

a  made by `units.close`, in the transaction that closes the unit and puts it into the engine.
b  its first step starts. A crash leaves it running; the engine starts the interrupted step again.
c  its last step is over, and every obligation left its hands: produced, waiting, held or dropped.
d  a step said that it cannot succeed, or the process died in it too often. Work folder and reason stay.

An obligation is in_job until the job hands it over: `waiting` in an outbox, `produced` as the route's own
output, `dropped` by a rule, `held` with a reason. All of these commit with full sync.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from node.index.generations import give_way
from node.index.schema import BY_A_PERSON, history, job, obligation, receipt, unit
from node.index.units import plan_of
from node.model import UID, Origin, Plan, ReceiptId, UnitKind

SENT_NOTHING = "the route sends nothing made from it there"

OUTPUT = "output"
"""The target of a route that sends to no destination: what it made is its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its next step sees it."""

    id: str
    unit: int
    kind: UnitKind
    uid: UID
    study: UID
    generation: int
    plan: Plan
    state: str
    reason: str
    tries: int
    created: float
    """When it was made, by the database's clock."""

    @property
    def owner(self) -> str:
        """Who owns what this job publishes: the same for every generation of the unit."""
        return f"{self.unit}.{self.plan.route}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One instance that a job works on."""

    receipt: ReceiptId
    path: str | None
    """Below the spool; None when retention removed it."""
    sop_instance: UID
    origin: Origin


def read(connection: sa.Connection, job_id: str) -> Job | None:
    row = connection.execute(
        sa.select(job, unit.c.kind, unit.c.uid, unit.c.study)
        .join(unit, unit.c.id == job.c.unit)
        .where(job.c.id == job_id)
    ).first()
    if row is None:
        return None
    return Job(
        id=row.id, unit=row.unit, kind=UnitKind(row.kind), uid=UID(row.uid), study=UID(row.study),
        generation=row.generation, plan=plan_of(row.plan), state=row.state, reason=row.reason, tries=row.tries,
        created=row.created,
    )  # fmt: skip


def sources(connection: sa.Connection, job_id: str) -> list[Source]:
    """The instances of a job in order of receipt, those that a rule or a person dropped aside."""
    owed = sa.select(obligation.c.receipt).where(
        obligation.c.job == job_id, obligation.c.state.not_in(("dropped", "ignored"))
    )
    rows = connection.execute(
        sa.select(
            receipt.c.id, receipt.c.path, receipt.c.sop_instance,
            receipt.c.calling_ae, receipt.c.called_ae, receipt.c.sender,
        ).where(receipt.c.id.in_(owed)).order_by(receipt.c.id)
    )  # fmt: skip
    return [
        Source(
            receipt=ReceiptId(r[0]), path=r[1], sop_instance=UID(r[2]),
            origin=Origin(calling_ae=r[3], called_ae=r[4], sender=r[5]),
        )
        for r in rows
    ]  # fmt: skip


def identities(connection: sa.Connection, job_id: str) -> dict[ReceiptId, tuple[UID, str]]:
    """For each instance of a job its SOP Instance UID and the SHA-256 of its data set, as received."""
    owed = sa.select(obligation.c.receipt).where(obligation.c.job == job_id)
    rows = connection.execute(
        sa.select(receipt.c.id, receipt.c.sop_instance, receipt.c.sha256).where(receipt.c.id.in_(owed))
    )
    return {ReceiptId(r[0]): (UID(r[1]), r[2]) for r in rows}


def earlier_running(connection: sa.Connection, of: Job) -> str | None:
    """A job of an earlier generation of the same unit and route that has not ended, if any."""
    return connection.scalar(
        sa.select(job.c.id)
        .where(
            job.c.unit == of.unit, job.c.route == of.plan.route, job.c.generation < of.generation,
            job.c.state.in_(("queued", "running")),
        )
        .limit(1)
    )  # fmt: skip


def start(connection: sa.Connection, job_id: str) -> None:
    connection.execute(
        sa.update(job).where(job.c.id == job_id, job.c.state == "queued").values(state="running", reason="")
    )


def hold_receipts(connection: sa.Connection, job_id: str, receipts: Iterable[ReceiptId], reason: str) -> None:
    """Members that a step could not process: everything this job still owes for them is held."""
    _move(connection, job_id, receipts, {"in_job"}, "held", reason)


def drop_receipts(connection: sa.Connection, job_id: str, receipts: Iterable[ReceiptId], reason: str) -> None:
    _move(connection, job_id, receipts, {"in_job"}, "dropped", reason)


def hand_over(connection: sa.Connection, job_id: str, target: str, receipts: Iterable[ReceiptId]) -> None:
    """Obligations to one target leave the job for the outbox: something made from these receipts waits there."""
    _move(connection, job_id, receipts, {"in_job"}, "waiting", "", target)


def send_nothing(connection: sa.Connection, job_id: str, target: str, receipts: Iterable[ReceiptId]) -> None:
    """Obligations to one target are over, because the route sends other kinds of files there."""
    _move(connection, job_id, receipts, {"in_job"}, "dropped", SENT_NOTHING, target)


def given_up(connection: sa.Connection, job_id: str, target: str) -> set[ReceiptId]:
    """Receipts that a person dropped for this target; a retry of the job must not send them after all."""
    rows = connection.scalars(
        sa.select(obligation.c.receipt).where(
            obligation.c.job == job_id, obligation.c.target == target,
            obligation.c.state == "dropped", obligation.c.reason == BY_A_PERSON,
        )
    )  # fmt: skip
    return {ReceiptId(r) for r in rows}


def finish(connection: sa.Connection, job_id: str, now: float) -> None:
    """The last step is over: what is left is the route's output."""
    mine = sa.and_(obligation.c.job == job_id, obligation.c.state == "in_job")
    connection.execute(
        sa.update(obligation).where(mine, obligation.c.target == OUTPUT).values(state="produced", reason="")
    )
    # Nothing should be left for a destination; if it is, a person hears of it and not only the ledger.
    connection.execute(
        sa.update(obligation)
        .where(mine)
        .values(state="held", reason="the route ended without a word on it, a fault in the node")
    )
    connection.execute(
        sa.update(job)
        .where(job.c.id == job_id, job.c.state.in_(("queued", "running")))
        .values(state="done", finished=now)
    )
    give_way(connection, job_id)


def hold(connection: sa.Connection, job_id: str, reason: str, now: float) -> None:
    """The job cannot go on; if a later generation works on all of it again, that one is held or not instead."""
    connection.execute(
        sa.update(job)
        .where(job.c.id == job_id, job.c.state.in_(("queued", "running")))
        .values(state="held", reason=reason, finished=now)
    )
    connection.execute(
        sa.update(obligation)
        .where(obligation.c.job == job_id, obligation.c.state == "in_job")
        .values(state="held", reason=reason)
    )
    give_way(connection, job_id)


def requeue(connection: sa.Connection, job_id: str, plan: str | None = None) -> int:
    """A held job is queued again, with what it held. Returns its new number of tries."""
    values: dict[str, object] = {"state": "queued", "reason": "", "tries": job.c.tries + 1, "finished": None}
    if plan is not None:
        values["plan"] = plan
    connection.execute(sa.update(job).where(job.c.id == job_id).values(values))
    connection.execute(
        sa.update(obligation)
        .where(obligation.c.job == job_id, obligation.c.state == "held")
        .values(state="in_job", reason="", in_outbox=False)
    )
    return int(connection.scalar(sa.select(job.c.tries).where(job.c.id == job_id)) or 1)


def _move(
    connection: sa.Connection, job_id: str, receipts: Iterable[ReceiptId], states: Collection[str], to: str,
    reason: str, target: str | None = None,
) -> None:  # fmt: skip
    wanted = sorted(set(receipts))
    for begin in range(0, len(wanted), 500):
        statement = (
            sa.update(obligation)
            .where(
                obligation.c.job == job_id, obligation.c.receipt.in_(wanted[begin : begin + 500]),
                obligation.c.state.in_(states),
            )
            .values(state=to, reason=reason)
        )  # fmt: skip
        connection.execute(statement if target is None else statement.where(obligation.c.target == target))


def remember_once(connection: sa.Connection, subject: str, what: str, text: str, now: float) -> None:
    """The same, if it is not there yet."""
    there = sa.select(history.c.id).where(history.c.subject == subject, history.c.text == text).limit(1)
    if connection.scalar(there) is None:
        remember(connection, subject, what, text, now)


def remember(
    connection: sa.Connection, subject: str, what: str, text: str, now: float, seconds: float | None = None
) -> None:
    """A line for `explain`. No patient data."""
    connection.execute(sa.insert(history).values(subject=subject, at=now, what=what, text=text, seconds=seconds))
