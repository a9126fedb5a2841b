"""Rows for what the spool keeps. One writer thread, group commit, always after the bytes.

A row can be derived again from its file, so these commits do not wait for the disk: after a power cut the
sweep finds the files that have no row. The transaction of a group does four things: it writes the
receipts, tells duplicates and loops apart, puts what is new into its units, and opens generation + 1 of a
unit that was complete.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from node.index import Database
from node.index.database import insert
from node.index.prepared import Prepared, PreparedIn
from node.index.schema import SAME_BYTES, member, obligation, produced, receipt, unit
from node.model import UID, Arrival, Identity, ReceiptId, UnitKind

log = logging.getLogger("node.index")

LOOP = "this node made this instance; it came back from {calling_ae}: check the routes of both systems"
TWO_SERIES = (
    "the same SOP Instance UID came before in series {first} of study {first_study}, this one is in series {second} "
    "of study {second_study}: which one is right is not decided here"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a group."""

    current: int
    duplicates: int
    unjudged: int
    held: int


class Intake:
    """Writes groups of arrivals. `record` is called by one thread at a time in each process."""

    def __init__(self, database: Database, kinds: Callable[[], Collection[UnitKind]]) -> None:
        self._database, self._kinds = database, kinds

    def record(self, arrivals: Sequence[Arrival]) -> Counted:
        """Commit one group. Repeats itself when another process indexed one of the instances meanwhile.

        Raises sqlalchemy.exc.OperationalError when the database cannot be reached; nothing was written.
        """
        for attempt in range(3):
            try:
                with self._database.derived.begin() as connection:
                    now = self._database.now(connection)
                    counted, held = _record(connection, arrivals, frozenset(self._kinds()), now)
            except sa.exc.IntegrityError:
                if attempt == 2:
                    raise
            else:
                for row in held:
                    log.warning(
                        "receipt %s (instance %s of series %s, to %s) is held: %s",
                        row["id"], row["sop_instance"], row["series"], row["called_ae"], row["reason"],
                    )  # fmt: skip
                return counted
        raise AssertionError("unreachable")

    def missing(self, ids: Iterable[ReceiptId]) -> set[ReceiptId]:
        """Which of these receipts have no row."""
        wanted = list(ids)
        with self._database.reader.connect() as connection:
            known: set[str] = set()
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                known.update(connection.scalars(sa.select(receipt.c.id).where(receipt.c.id.in_(part))))
        return {r for r in wanted if r not in known}


def _record(
    connection: sa.Connection, arrivals: Sequence[Arrival], kinds: frozenset[UnitKind], now: float
) -> tuple[Counted, list[Mapping[str, object]]]:
    """What became of a group, and the rows of it that are held."""
    # In one order everywhere: two processes that are sent the same instances would otherwise wait for each
    # other's rows on PostgreSQL, and one of them be ended as the victim of a deadlock.
    fresh = sorted(_without_known(connection, arrivals), key=lambda a: (a.origin.called_ae, a.identity.sop_instance))
    before, undecided = _known_before(connection, fresh)
    loops = _made_here(connection, fresh)
    rows: list[Mapping[str, object]] = []
    members = []
    for arrival in fresh:
        key = (arrival.origin.called_ae, arrival.identity.sop_instance)
        waits = undecided.setdefault(key, _Undecided())
        state, reason, against = _judge(arrival, before.get(key), waits, loops)
        if state == "current":
            if against is not None:
                _take_the_place(connection, against, arrival.receipt)
            before[key] = _Known(arrival.receipt, arrival.sha256, arrival.identity, wanted=False)
            members.append(arrival)
        elif state in _UNDECIDED:
            waits.note(state, _bytes_of(arrival), arrival.receipt)
        rows.append(_row(arrival, state, reason, against))
    if rows:
        _INSERT.run_all(connection, rows)
    join_units(connection, [(a.receipt, a.origin.called_ae, a.identity) for a in members], kinds, now)
    states = Counter(str(row["state"]) for row in rows)
    counted = Counted(states["current"], states["duplicate"], states["unjudged"], states["held"])
    return counted, [row for row in rows if row["state"] == "held"]


_UNDECIDED = ("held", "unjudged")

_Bytes = tuple[str, str]
"""(SHA-256, transfer syntax)"""


@dataclass(frozen=True, slots=True)
class _Known:
    """The instance that is current under a SOP Instance UID."""

    receipt: str
    sha256: str
    identity: Identity
    wanted: bool
    """A held job waits for its file to come again."""

    @property
    def bytes(self) -> _Bytes:
        return self.sha256, self.identity.transfer_syntax


@dataclass(slots=True)
class _Undecided:
    """What waits for a decision under a SOP Instance UID. What is decided for it is decided for its copies too: to
    hold each of them anew would only ask a person the same again."""

    held: dict[_Bytes, str] = field(default_factory=dict)
    """Bytes -> receipt."""
    last: tuple[_Bytes, str] | None = None
    """The latest that is to be compared. What comes behind it is judged behind it: it may be the newest."""

    def note(self, state: str, of: _Bytes, receipt_id: str) -> None:
        if state == "held":
            self.held.setdefault(of, receipt_id)
        else:
            self.last = of, receipt_id


