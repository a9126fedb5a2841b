"""Requests for storage commitment: recorded before they are answered, decided item by item, reported once.

    open --a--> open      a  every item is decided; its report is due
         --b--> answered  b  the requester took the report
         --c--> given_up  c  it did not take it for days
    answered, given_up --d--> open   d  the same request came again: it is decided and reported again

A request that was answered with success must be reported, whatever happens: every write here commits with full
sync. Who sends a report claims it first, so that of several processes one sends; the claim of a process that lives
no more counts for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.commitment import Committed, Failed, Proof, Verdict
from node.dicom.commitment import DUPLICATE_TRANSACTION, Reference, Report, Request
from node.index.database import insert
from node.index.schema import commitment, commitment_item, receipt
from node.model import UID, Origin

_FIRST = 0.5
"""Seconds before a report may be sent, so that the answer to the N-ACTION goes first."""
_DUPLICATE = "the same requester used the Transaction UID for something else"


# Per request, not over all items there ever were: most of them are decided.
_WAITING = sa.exists(
    sa.select(commitment_item.c.number).where(
        commitment_item.c.commitment == commitment.c.id, commitment_item.c.state == "waiting"
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """One request."""

    id: int
    transaction: UID
    origin: Origin
    proof: Proof
    at: float
    tries: int
    failing_since: float | None
    next_at: float
    reason: str


def record(connection: sa.Connection, request: Request, origin: Origin, proof: Proof, now: float) -> int:
    """Write a request down, or open it again when it came before. Returns its id.

    A Transaction UID that this requester used for something else is recorded too: every item has failed, and the
    report says so.
    """
    digest = _digest(request)
    same = (commitment.c.calling_ae == origin.calling_ae, commitment.c.transaction == request.transaction)
    other = connection.scalar(sa.select(commitment.c.id).where(*same, commitment.c.digest != digest).limit(1))
    before = connection.scalar(sa.select(commitment.c.state).where(*same, commitment.c.digest == digest))
    made: int = connection.execute(
        insert(connection, commitment)
        .values(
            transaction=request.transaction, digest=digest, calling_ae=origin.calling_ae, called_ae=origin.called_ae,
            sender=origin.sender, proof=proof.value, at=now, state="open", next_at=now + _FIRST, tries=0,
        )
        # What is open goes on as it is; what is over begins again, under the proof that is asked for today.
        .on_conflict_do_update(
            index_elements=[commitment.c.calling_ae, commitment.c.transaction, commitment.c.digest],
            set_={
                "called_ae": origin.called_ae, "sender": origin.sender,
                "at": sa.case((commitment.c.state == "open", commitment.c.at), else_=now),
                "proof": sa.case((commitment.c.state == "open", commitment.c.proof), else_=proof.value),
                "state": "open", "next_at": now + _FIRST, "tries": 0, "failing_since": None,
            },
        )
        .returning(commitment.c.id)
    ).scalar_one()  # fmt: skip
    mine = commitment_item.c.commitment == made
    if connection.scalar(sa.select(commitment_item.c.number).where(mine).limit(1)) is None:
        state, reason = ("failed", DUPLICATE_TRANSACTION) if other is not None else ("waiting", None)
        connection.execute(
            sa.insert(commitment_item),
            [
                {
                    "commitment": made, "number": number, "sop_class": one.sop_class,
                    "sop_instance": one.sop_instance, "state": state, "reason": reason,
                    "because": _DUPLICATE if other is not None else "",
                }
                for number, one in enumerate(request.references, start=1)
            ],
        )  # fmt: skip
    else:
        failed = sa.and_(mine, commitment_item.c.state == "failed", commitment_item.c.reason != DUPLICATE_TRANSACTION)
        # What was committed before is proven anew, too: who asks again has its own copy still.
        others = commitment_item.c.state.in_(("dropped",) if before == "open" else ("dropped", "committed"))
        again = sa.or_(failed, sa.and_(mine, others))
        connection.execute(sa.update(commitment_item).where(again).values(state="waiting", reason=None, because=""))
    return made


def _digest(request: Request) -> str:
    """Of what is referenced, in whatever order."""
    lines = sorted(f"{one.sop_class} {one.sop_instance}" for one in request.references)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# ---- deciding --------------------------------------------------------------------------------------


def undecided(connection: sa.Connection) -> list[Commitment]:
    """Open requests with items that wait, oldest first."""
    return _read(connection, sa.and_(commitment.c.state == "open", _WAITING))


def waiting_items(connection: sa.Connection, of: int) -> dict[int, Reference]:
    """Number -> what is referenced, of the items of a request that are not decided."""
    rows = connection.execute(
        sa.select(commitment_item.c.number, commitment_item.c.sop_class, commitment_item.c.sop_instance)
        .where(commitment_item.c.commitment == of, commitment_item.c.state == "waiting")
        .order_by(commitment_item.c.number)
    )
    return {number: Reference(UID(sop_class), UID(instance)) for number, sop_class, instance in rows}


def still_spooled(connection: sa.Connection, of: int) -> set[str]:
    """SOP Instance UIDs of waiting items of a request whose files the rows name now. They go on to do so until the
    transaction ends: retention looks again when it has the locks of the rows, and finds what was decided."""
    waiting = sa.select(commitment_item.c.sop_instance).where(
        commitment_item.c.commitment == of, commitment_item.c.state == "waiting"
    )
    rows = connection.execute(
        sa.select(receipt.c.sop_instance)
        .where(receipt.c.sop_instance.in_(waiting), receipt.c.path.is_not(None), receipt.c.state != "dropped")
        .order_by(receipt.c.id)
        .with_for_update(read=True)
    )
    return {row.sop_instance for row in rows}


def decide(connection: sa.Connection, of: int, verdicts: Mapping[int, Verdict]) -> None:
    """Note verdicts on items that still wait; those that say Wait change nothing."""
    groups: dict[tuple[str, int | None, str], list[int]] = {}
    for number, verdict in verdicts.items():
        if isinstance(verdict, Committed):
            groups.setdefault(("committed", None, verdict.because), []).append(number)
        elif isinstance(verdict, Failed):
            groups.setdefault(("failed", verdict.reason, verdict.because), []).append(number)
    for (state, reason, because), numbers in groups.items():
        for begin in range(0, len(numbers), 500):
            connection.execute(
                sa.update(commitment_item)
                .where(
                    commitment_item.c.commitment == of, commitment_item.c.state == "waiting",
                    commitment_item.c.number.in_(numbers[begin : begin + 500]),
                )
                .values(state=state, reason=reason, because=because)
            )  # fmt: skip


# ---- reporting -------------------------------------------------------------------------------------


def due(connection: sa.Connection, now: float) -> list[Commitment]:
    """Open requests of which every item is decided, and whose report may be sent now; oldest first."""
    return _read(connection, sa.and_(commitment.c.state == "open", commitment.c.next_at <= now, sa.not_(_WAITING)))


def next_due(connection: sa.Connection, now: float) -> float | None:
    """When the next report may be sent that may not be sent now; None when none is open."""
    at: float | None = connection.scalar(
        sa.select(sa.func.min(commitment.c.next_at)).where(commitment.c.state == "open", commitment.c.next_at > now)
    )
    return at


def claim(connection: sa.Connection, of: int, process: str, live: Collection[str], now: float) -> bool:
    """Take a due report into this process's hands. False: another live process has it, or it is not due any more."""
    free = sa.or_(commitment.c.claimed.in_(("", process)), commitment.c.claimed.not_in(sorted(live)))
    changed = connection.execute(
        sa.update(commitment)
        .where(commitment.c.id == of, commitment.c.state == "open", commitment.c.next_at <= now, free)
        .values(claimed=process)
    )
    return changed.rowcount > 0


