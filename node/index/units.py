"""Open units: which might be complete, what is known of them, and closing them exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from node.complete.policy import Waits
from node.dicom.header import unpack
from node.index.generations import given_up_earlier, replace_earlier
from node.index.schema import BY_A_PERSON, completion, job, member, obligation, receipt, unit
from node.model import UID, Header, Origin, Plan, ReceiptId, Unit, UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An open unit with what completion asks of the index."""

    unit: Unit
    study: str
    series: str
    unjudged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One instance of a unit: what matching reads."""

    receipt: ReceiptId
    generation: int
    header: Header
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be made when its unit is closed."""

    plan: Plan
    owed: Sequence[tuple[ReceiptId, str, str, str]]
    """(receipt, target, state, reason) of every obligation."""
    replaces: bool
    """It works on all members again, so what earlier generations still owe is this job's now."""
    delta: bool
    """It works on late arrivals alone, now or when a person releases it: what earlier ones published stays."""
    starts: bool
    """False: nothing to run. Its obligations wait for a person, or are over (ignored late arrivals)."""


def job_id(unit_id: int, generation: int, route: str) -> str:
    return f"{unit_id}.{generation}.{route}"


Version = tuple[int, int, int]
"""(unit, generation, count): an open unit as it was judged; what comes afterwards changes it."""


def open_units(
    connection: sa.Connection, now: float, waits: Waits, left_alone: Collection[Version] = frozenset()
) -> list[Open]:
    """Open units that may be complete: quiet, or open, for long enough. Longest quiet first."""
    ripe = sa.or_(
        *(
            sa.and_(unit.c.kind == kind.value, sa.or_(unit.c.last_at <= now - quiet, unit.c.first_at <= now - at_most))
            for kind, (quiet, at_most) in waits.items()
        )
    )
    rows = connection.execute(sa.select(unit).where(unit.c.state == "open", ripe).order_by(unit.c.last_at)).all()
    return [
        Open(
            unit=Unit(
                id=r.id, kind=UnitKind(r.kind), called_ae=r.called_ae, uid=UID(r.uid), generation=r.generation,
                count=r._mapping["count"], first=_time(r.first_at), last=_time(r.last_at),
                senders=_senders(connection, r.id),
            ),
            study=r.study, series=r.series, unjudged=_unjudged(connection, r),
        )
        for r in rows
        if (r.id, r.generation, r._mapping["count"]) not in left_alone
    ]  # fmt: skip


def next_ripe(connection: sa.Connection, now: float, waits: Waits) -> float | None:
    """When the next open unit may be complete that is not yet among `open_units`; None when there is none."""
    times = []
    for kind, (quiet, _) in waits.items():
        last = connection.scalar(
            sa.select(sa.func.min(unit.c.last_at)).where(
                unit.c.state == "open", unit.c.kind == kind.value, unit.c.last_at > now - quiet
            )
        )
        if last is not None:
            times.append(float(last) + quiet)
    return min(times, default=None)


def any_touched_after(connection: sa.Connection, moment: float) -> bool:
    """Whether an open unit was touched later than `moment`."""
    found = connection.scalar(sa.select(unit.c.id).where(unit.c.state == "open", unit.c.last_at > moment).limit(1))
    return found is not None


def set_back(connection: sa.Connection, now: float) -> int:
    """Open units that were touched later than now were touched now. Returns how many."""
    later = sa.and_(unit.c.state == "open", unit.c.last_at > now)
    first = sa.case((unit.c.first_at > now, now), else_=unit.c.first_at)
    return connection.execute(sa.update(unit).where(later).values(last_at=now, first_at=first)).rowcount


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _senders(connection: sa.Connection, unit_id: int) -> tuple[Origin, ...]:
    rows = connection.execute(
        sa.select(receipt.c.calling_ae, receipt.c.called_ae, receipt.c.sender)
        .join(member, member.c.receipt == receipt.c.id)
        .where(member.c.unit == unit_id)
        .distinct()
    )
    return tuple(Origin(calling_ae=r[0], called_ae=r[1], sender=r[2]) for r in rows)