def _bytes_of(arrival: Arrival) -> _Bytes:
    return arrival.sha256, arrival.identity.transfer_syntax


def _judge(
    arrival: Arrival, known: _Known | None, waits: _Undecided, loops: dict[str, tuple[set[str], bool]]
) -> tuple[str, str, str | None]:
    """-> (state, reason, the receipt it is compared with)."""
    if arrival.held:
        return "held", arrival.held, None
    content = _bytes_of(arrival)
    if same := _same_as(content, known, waits):
        return "duplicate", SAME_BYTES, same
    made = loops.get(arrival.identity.sop_instance)
    if made is not None and (made[1] or arrival.sha256 in made[0]):
        return "held", LOOP.format(calling_ae=arrival.origin.calling_ae or "a folder"), None
    if known is None:
        return ("unjudged", "", waits.last[1]) if waits.last else ("current", "", None)
    if known.bytes == content and known.wanted:
        return "current", "", known.receipt
    first, second = known.identity, arrival.identity
    if (first.study, first.series) != (second.study, second.series):
        why = TWO_SERIES.format(
            first=first.series, first_study=first.study, second=second.series, second_study=second.study
        )
        return "held", why, known.receipt
    return "unjudged", "", known.receipt


def _same_as(content: _Bytes, known: _Known | None, waits: _Undecided) -> str | None:
    """The receipt that these bytes only repeat."""
    if waits.last is not None:
        return waits.last[1] if waits.last[0] == content else None
    if known is not None and known.bytes == content and not known.wanted:
        return known.receipt
    return waits.held.get(content)


def _row(arrival: Arrival, state: str, reason: str, against: str | None) -> dict[str, object]:
    return {
        "id": arrival.receipt, "received": arrival.received.timestamp(),
        "calling_ae": arrival.origin.calling_ae, "called_ae": arrival.origin.called_ae,
        "sender": arrival.origin.sender,
        "sop_class": arrival.identity.sop_class, "sop_instance": arrival.identity.sop_instance,
        "study": arrival.identity.study, "series": arrival.identity.series,
        "transfer_syntax": arrival.identity.transfer_syntax,
        "size": arrival.size, "sha256": arrival.sha256, "path": arrival.path, "header": arrival.header,
        "state": state, "reason": reason, "against": against,
    }  # fmt: skip