def report_of(connection: sa.Connection, of: Commitment) -> Report:
    """What is to be said of a request, in its order."""
    rows = connection.execute(
        sa.select(commitment_item).where(commitment_item.c.commitment == of.id).order_by(commitment_item.c.number)
    ).all()
    named = [(Reference(UID(r.sop_class), UID(r.sop_instance)), r) for r in rows]
    return Report(
        transaction=of.transaction,
        committed=tuple(one for one, r in named if r.state == "committed"),
        failed=tuple((one, int(r.reason)) for one, r in named if r.state == "failed"),
    )


def answered(connection: sa.Connection, of: int, process: str) -> None:
    """The requester took the report."""
    _release(connection, of, process, state="answered", reason="", failing_since=None)


def not_answered(
    connection: sa.Connection, of: int, process: str, reason: str, *, now: float, next_at: float | None
) -> None:
    """The report did not get through: the next try, or None to give it up."""
    since = sa.func.coalesce(commitment.c.failing_since, now)
    values = {"reason": reason, "tries": commitment.c.tries + 1, "failing_since": since}
    if next_at is None:
        _release(connection, of, process, state="given_up", **values)
    else:
        _release(connection, of, process, next_at=next_at, **values)


def _release(connection: sa.Connection, of: int, process: str, **values: object) -> None:
    # Only while it is ours: the same request may have come again meanwhile, and be on its way once more.
    mine = sa.and_(commitment.c.id == of, commitment.c.claimed == process, commitment.c.state == "open")
    connection.execute(sa.update(commitment).where(mine).values(claimed="", **values))


