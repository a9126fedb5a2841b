"""What waits for a destination. Survives restarts; belongs to nobody's work folder.

    delivery    a waiting --b--> delivered      every parcel is delivered, held or dropped, none waits
                waiting --c--> held             gave up, or a person must decide, see `reason`
                held    --d--> waiting          a person: retry, release
                waiting, held --e--> dropped    a person: drop

A delivery is one job and one destination. Its parcels are hard links below outbox/<delivery>/, synced
before their rows, so that what a step's work folder does later, and retention, cannot take them away.
A parcel that the destination already acknowledged with the same content (`sent`) is never sent again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from node.index import Database
from node.index.database import insert
from node.index.schema import delivery, job, obligation, parcel, produced, sent
from node.model import Disclosure, Kind, ReceiptId
from node.spool.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Goods:
    """One file that a job sends."""

    path: Path
    kind: Kind
    sop_class: str = ""
    sop_instance: str = ""
    transfer_syntax: str = ""
    fields: Mapping[str, str]
    content: str
    """SHA-256 of what is sent: the data set for DICOM, the file otherwise."""
    sources: tuple[ReceiptId, ...]
    renamed: bool = False
    """Its SOP Instance UID was made here."""
    changed: bool = False
    """Its content differs from what was received under this UID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A parcel that is to be sent."""

    number: int
    path: Path
    name: str
    kind: Kind
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    fields: Mapping[str, str]
    content: str
    sources: tuple[ReceiptId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    id: str
    job: str
    destination: str
    disclosure: Disclosure
    owner: str
    """Who owns what a folder publishes: <unit>.<route>, the same for every generation."""
    delta: bool
    """Earlier generations' files stay."""
    state: str
    reason: str
    tries: int
    failures: int
    failing_since: float | None
    created: float


def delivery_id(job_id: str, destination: str) -> str:
    return f"{job_id}>{destination}"


