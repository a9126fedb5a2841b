"""What sources were asked and what they answered; what was pulled from them.

A row is written before the source is asked, under the next number: of two processes that see the same question due,
the one that inserts asks. None of it is synced: who lost it asks again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.index.database import insert
from node.index.schema import pull, reading, receipt
from node.model import UnitKind

LEFT = "the process that began it died, or the database went away, before the answer was noted"
"""What became of a question, or of a pull, that nobody waits for any more."""

_LOOKED_AT = 30
"""Questions that the pause before the next one depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom to ask about what."""

    peer: str
    """AE title of the peer in rules.yaml, whoever is asked for it."""
    called_ae: str
    study: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    number: int
    at: float
    answered: bool
    failed: bool
    claimed: str
    """The process that asks, or asked; empty: not known."""


def past(connection: sa.Connection, of: Subject) -> list[Asked]:
    """The latest questions, oldest first."""
    rows = connection.execute(
        sa.select(
            reading.c.number, reading.c.at, reading.c.answer.is_not(None), reading.c.failure != "", reading.c.claimed
        )
        .where(*_is(reading, of))
        .order_by(reading.c.number.desc())
        .limit(_LOOKED_AT)
    ).all()  # fmt: skip
    return [
        Asked(number=r[0], at=r[1], answered=bool(r[2]), failed=bool(r[3]), claimed=r[4]) for r in reversed(rows)
    ]  # fmt: skip


def claim(connection: sa.Connection, of: Subject, number: int, now: float, process: str) -> bool:
    """Take a question. False: another process has it. The one before, where it is left, gets no answer any more."""
    made = connection.execute(
        insert(connection, reading)
        .values(peer=of.peer, called_ae=of.called_ae, study=of.study, number=number, at=now, claimed=process)
        .on_conflict_do_nothing()
        .returning(reading.c.number)
    )
    if made.first() is None:
        return False
    before = (*_is(reading, of), reading.c.number == number - 1, reading.c.answer.is_(None), reading.c.failure == "")
    connection.execute(sa.update(reading).where(*before).values(failure=LEFT))
    return True


def answer(
    connection: sa.Connection, of: Subject, number: int, now: float, *, study: int | None,
    series: Mapping[str, int | None], instances: Mapping[str, Sequence[str]],
) -> None:  # fmt: skip
    said = {"study": study, "series": dict(series), "instances": {k: list(v) for k, v in instances.items()}}
    connection.execute(
        sa.update(reading)
        .where(*_is(reading, of), reading.c.number == number)
        .values(answer=json.dumps(said), answered=now, failure="")
    )


def fail(connection: sa.Connection, of: Subject, number: int, why: str) -> None:
    connection.execute(sa.update(reading).where(*_is(reading, of), reading.c.number == number).values(failure=why))


def give_back(connection: sa.Connection, of: Subject, number: int) -> None:
    """A question that was taken and not asked: it is due as before."""
    connection.execute(
        sa.delete(reading).where(*_is(reading, of), reading.c.number == number, reading.c.answer.is_(None))
    )


# ---- pulls -----------------------------------------------------------------------------------------------------


def begin_pull(
    connection: sa.Connection, of: Subject, wanted: Mapping[str, Sequence[str] | None], *, missing: int, how: str,
    now: float, lease: float, tries: int, process: str, others: Collection[str],
) -> int | None:  # fmt: skip
    """Take a pull. None when one goes on, or when the same was asked for so many times already.

    lease    seconds after which one that is not finished belongs to a dead process
    process  this one, which pulls one thing after the other
    others   those that live beside it
    """
    text = json.dumps(wanted, sort_keys=True)
    rows = connection.execute(
        sa.select(pull.c.number, pull.c.at, pull.c.finished, pull.c.wanted, pull.c.claimed).where(*_is(pull, of))
    ).all()
    goes_on = [r for r in rows if r.finished is None and r.at > now - lease and r.claimed in ("", *others)]
    if goes_on or sum(r.wanted == text for r in rows) >= tries:
        return None
    for left in (r.number for r in rows if r.finished is None):
        end_pull(connection, of, left, now, LEFT)
    number = max((r.number for r in rows), default=0) + 1
    made = connection.execute(
        insert(connection, pull)
        .values(
            peer=of.peer, called_ae=of.called_ae, study=of.study, number=number, at=now, how=how, missing=missing,
            wanted=text, claimed=process,
        )
        .on_conflict_do_nothing()
        .returning(pull.c.number)
    )  # fmt: skip
    return number if made.first() is not None else None


def end_pull(connection: sa.Connection, of: Subject, number: int, now: float, result: str) -> None:
    connection.execute(
        sa.update(pull).where(*_is(pull, of), pull.c.number == number).values(finished=now, result=result)
    )


def kinds_of(connection: sa.Connection, of: Subject) -> set[tuple[str, str]]:
    """(SOP class, transfer syntax) of what came of a study."""
    rows = connection.execute(
        sa.select(receipt.c.sop_class, receipt.c.transfer_syntax)
        .where(receipt.c.study == of.study, receipt.c.called_ae == of.called_ae)
        .distinct()
    )
    return {(r[0], r[1]) for r in rows}


def _is(table: sa.Table, of: Subject) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.peer == of.peer, table.c.called_ae == of.called_ae, table.c.study == of.study


# ---- for `explain` -----------------------------------------------------------------------------------------------


def told(connection: sa.Connection, called_ae: str, study: str, kind: UnitKind, uid: str) -> dict[str, Any]:
    """What sources answered and what was pulled, for one unit. UIDs, AE titles, counts and times."""
    of = (reading.c.called_ae == called_ae, reading.c.study == study)
    rows = connection.execute(sa.select(reading).where(*of).order_by(reading.c.at, reading.c.number)).all()
    pulls = connection.execute(
        sa.select(pull).where(pull.c.called_ae == called_ae, pull.c.study == study).order_by(pull.c.at)
    ).all()
    return {
        "readings": [
            {"peer": r.peer, "at": r.at, "failure": r.failure, "instances": _counted(r.answer, kind, uid)} for r in rows
        ],
        "pulls": [
            {
                "peer": p.peer, "at": p.at, "how": p.how, "missing": p.missing, "finished": p.finished,
                "result": p.result, "came": _came_since(connection, called_ae, p),
            }
            for p in pulls
            if kind is UnitKind.STUDY or uid in json.loads(p.wanted)
        ],
    }  # fmt: skip


def _counted(text: str | None, kind: UnitKind, uid: str) -> int | None:
    """How many instances of the unit there were."""
    if text is None:
        return None
    said = json.loads(text)
    if kind is not UnitKind.STUDY:
        count: int | None = said["series"].get(uid)
        return count
    counts = [count for count in said["series"].values() if count is not None]
    total: int | None = sum(counts) if counts else said["study"]
    return total


def _came_since(connection: sa.Connection, called_ae: str, row: Any) -> int:
    """How many of what was asked for are here."""
    came = 0
    for series, instances in json.loads(row.wanted).items():
        of_series = (receipt.c.called_ae == called_ae, receipt.c.series == series)
        here = set(
            connection.scalars(sa.select(receipt.c.sop_instance).where(*of_series, receipt.c.received >= row.at - 60))
        )
        came += len(here & set(instances)) if instances is not None else len(here)
    return came