def counts(connection: sa.Connection, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Request -> items by state."""
    found: dict[int, dict[str, int]] = {}
    rows = connection.execute(
        sa.select(commitment_item.c.commitment, commitment_item.c.state, sa.func.count())
        .where(commitment_item.c.commitment.in_(ids))
        .group_by(commitment_item.c.commitment, commitment_item.c.state)
    )
    for of, state, number in rows:
        found.setdefault(of, {})[state] = number
    return found


def unanswered(connection: sa.Connection) -> dict[str, int]:
    """How many requests are open, and how many reports were given up."""
    rows = connection.execute(
        sa.select(commitment.c.state, sa.func.count())
        .where(commitment.c.state.in_(("open", "given_up")))
        .group_by(commitment.c.state)
    )
    found = {"open": 0, "given_up": 0}
    for state, number in rows:
        found[state] = number
    return found


def in_open_commitments(connection: sa.Connection, ids: Collection[str]) -> set[str]:
    """Those of these receipts whose instance an open request references."""
    chosen = (
        sa.select(receipt.c.id)
        .join(commitment_item, commitment_item.c.sop_instance == receipt.c.sop_instance)
        .join(commitment, commitment.c.id == commitment_item.c.commitment)
        .where(receipt.c.id.in_(list(ids)), commitment.c.state == "open")
    )
    return set(connection.scalars(chosen))


@dataclass(frozen=True, slots=True)
class Promised:
    """A receipt whose instance was committed because it is in the spool."""

    receipt: str
    sop_instance: str
    origin: Origin
    """Of the request."""


def promised(connection: sa.Connection, ids: Collection[str]) -> list[Promised]:
    """Those of these receipts, once per requester. Whether its report got through is no matter: it may have."""
    rows = connection.execute(
        sa.select(
            receipt.c.id, receipt.c.sop_instance, commitment.c.calling_ae, commitment.c.called_ae, commitment.c.sender
        )
        .distinct()
        .join(commitment_item, commitment_item.c.sop_instance == receipt.c.sop_instance)
        .join(commitment, commitment.c.id == commitment_item.c.commitment)
        .where(
            receipt.c.id.in_(list(ids)), receipt.c.state != "dropped", receipt.c.path.is_not(None),
            commitment.c.proof == Proof.STORED.value, commitment_item.c.state == "committed",
        )
    )  # fmt: skip
    return [
        Promised(r.id, r.sop_instance, Origin(calling_ae=r.calling_ae, called_ae=r.called_ae, sender=r.sender))
        for r in rows
    ]


def give_up(connection: sa.Connection, ids: Collection[str]) -> int:
    """A person takes back what was promised for these receipts: their files may go. Returns how many instances."""
    uids = {one.sop_instance for one in promised(connection, ids)}
    mine = sa.select(commitment.c.id).where(commitment.c.proof == Proof.STORED.value)
    connection.execute(
        sa.update(commitment_item)
        .where(
            commitment_item.c.sop_instance.in_(sorted(uids)), commitment_item.c.state == "committed",
            commitment_item.c.commitment.in_(mine),
        )
        .values(state="dropped", because="a person dropped it")
    )  # fmt: skip
    return len(uids)


def _read(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> list[Commitment]:
    rows = connection.execute(sa.select(commitment).where(chosen).order_by(commitment.c.at, commitment.c.id))
    return [
        Commitment(
            id=r.id, transaction=UID(r.transaction), proof=Proof(r.proof), at=r.at, tries=r.tries,
            failing_since=r.failing_since, next_at=r.next_at, reason=r.reason,
            origin=Origin(calling_ae=r.calling_ae, called_ae=r.called_ae, sender=r.sender),
        )
        for r in rows
    ]  # fmt: skip