class Outbox:
    """The folder and the rows of what is to be sent. Every commit here waits for the disk."""

    def __init__(self, root: Path, database: Database, files: Files) -> None:
        self.root, self._database, self._files = root, database, files
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, delivery: str) -> Path:
        """Named by a hash: a route or destination may have a name that no file system takes."""
        return self.root / hashlib.sha256(delivery.encode()).hexdigest()[:24]

    def put(
        self,
        job_id: str,
        destination: str,
        goods: Sequence[Goods],
        disclosure: Disclosure,
        also: Callable[[sa.Connection, str, int], None],
    ) -> str:
        """Take files over. `also(connection, delivery, tries)` runs in the same transaction: it hands the
        obligations over and puts the delivery into the engine. Repeating it with the same goods changes
        nothing; a delivery that had ended begins another try. Raises OSError when the disk is full; then
        nothing was taken over.
        """
        key = delivery_id(job_id, destination)
        folder = self.folder(key)
        self._files.make_folder(folder)
        rows = [self._link(key, folder, one) for one in goods]
        self._files.sync_folder(folder)
        with self._database.durable.begin() as connection:
            now = self._database.now(connection)
            known = connection.execute(
                sa.select(delivery.c.state, delivery.c.tries).where(delivery.c.id == key)
            ).first()
            tries = 1 if known is None else known.tries + (known.state != "waiting")
            _upsert(connection, delivery, ("id",), [{
                "id": key, "job": job_id, "destination": destination, "disclosure": disclosure.value,
                "state": "waiting", "reason": "", "tries": tries, "failures": 0, "failing_since": None,
                "next_at": None, "created": now,
            }], update=("state", "reason", "disclosure", "tries"))  # fmt: skip
            self._add(connection, key, rows)
            made = [
                {"sop_instance": g.sop_instance, "content": g.content, "renamed": g.renamed}
                for g in goods
                if g.sop_instance and (g.renamed or g.changed)
            ]
            _upsert(connection, produced, ("sop_instance", "content"), made)
            also(connection, key, tries)
        return key

    def _link(self, key: str, folder: Path, goods: Goods) -> dict[str, object]:
        # The name carries the content, so that a rerun with other content never overwrites a link under way.
        name = f"{goods.content[:16]}-{goods.path.name}"
        target = folder / name
        if not target.exists():
            self._files.link(goods.path, target)
        self._files.sync_path(target)
        return {
            "delivery": key, "path": f"{folder.name}/{name}", "name": goods.path.name, "kind": goods.kind.value,
            "sop_class": goods.sop_class, "sop_instance": goods.sop_instance,
            "transfer_syntax": goods.transfer_syntax, "fields": json.dumps(dict(goods.fields)),
            "content": goods.content, "size": target.stat().st_size, "sources": json.dumps(list(goods.sources)),
            "state": "waiting", "reason": "",
        }  # fmt: skip

    def _add(self, connection: sa.Connection, key: str, rows: Sequence[dict[str, object]]) -> None:
        """New parcels only: one that is there with the same name keeps its number, and, when its content is the
        same, its state."""
        there = {
            name: (number, content, state)
            for number, name, content, state in connection.execute(
                sa.select(parcel.c.number, parcel.c.name, parcel.c.content, parcel.c.state).where(
                    parcel.c.delivery == key
                )
            )
        }
        following = max((number for number, _, _ in there.values()), default=0) + 1
        for row in rows:
            known = there.get(str(row["name"]))
            if known is None:
                connection.execute(sa.insert(parcel).values(number=following, **row))
                following += 1
            elif known[1] != row["content"] or known[2] in ("held", "dropped"):
                connection.execute(
                    sa.update(parcel).where(parcel.c.delivery == key, parcel.c.number == known[0]).values(**row)
                )

    def read(self, key: str) -> tuple[Delivery, list[Waiting]] | None:
        """A delivery and its parcels that still wait, in order."""
        with self._database.reader.connect() as connection:
            row = connection.execute(
                sa.select(delivery, job.c.unit, job.c.route, job.c.delta)
                .join(job, job.c.id == delivery.c.job)
                .where(delivery.c.id == key)
            ).first()
            if row is None:
                return None
            parcels = connection.execute(
                sa.select(parcel)
                .where(parcel.c.delivery == key, parcel.c.state == "waiting")
                .order_by(parcel.c.number)
            ).all()
        found = Delivery(
            id=row.id, job=row.job, destination=row.destination, disclosure=Disclosure(row.disclosure),
            owner=f"{row.unit}.{row.route}", delta=bool(row.delta),
            state=row.state, reason=row.reason, tries=row.tries, failures=row.failures,
            failing_since=row.failing_since, created=row.created,
        )  # fmt: skip
        return found, [self._waiting(p) for p in parcels]

    def _waiting(self, row: sa.Row[tuple[object, ...]]) -> Waiting:
        return Waiting(
            number=row.number, path=self.root / row.path, name=row.name, kind=Kind(row.kind),
            sop_class=row.sop_class, sop_instance=row.sop_instance, transfer_syntax=row.transfer_syntax,
            fields=json.loads(row.fields), content=row.content,
            sources=tuple(ReceiptId(r) for r in json.loads(row.sources)),
        )  # fmt: skip

    def already(self, destination: str, instances: Iterable[str]) -> dict[str, str]:
        """What the destination has acknowledged of these: instance -> SHA-256 of the content it has."""
        wanted, found = list(instances), {}
        with self._database.reader.connect() as connection:
            for begin in range(0, len(wanted), 500):
                for instance, content in connection.execute(
                    sa.select(sent.c.instance, sent.c.content).where(
                        sent.c.destination == destination, sent.c.instance.in_(wanted[begin : begin + 500])
                    )
                ):
                    found[instance] = content
        return found

    def delivered(
        self, of: Delivery, parcels: Sequence[Waiting], instance: Callable[[Waiting], str], place: str = ""
    ) -> None:
        """The destination has acknowledged these. Returns when that is on the disk: only then may the next
        one be sent, so that a crash repeats what was in flight and nothing else."""
        with self._database.durable.begin() as connection:
            now = self._database.now(connection)
            self._set(connection, of, [p.number for p in parcels], "delivered", "", place)
            _upsert(connection, sent, ("destination", "instance"), [
                {"destination": of.destination, "instance": instance(p), "content": p.content, "at": now}
                for p in parcels
            ], update=("content", "at"))  # fmt: skip
            connection.execute(
                sa.update(delivery).where(delivery.c.id == of.id).values(failures=0, failing_since=None)
            )

    def refused(self, of: Delivery, one: Waiting, reason: str) -> None:
        """The destination will not take this one; the others go on."""
        with self._database.durable.begin() as connection:
            self._set(connection, of, [one.number], "held", reason)

    def places(self, of: Delivery) -> list[str]:
        """Where a folder holds what was delivered so far."""
        with self._database.reader.connect() as connection:
            return list(
                connection.scalars(
                    sa.select(parcel.c.place).where(parcel.c.delivery == of.id, parcel.c.state == "delivered")
                )
            )

    def _set(
        self, connection: sa.Connection, of: Delivery, numbers: Sequence[int], state: str, reason: str, place: str = ""
    ) -> None:
        connection.execute(
            sa.update(parcel)
            .where(parcel.c.delivery == of.id, parcel.c.number.in_(list(numbers)))
            .values(state=state, reason=reason, place=place)
        )

    def failed(self, of: Delivery, reason: str) -> tuple[int, float]:
        """One more try that did not get through. Returns (failures in a row, since when)."""
        with self._database.durable.begin() as connection:
            now = self._database.now(connection)
            since = of.failing_since if of.failing_since is not None else now
            current = connection.scalar(sa.select(delivery.c.failures).where(delivery.c.id == of.id)) or 0
            if current == 0:
                since = now
            connection.execute(
                sa.update(delivery)
                .where(delivery.c.id == of.id)
                .values(failures=current + 1, failing_since=since, reason=reason)
            )
        return current + 1, since

    def wait(self, of: Delivery, until: float) -> None:
        """Note when the next try is due, for `status`."""
        with self._database.durable.begin() as connection:
            connection.execute(sa.update(delivery).where(delivery.c.id == of.id).values(next_at=until))

    def hold(self, of: Delivery, reason: str) -> None:
        """Everything of this delivery that still waits is held."""
        with self._database.durable.begin() as connection:
            waiting = sa.and_(parcel.c.delivery == of.id, parcel.c.state == "waiting")
            connection.execute(sa.update(parcel).where(waiting).values(state="held", reason=reason))
            connection.execute(
                sa.update(delivery).where(delivery.c.id == of.id).values(state="held", reason=reason, next_at=None)
            )
            settle(connection, of)

    def finish(self, of: Delivery) -> str:
        """No parcel waits any more: settle the obligations and let the files go. Returns the new state."""
        with self._database.durable.begin() as connection:
            states = dict(
                connection.execute(
                    sa.select(parcel.c.state, sa.func.min(parcel.c.reason))
                    .where(parcel.c.delivery == of.id)
                    .group_by(parcel.c.state)
                )
                .tuples()
                .all()
            )
            if "waiting" in states:
                return "waiting"
            state = "held" if "held" in states else "delivered"
            connection.execute(
                sa.update(delivery)
                .where(delivery.c.id == of.id)
                .values(state=state, reason=states.get("held", ""), next_at=None)
            )
            settle(connection, of)
            gone = connection.scalars(
                sa.select(parcel.c.path).where(parcel.c.delivery == of.id, parcel.c.state != "held")
            ).all()
        for path in gone:
            self._files.remove(self.root / path)
        if state == "delivered":
            shutil.rmtree(self.folder(of.id), ignore_errors=True)
        return state