def _unjudged(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> int:
    column = {"study": receipt.c.study, "series": receipt.c.series, "instance": receipt.c.sop_instance}[row.kind]
    return (
        connection.scalar(
            sa.select(sa.func.count()).where(
                column == row.uid, receipt.c.called_ae == row.called_ae, receipt.c.state == "unjudged"
            )
        )
        or 0
    )


def receipts(connection: sa.Connection, unit_id: int, generation: int) -> list[tuple[ReceiptId, int]]:
    """(receipt, generation) of each of `members`, in the same order."""
    rows = connection.execute(_of_unit(sa.select(receipt.c.id, member.c.generation), unit_id, generation))
    return [(ReceiptId(r[0]), r[1]) for r in rows]


def _of_unit(
    columns: sa.Select[tuple[Any, ...]], unit_id: int, generation: int
) -> sa.Select[tuple[Any, ...]]:  # fmt: skip
    return (
        columns.join(member, member.c.receipt == receipt.c.id)
        .where(member.c.unit == unit_id, member.c.generation <= generation, receipt.c.state == "current")
        .order_by(receipt.c.id)
    )


def members(connection: sa.Connection, unit_id: int, generation: int) -> list[Member]:
    """Every instance of a unit up to a generation that is current, oldest receipt first."""
    columns = sa.select(
        receipt.c.id, member.c.generation, receipt.c.header, receipt.c.calling_ae, receipt.c.called_ae, receipt.c.sender
    )
    rows = connection.execute(_of_unit(columns, unit_id, generation))
    return [
        Member(
            receipt=ReceiptId(r[0]), generation=r[1], header=unpack(r[2]) if r[2] else {},
            origin=Origin(calling_ae=r[3], called_ae=r[4], sender=r[5]),
        )
        for r in rows
    ]  # fmt: skip


def routes_run(connection: sa.Connection, unit_id: int, before: int) -> dict[str, bool]:
    """Routes that an earlier generation of this unit made a job for; False where each of them is held and nothing of
    it was ever begun, because the unit was incomplete or could not be matched."""
    begun = sa.case((sa.and_(job.c.tries == 0, job.c.state == "held"), 0), else_=1)
    rows = connection.execute(
        sa.select(job.c.route, sa.func.max(begun))
        .where(job.c.unit == unit_id, job.c.generation < before)
        .group_by(job.c.route)
    )
    return {route: bool(any_begun) for route, any_begun in rows}


def close(
    connection: sa.Connection,
    closing: Unit,
    *,
    evidence: str,
    verdicts: Sequence[tuple[str, bool, Sequence[str]]],
    jobs: Sequence[NewJob],
    now: float,
    enqueue: Callable[[sa.Connection, str, int], object],
) -> bool:
    """Close one generation and make its jobs, in the caller's transaction.

    False, and nothing is written, when the unit changed since it was judged: an instance came, or another
    process closed it. `enqueue(connection, job id, number of steps)` puts a job into the engine in the same
    transaction, so that a unit is never closed without its jobs nor a job made twice.
    """
    locked = connection.execute(
        sa.select(unit.c.id)
        .where(
            unit.c.id == closing.id, unit.c.state == "open",
            unit.c.generation == closing.generation, unit.c.count == closing.count,
        )
        .with_for_update(skip_locked=True)
    ).first()  # fmt: skip
    if locked is None:
        return False
    connection.execute(sa.update(unit).where(unit.c.id == closing.id).values(state="complete"))
    connection.execute(
        sa.insert(completion).values(
            unit=closing.id, generation=closing.generation, at=now, count=closing.count, evidence=evidence,
            verdicts=json.dumps(list(verdicts)),
        )
    )  # fmt: skip
    for new in jobs:
        _make(connection, closing, new, now, enqueue)
    return True


def _make(
    connection: sa.Connection, of: Unit, new: NewJob, now: float, enqueue: Callable[[sa.Connection, str, int], object]
) -> None:
    key = job_id(of.id, of.generation, new.plan.route)
    plan = {
        "route": new.plan.route, "unit": new.plan.unit.value, "partial": new.plan.partial,
        "fingerprint": new.plan.fingerprint, "steps": [[name, dict(options)] for name, options in new.plan.steps],
    }  # fmt: skip
    connection.execute(
        sa.insert(job).values(
            id=key, unit=of.id, generation=of.generation, route=new.plan.route, plan=json.dumps(plan), delta=new.delta,
            state=_first_state(new), tries=int(new.starts), created=now, finished=None if new.starts else now,
        )
    )  # fmt: skip
    if new.replaces:
        replace_earlier(connection, of.id, new.plan.route, of.generation)
    over = given_up_earlier(connection, of.id, new.plan.route, of.generation) if new.replaces else set()
    owed = [(r, t, *(("dropped", BY_A_PERSON) if (r, t) in over else (s, why))) for r, t, s, why in new.owed]
    if owed:
        connection.execute(
            sa.insert(obligation),
            [{"job": key, "receipt": r, "target": t, "state": s, "reason": why} for r, t, s, why in owed],
        )
    if new.starts:
        enqueue(connection, key, len(new.plan.steps))


def _first_state(new: NewJob) -> str:
    if new.starts:
        return "queued"
    return "held" if any(state == "held" for _, _, state, _ in new.owed) else "done"


def plan_of(text: str) -> Plan:
    """The frozen plan of a job row."""
    stored = json.loads(text)
    return Plan(
        route=stored["route"], unit=UnitKind(stored["unit"]), partial=stored["partial"],
        fingerprint=stored["fingerprint"], steps=tuple((name, options) for name, options in stored["steps"]),
        passed=tuple((found, because) for found, because in stored.get("passed", ())),
    )  # fmt: skip