def _without_known(connection: sa.Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """A file that is indexed a second time (sweep beside a live writer) changes nothing."""
    known = {row.id for row in _ROWS.run(connection, [a.receipt for a in arrivals])} if arrivals else set()
    return list({a.receipt: a for a in arrivals if a.receipt not in known}.values())


def _known_before(
    connection: sa.Connection, arrivals: Sequence[Arrival]
) -> tuple[dict[tuple[str, str], _Known], dict[tuple[str, str], _Undecided]]:
    """(what is current, what waits for a decision) by called AE and SOP Instance UID."""
    instances = list({a.identity.sop_instance for a in arrivals} - {""})
    every = _SAME_INSTANCE.run(connection, instances) if instances else ()
    rows = [
        row for row in sorted(every, key=lambda row: (row.received, row.id)) if row.state in ("current", *_UNDECIDED)
    ]
    gone = [r.id for r in rows if r.path is None and r.state == "current"]
    held = sa.select(obligation.c.receipt).where(obligation.c.receipt.in_(gone), obligation.c.state == "held")
    wanted = set(connection.scalars(held)) if gone else set()
    current = {
        (r.called_ae, r.sop_instance): _Known(r.id, r.sha256, identity_of(r), wanted=r.id in wanted)
        for r in rows
        if r.state == "current"
    }
    undecided: dict[tuple[str, str], _Undecided] = {}
    for r in rows:
        if r.state in _UNDECIDED:
            waits = undecided.setdefault((r.called_ae, r.sop_instance), _Undecided())
            waits.note(r.state, (r.sha256, r.transfer_syntax), r.id)
    return current, undecided


def _take_the_place(connection: sa.Connection, gone: str, new: ReceiptId) -> None:
    """The same bytes again, after retention removed the first file and while a held job asks for it: the new
    one goes on in its place, and what was held for the old one is over."""
    connection.execute(
        sa.update(receipt)
        .where(receipt.c.id == gone)
        .values(state="superseded", reason="its file had left the spool; it came again", against=new)
    )
    connection.execute(
        sa.update(obligation)
        .where(obligation.c.receipt == gone, obligation.c.state == "held")
        .values(state="replaced", reason="it came again")
    )


def _made_here(connection: sa.Connection, arrivals: Sequence[Arrival]) -> dict[str, tuple[set[str], bool]]:
    instances = list({a.identity.sop_instance for a in arrivals})
    found: dict[str, tuple[set[str], bool]] = {}
    for row in _MADE.run(connection, instances) if instances else ():
        contents, ours = found.get(row.sop_instance, (set(), False))
        found[row.sop_instance] = (contents | {row.content}, ours or bool(row.renamed))
    return found


def join_again(connection: sa.Connection, receipt_id: str, kinds: Collection[UnitKind], now: float) -> None:
    """Put an instance into its units that had a row and belonged to none: it was held, or was being compared."""
    row = connection.execute(sa.select(receipt).where(receipt.c.id == receipt_id)).one()
    join_units(connection, [(ReceiptId(receipt_id), row.called_ae, identity_of(row))], kinds, now)


def identity_of(row: sa.Row[tuple[Any, ...]]) -> Identity:
    """Of a row of receipts."""
    return Identity(
        sop_class=UID(row.sop_class), sop_instance=UID(row.sop_instance), study=UID(row.study),
        series=UID(row.series), transfer_syntax=UID(row.transfer_syntax),
    )  # fmt: skip


def unit_keys(identity: Identity, kinds: Collection[UnitKind]) -> list[tuple[UnitKind, str, str, str]]:
    """(kind, uid, study, series) of every unit that an instance belongs to."""
    keys = (
        (UnitKind.STUDY, str(identity.study), str(identity.study), ""),
        (UnitKind.SERIES, str(identity.series), str(identity.study), str(identity.series)),
        (UnitKind.INSTANCE, str(identity.sop_instance), str(identity.study), str(identity.series)),
    )
    return [key for key in keys if key[0] in kinds]


def join_units(
    connection: sa.Connection,
    arrivals: Sequence[tuple[ReceiptId, str, Identity]],
    kinds: Collection[UnitKind],
    now: float,
) -> None:
    """Put instances into their units: (receipt, called AE, identity) each.

    A unit that was complete opens its next generation. Units are touched in sorted order: two processes
    that index the same study would otherwise lock its rows in opposite order on PostgreSQL.
    """
    into: dict[tuple[str, str, str, str, str], list[ReceiptId]] = {}
    for receipt_id, called_ae, identity in arrivals:
        for kind, uid, study, series in unit_keys(identity, kinds):
            into.setdefault((kind.value, called_ae, uid, study, series), []).append(receipt_id)
    rows = []
    for key in sorted(into):
        unit_id, generation = _touch(connection, key, len(into[key]), now)
        rows += [{"unit": unit_id, "receipt": r, "generation": generation} for r in into[key]]
    if rows:
        _JOIN.run_all(connection, rows)


def _touch(connection: sa.Connection, key: tuple[str, str, str, str, str], count: int, now: float) -> tuple[int, int]:
    kind, called_ae, uid, study, series = key
    row = _TOUCH.run(
        connection,
        {
            "kind": kind, "called_ae": called_ae, "uid": uid, "study": study, "series": series,
            "count": count, "now": now,
        },
    ).one()  # fmt: skip
    return int(row.id), int(row.generation)


def _touching(connection: sa.Connection) -> sa.ClauseElement:
    key = {name: sa.bindparam(name, type_=sa.Text) for name in ("kind", "called_ae", "uid", "study", "series")}
    count, now = sa.bindparam("count", type_=sa.Integer), sa.bindparam("now", type_=sa.Float)
    reopened = unit.c.state == "complete"
    return (
        insert(connection, unit)
        .values(**key, generation=1, state="open", count=count, first_at=now, last_at=now)
        .on_conflict_do_update(
            index_elements=[unit.c.kind, unit.c.called_ae, unit.c.uid],
            set_={
                "generation": sa.case((reopened, unit.c.generation + 1), else_=unit.c.generation),
                "count": sa.case((reopened, count), else_=unit.c.count + count),
                "first_at": sa.case((reopened, now), else_=unit.c.first_at),
                "last_at": now,
                "state": "open",
            },
        )
        .returning(unit.c.id, unit.c.generation)
    )


_ROWS = PreparedIn(sa.select(receipt.c.id), receipt.c.id)
# The state is not asked for in SQL: SQLite then takes the index on it, and reads every current row of the
# database for every group. An instance has few rows.
_SAME_INSTANCE = PreparedIn(
    sa.select(
        *(receipt.c[name] for name in ("id", "received", "called_ae", "state", "path", "sha256")),
        *(receipt.c[name] for name in ("sop_class", "sop_instance", "study", "series", "transfer_syntax")),
    ),
    receipt.c.sop_instance,
)
_MADE = PreparedIn(sa.select(produced.c.sop_instance, produced.c.content, produced.c.renamed), produced.c.sop_instance)
_INSERT = Prepared(lambda _: sa.insert(receipt))
_TOUCH = Prepared(_touching)
_JOIN = Prepared(lambda _: sa.insert(member))
