"""What completion asks of the index beside the unit itself: what came, and what others say there is."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from node.complete import HeaderCount, Reading, Statement, header_counts
from node.complete.policy import GoesBy
from node.index.schema import commitment, commitment_item, expected, procedure_step, reading, receipt
from node.index.units import Open, members
from node.model import UnitKind

_IN_PROGRESS = "IN PROGRESS"
_ASKED = 500
"""Values in one statement; databases limit them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """See the fields of the same name in node.complete.Facts."""

    arrived: dict[str, frozenset[str]]
    statements: tuple[Statement, ...] = ()
    performing: bool = False
    readings: tuple[Reading, ...] = ()
    asked: frozenset[str] = frozenset()
    headers: tuple[HeaderCount, ...] = ()


def known(connection: sa.Connection, of: Open, goes_by: GoesBy) -> Known:
    """All of it, of the senders and sources that count for this unit."""
    arrived = _arrived(connection, of)

    def who(source: str) -> list[str]:
        return sorted(title for title, sources in goes_by.items() if source in sources)

    said: list[Statement] = []
    if requesters := who("commitment"):
        said += _requests(connection, of, requesters)
    if performers := who("mpps"):
        said += _steps(connection, of, performers, arrived)
    by_header = who("header") and of.unit.kind is UnitKind.SERIES
    headers = [m.header for m in members(connection, of.unit.id, of.unit.generation)] if by_header else []
    return Known(
        arrived=arrived,
        statements=tuple(said),
        performing=_performing(connection, of, performers),
        readings=tuple(_readings(connection, of, who("find"))),
        asked=frozenset(who("find")),
        headers=header_counts(headers),
    )


def mark(connection: sa.Connection) -> tuple[Any, ...]:
    """Changes whenever somebody said something new: then what waited for time alone is judged again."""
    latest = [sa.select(sa.func.max(column)).scalar_subquery() for column in _SAID_AT]
    return tuple(connection.execute(sa.select(*latest)).one())


_SAID_AT = (commitment.c.at, procedure_step.c.at, expected.c.at, reading.c.answered)


def _of_unit(of: Open) -> sa.ColumnElement[bool]:
    column = receipt.c.study if of.unit.kind is UnitKind.STUDY else receipt.c.series
    return sa.and_(column == of.unit.uid, receipt.c.called_ae == of.unit.called_ae)


def _arrived(connection: sa.Connection, of: Open) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for series, instance in connection.execute(sa.select(receipt.c.series, receipt.c.sop_instance).where(_of_unit(of))):
        found.setdefault(series, set()).add(instance)
    return {series: frozenset(instances) for series, instances in found.items()}


def _requests(connection: sa.Connection, of: Open, requesters: Collection[str]) -> list[Statement]:
    """Requests for storage commitment that list any instance of the unit."""
    touching = (
        sa.select(commitment.c.id, commitment.c.calling_ae)
        .join(commitment_item, commitment_item.c.commitment == commitment.c.id)
        .where(
            commitment_item.c.sop_instance.in_(sa.select(receipt.c.sop_instance).where(_of_unit(of))),
            commitment.c.called_ae == of.unit.called_ae, commitment.c.calling_ae.in_(requesters),
        )
        .distinct()
    )  # fmt: skip
    found = []
    for key, peer in connection.execute(touching).all():
        items = sa.select(commitment_item.c.sop_instance).where(commitment_item.c.commitment == key)
        listed = frozenset(connection.scalars(items))
        came = sa.select(receipt.c.sop_instance).where(
            receipt.c.called_ae == of.unit.called_ae, receipt.c.sop_instance.in_(items)
        )
        absent = listed - set(connection.scalars(came))
        found.append(Statement(source="commitment", peer=peer, count=len(listed), listed=listed, absent=absent))
    return found


def _steps(
    connection: sa.Connection, of: Open, performers: Collection[str], arrived: Iterable[str]
) -> list[Statement]:  # fmt: skip
    """Series of procedure steps that are over. One that references no study is found by the series that came."""
    about: sa.ColumnElement[bool] = expected.c.series.in_(list(arrived))
    if of.unit.kind is UnitKind.STUDY:
        about = sa.or_(about, expected.c.study == of.study)
    rows = connection.execute(
        sa.select(expected).where(
            about, expected.c.source == "mpps", expected.c.called_ae == of.unit.called_ae,
            expected.c.peer.in_(performers),
        )
    ).all()  # fmt: skip
    found = []
    for row in rows:
        listed = frozenset(json.loads(row.instances)) if row.instances is not None else None
        absent = listed - _came(connection, of.unit.called_ae, listed) if listed is not None else frozenset[str]()
        found.append(
            Statement(
                source="mpps", peer=row.peer, series=row.series, count=row._mapping["count"], listed=listed,
                absent=absent,
            )
        )  # fmt: skip
    return found


def _came(connection: sa.Connection, called_ae: str, instances: Collection[str]) -> set[str]:
    wanted, came = sorted(instances), set[str]()
    for begin in range(0, len(wanted), _ASKED):
        part = wanted[begin : begin + _ASKED]
        came.update(
            connection.scalars(
                sa.select(receipt.c.sop_instance).where(
                    receipt.c.called_ae == called_ae, receipt.c.sop_instance.in_(part)
                )
            )
        )
    return came


def _performing(connection: sa.Connection, of: Open, performers: Collection[str]) -> bool:
    if not performers:
        return False
    step = procedure_step.c
    return (
        connection.scalar(
            sa.select(sa.func.count()).where(
                step.study == of.study, step.called_ae == of.unit.called_ae, step.calling_ae.in_(performers),
                step.state == _IN_PROGRESS,
            )
        )
        or 0
    ) > 0  # fmt: skip


def _readings(connection: sa.Connection, of: Open, peers: Collection[str]) -> list[Reading]:
    """The last two answers of each peer."""
    found: list[Reading] = []
    for peer in peers:
        rows = connection.execute(
            sa.select(reading)
            .where(
                reading.c.peer == peer, reading.c.called_ae == of.unit.called_ae, reading.c.study == of.study,
                reading.c.answer.is_not(None),
            )
            .order_by(reading.c.number.desc())
            .limit(2)
        ).all()  # fmt: skip
        found += [reading_of(row.peer, row.at, row.answer) for row in reversed(rows)]
    return found


def reading_of(peer: str, at: float, answer: str) -> Reading:
    """From the columns of a row."""
    said = json.loads(answer)
    return Reading(
        peer=peer, at=datetime.fromtimestamp(at, UTC), study=said["study"], series=said["series"],
        instances={series: frozenset(instances) for series, instances in said["instances"].items()},
    )  # fmt: skip