def settle(connection: sa.Connection, of: Delivery) -> None:
    """Obligations of one delivery from its parcels: an instance is delivered when everything made from it is,
    and held when anything of it is."""
    worst: dict[str, tuple[str, str]] = {}
    order = {"delivered": 0, "dropped": 1, "waiting": 2, "held": 3}
    for sources, state, reason in connection.execute(
        sa.select(parcel.c.sources, parcel.c.state, parcel.c.reason).where(parcel.c.delivery == of.id)
    ):
        for receipt in json.loads(sources):
            known = worst.get(receipt)
            if known is None or order[state] > order[known[0]]:
                worst[receipt] = (state, reason)
    by_state: dict[tuple[str, str], list[str]] = {}
    for receipt, result in worst.items():
        by_state.setdefault(result, []).append(receipt)
    for (state, reason), receipts in by_state.items():
        for begin in range(0, len(receipts), 500):
            connection.execute(
                sa.update(obligation)
                .where(
                    obligation.c.job == of.job, obligation.c.target == of.destination,
                    obligation.c.receipt.in_(receipts[begin : begin + 500]),
                    obligation.c.state.in_(("waiting", "held", "delivered")),
                )
                .values(state=state, reason=reason if state == "held" else "")
            )  # fmt: skip


def _upsert(
    connection: sa.Connection, table: sa.Table, keys: Sequence[str], rows: Sequence[Mapping[str, object]],
    update: Sequence[str] = (),
) -> None:  # fmt: skip
    if not rows:
        return
    statement = insert(connection, table)
    if update:
        statement = statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in update}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    connection.execute(statement, list(rows))
