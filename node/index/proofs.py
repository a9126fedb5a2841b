"""What the rows say of instances that somebody wants to be committed (commitment.Facts).

An instance is known by its SOP Instance UID. It may have been received several times, and for several of our AE
titles; the current ones that came to the title that was asked speak for it, and those of other titles where
there are none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa

from node.commitment import Facts
from node.index.schema import asked, asked_item, delivery, member, obligation, parcel, receipt, unit
from node.model import UID, Disclosure, UnitKind

_GROUP = 500


class _Receipt(NamedTuple):
    id: str
    called_ae: str
    sop_class: str
    sop_instance: str
    state: str
    path: str | None
    sha256: str


@dataclass(slots=True)
class Proofs:
    """What is known of one instance, and which destinations have the original."""

    facts: Facts = field(default_factory=Facts)
    destinations: frozenset[str] = frozenset()


def proofs(
    connection: sa.Connection, instances: Iterable[str], called_ae: str, routed: Collection[UnitKind],
    of: int, askable: Collection[str] = (), own: Collection[str] = (),
) -> dict[str, Proofs]:  # fmt: skip
    """SOP Instance UID -> what is known, for those that were ever received.

    routed    kinds of units that some route works on
    of        the request, for what destinations answered to it
    askable   destinations that can be asked for commitment
    own       destinations that are the requester itself, where nothing is safe: it deletes its copy
    """
    wanted = sorted(set(instances))
    found: dict[str, Proofs] = {}
    for begin in range(0, len(wanted), _GROUP):
        found |= _of_group(connection, wanted[begin : begin + _GROUP], called_ae, routed, of, askable, own)
    return found


def _of_group(
    connection: sa.Connection, instances: Sequence[str], called_ae: str, routed: Collection[UnitKind],
    of: int, askable: Collection[str], own: Collection[str],
) -> dict[str, Proofs]:  # fmt: skip
    rows = connection.execute(
        sa.select(
            receipt.c.id, receipt.c.called_ae, receipt.c.sop_class, receipt.c.sop_instance, receipt.c.state,
            receipt.c.path, receipt.c.sha256,
        ).where(receipt.c.sop_instance.in_(instances))
    ).all()  # fmt: skip
    by_instance: dict[str, list[_Receipt]] = {}
    for row in rows:
        by_instance.setdefault(row.sop_instance, []).append(_Receipt(*row))
    current = {uid: _speaking(group, called_ae) for uid, group in by_instance.items()}
    ids = {receipt_id for chosen in current.values() for receipt_id in chosen}
    owed = _owed(connection, ids)
    still_open = _still_open(connection, ids, routed)
    received = {(row.sop_instance, row.sha256) for row in rows}
    originals = _originals(connection, {d for lines in owed.values() for _, d, _ in lines if d}, instances, received)
    answers = _answers(connection, of, instances)
    found = {}
    for uid, group in by_instance.items():
        lines = [
            (*line, receipt_id)
            for receipt_id in current[uid]
            for line in owed.get(receipt_id, ())
            if line[2] not in own
        ]
        places = frozenset(
            target for state, key, target, _ in lines if state == "delivered" and (key, uid) in originals
        )
        states = {row.state for row in group}
        found[uid] = Proofs(
            Facts(
                sop_classes=frozenset(UID(row.sop_class) for row in group),
                spooled=any(row.path is not None and row.state != "dropped" for row in group),
                delivered=bool(places),
                committed="committed" in answers.get(uid, ()),
                askable=bool(places & set(askable)),
                waiting=any(state == "waiting" and (key, uid) in originals for state, key, _, _ in lines),
                under_way=(
                    "unjudged" in states
                    or any(receipt_id in still_open for receipt_id in current[uid])
                    or any(state == "in_job" for state, _, _, _ in lines)
                ),
                held=(
                    (not current[uid] and "held" in states)
                    or any(state == "held" and (key is None or (key, uid) in originals) for state, key, _, _ in lines)
                ),
            ),
            places,
        )  # fmt: skip
    return found


def _speaking(group: Sequence[_Receipt], called_ae: str) -> list[str]:
    """The receipts that speak for an instance: what came for this AE title and is current, else for any."""
    current = [row for row in group if row.state == "current"]
    own = [row for row in current if row.called_ae == called_ae]
    return [row.id for row in own or current]


def _owed(connection: sa.Connection, ids: Collection[str]) -> dict[str, list[tuple[str, str | None, str]]]:
    """receipt -> (state, delivery or None, target) of every obligation that a later generation has not replaced.

    The delivery is None where the job holds it: what it would have sent is not known.
    """
    rows = connection.execute(
        sa.select(obligation.c.receipt, obligation.c.state, delivery.c.id, obligation.c.target, obligation.c.in_outbox)
        .outerjoin(delivery, sa.and_(delivery.c.job == obligation.c.job, delivery.c.destination == obligation.c.target))
        .where(obligation.c.receipt.in_(ids), obligation.c.state != "replaced")
    )
    found: dict[str, list[tuple[str, str | None, str]]] = {}
    for receipt_id, state, key, target, in_outbox in rows:
        known = key if state != "held" or in_outbox else None
        found.setdefault(receipt_id, []).append((state, known, target))
    return found


def _originals(
    connection: sa.Connection, deliveries: Collection[str], instances: Sequence[str],
    received: Collection[tuple[str, str]],
) -> set[tuple[str | None, str]]:  # fmt: skip
    """(delivery, SOP Instance UID) of parcels that are no de-identified copy and carry the UID that was received.

    received    (SOP Instance UID, SHA-256) of what was received: the same bytes are the original, whatever the row
                of an older program says of them
    """
    rows = connection.execute(
        sa.select(parcel.c.delivery, parcel.c.sop_instance, parcel.c.content, parcel.c.disclosure)
        .join(delivery, delivery.c.id == parcel.c.delivery)
        .where(
            parcel.c.delivery.in_(sorted(deliveries)), delivery.c.disclosure == Disclosure.IDENTIFIED.value,
            parcel.c.sop_instance.in_(instances), parcel.c.state != "dropped",
        )
    )  # fmt: skip
    return {
        (key, uid)
        for key, uid, content, disclosure in rows
        if disclosure == Disclosure.IDENTIFIED.value or (uid, content) in received
    }


def _still_open(connection: sa.Connection, ids: Collection[str], routed: Collection[UnitKind]) -> set[str]:
    return set(
        connection.scalars(
            sa.select(member.c.receipt)
            .join(unit, unit.c.id == member.c.unit)
            .where(member.c.receipt.in_(ids), unit.c.state == "open", unit.c.kind.in_([k.value for k in routed]))
        )
    )


def _answers(connection: sa.Connection, of: int, instances: Sequence[str]) -> Mapping[str, set[str]]:
    """What destinations said to our own requests for this one: SOP Instance UID -> states."""
    rows = connection.execute(
        sa.select(asked_item.c.sop_instance, asked_item.c.state)
        .join(asked, asked.c.id == asked_item.c.asked)
        .where(asked.c.commitment == of, asked_item.c.sop_instance.in_(instances))
    )
    found: dict[str, set[str]] = {}
    for uid, state in rows:
        found.setdefault(uid, set()).add(state)
    return found
