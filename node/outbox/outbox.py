"""The folder and the rows of what is to be sent. Every commit here waits for the disk."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path

import sqlalchemy as sa

from node.index import Database
from node.index.database import insert
from node.index.generations import give_way, replace_same, replace_waiting
from node.index.schema import delivery, job, parcel, sent
from node.index.settle import settle, sources_of
from node.model import Disclosure, Kind, ReceiptId
from node.outbox.taking import add, link, lock, note_made, open_delivery
from node.outbox.values import Delivery, Goods, Waiting, delivery_id, folder_name
from node.spool.files import Files

Also = Callable[[sa.Connection, set[ReceiptId], int | None], None]
"""(connection, the receipts of all parcels of the delivery, its number of tries or None when nothing was added)"""

_GROUP = 500
_UNTOUCHED = 3600.0
"""Seconds: a folder without a row may belong to a job that is filling it."""


class Outbox:
    """What a job hands over, and what a courier notes of it. Safe for several processes."""

    def __init__(self, root: Path, database: Database, files: Files) -> None:
        self.root, self._database, self._files = root, database, files
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, key: str) -> Path:
        return self.root / folder_name(key)

    def put(
        self, job_id: str, destination: str, goods: Iterable[Goods], disclosure: Disclosure, *, step: int, also: Also
    ) -> int:
        """Take over what step number `step` of a job sends, each file as it comes out of `goods`; returns how many.
        `also` runs in the same transaction: it hands the obligations over and puts the delivery into the engine.

        Repeating it with the same goods changes nothing; a delivery that had ended begins another try. What an
        earlier generation has not brought there yet is replaced. Raises OSError when the disk is full, and what
        `goods` raises; then nothing was taken over.
        """
        key = delivery_id(job_id, destination)
        taken, rows = link(self._files, key, self.folder(key), step, goods, disclosure)
        with self._database.durable.begin() as connection:
            tries = None
            if taken:
                tries = open_delivery(connection, key, job_id, destination, disclosure, self._database.now(connection))
                # Again behind the lock of `open_delivery`: the courier's end may have removed a name since.
                if not all((self.root / str(row["path"])).exists() for row in rows):
                    link(self._files, key, self.folder(key), step, taken, disclosure)
                note_made(connection, taken)
                replace_waiting(connection, job_id, destination)
            else:
                lock(connection, key)
            add(connection, key, step, rows)
            also(connection, sources_of(connection, key), tries)
            settle(connection, key, job_id, destination)
            if taken:
                replace_same(connection, job_id, destination)
        return len(taken)

    def read(self, key: str) -> tuple[Delivery, list[Waiting]] | None:
        """A delivery and its parcels that still wait, in order."""
        with self._database.reader.connect() as connection:
            row = connection.execute(
                sa.select(delivery, job.c.unit, job.c.route, job.c.generation, job.c.delta)
                .join(job, job.c.id == delivery.c.job)
                .where(delivery.c.id == key)
            ).first()
            if row is None:
                return None
            parcels = connection.execute(
                sa.select(parcel).where(parcel.c.delivery == key, parcel.c.state == "waiting").order_by(parcel.c.number)
            ).all()
        found = Delivery(
            id=row.id, job=row.job, destination=row.destination, disclosure=Disclosure(row.disclosure),
            unit=row.unit, route=row.route, generation=row.generation, delta=bool(row.delta),
            state=row.state, reason=row.reason, tries=row.tries, failures=row.failures,
        )  # fmt: skip
        return found, [self._waiting(p) for p in parcels]

    def _waiting(self, row: sa.Row[tuple[object, ...]]) -> Waiting:
        return Waiting(
            number=row.number, path=self.root / row.path, name=row.name, kind=Kind(row.kind),
            sop_class=row.sop_class, sop_instance=row.sop_instance, transfer_syntax=row.transfer_syntax,
            fields=json.loads(row.fields), content=row.content,
            sources=tuple(ReceiptId(r) for r in json.loads(row.sources)),
        )  # fmt: skip

    def already(self, peer: str, instances: Iterable[str]) -> dict[str, str]:
        """What an application entity has acknowledged of these: SOP Instance UID -> SHA-256 of what it has.

        peer: as given to `delivered`.
        """
        wanted = list(instances)
        found: dict[str, str] = {}
        with self._database.reader.connect() as connection:
            for begin in range(0, len(wanted), 500):
                rows = connection.execute(
                    sa.select(sent.c.instance, sent.c.content).where(
                        sent.c.destination == peer, sent.c.instance.in_(wanted[begin : begin + 500])
                    )
                )
                found.update(dict(rows.all()))
        return found

    def delivered(
        self, of: Delivery, parcels: Sequence[Waiting], place: str = "", peer: str = "",
        rest: Set[int] = frozenset(),
    ) -> bool:  # fmt: skip
        """The destination has acknowledged these. Returns when that is on the disk: until then they are in flight,
        and a crash sends them again (see deliver/recording.py for how many those may be).

        place: where a folder holds it. peer: who has it, as AE@host:port, since a destination of the same name
        that is another machine tomorrow has nothing yet; empty: the name stands for it. rest: the numbers of
        what was read with these and is still to be sent. False: it is not to be sent as it was read, for a person,
        a later generation or its job has decided otherwise of it, or of these, meanwhile.
        """
        with self._database.durable.begin() as connection:
            as_read = self._set(connection, of, parcels, "delivered", "", place)
            if not place:
                contents = {p.sop_instance: p.content for p in parcels if p.sop_instance}
                self._acknowledged(connection, peer or of.destination, contents)
            noted = self._note(connection, of, failures=0, failing_since=None)
            return noted and as_read and not rest & self._decided(connection, of)

    def _acknowledged(self, connection: sa.Connection, peer: str, contents: Mapping[str, str]) -> None:
        if not contents:
            return
        common = {"destination": peer, "at": self._database.now(connection)}
        statement = insert(connection, sent)
        statement = statement.on_conflict_do_update(
            index_elements=["destination", "instance"],
            set_={"content": statement.excluded.content, "at": statement.excluded.at},
        )
        connection.execute(statement, [{**common, "instance": i, "content": c} for i, c in contents.items()])

    def refused(self, of: Delivery, parcels: Sequence[Waiting], reason: str) -> bool:
        """The destination will not take these; the others go on. False: as for `delivered`."""
        with self._database.durable.begin() as connection:
            as_read = self._set(connection, of, parcels, "held", reason, only="waiting")
            return self._note(connection, of) and as_read

    def failed(self, of: Delivery, reason: str) -> tuple[int, float] | None:
        """One more try that did not get through. Returns (failures in a row, since when), or None when nobody
        waits for it any more."""
        with self._database.durable.begin() as connection:
            row = connection.execute(
                sa.select(delivery.c.failures, delivery.c.failing_since)
                .where(delivery.c.id == of.id, delivery.c.state == "waiting")
                .with_for_update()
            ).first()
            if row is None:
                return None
            since = row.failing_since if row.failing_since is not None else self._database.now(connection)
            self._note(connection, of, failures=row.failures + 1, failing_since=since, reason=reason)
        return row.failures + 1, since

    def wait(self, of: Delivery, until: float) -> None:
        """Note when the next try is due, for `status`."""
        with self._database.durable.begin() as connection:
            self._note(connection, of, next_at=until)

    def hold(self, of: Delivery, reason: str) -> bool:
        """Everything of this delivery that still waits is held. False when nothing waited any more."""
        with self._database.durable.begin() as connection:
            if not self._note(connection, of, state="held", reason=reason, next_at=None):
                return False
            waiting = sa.and_(parcel.c.delivery == of.id, parcel.c.state == "waiting")
            connection.execute(sa.update(parcel).where(waiting).values(state="held", reason=reason))
            settle(connection, of.id, of.job, of.destination)
            give_way(connection, of.job)
            return True

    def finish(self, of: Delivery) -> str:
        """No parcel waits any more: settle the obligations and let the files go. Returns the new state;
        `waiting` when something was added in the last moment.

        The files go before the lock does, and the folder stays for `clear`: a job may be about to add more.
        """
        with self._database.durable.begin() as connection:
            # Locked: a job may be adding parcels in this moment, see `open_delivery`.
            before = connection.scalars(
                sa.select(delivery.c.state).where(delivery.c.id == of.id).with_for_update()
            ).one()
            parcels = connection.execute(
                sa.select(parcel.c.state, parcel.c.reason, parcel.c.path).where(parcel.c.delivery == of.id)
            ).all()
            states = {p.state for p in parcels}
            if before != "waiting" or "waiting" in states:
                return str(before)
            state = "held" if "held" in states else "dropped" if states == {"dropped"} else "delivered"
            why = next((p.reason for p in parcels if p.state == "held"), "")
            self._note(connection, of, state=state, reason=why, next_at=None)
            settle(connection, of.id, of.job, of.destination)
            if state == "held":
                give_way(connection, of.job)
            for path in {p.path for p in parcels} - {p.path for p in parcels if p.state == "held"}:
                self._files.remove(self.root / path)
        return state

    def published(self, of: Delivery) -> list[str]:
        """Where a folder holds what this delivery brought so far."""
        return self._places(delivery.c.id == of.id)

    def in_force(self, of: Delivery) -> list[str]:
        """Where a folder holds what this generation and later ones brought: all that may stay there."""
        return self._places(
            sa.and_(
                delivery.c.destination == of.destination, job.c.unit == of.unit, job.c.route == of.route,
                job.c.generation >= of.generation,
            )
        )  # fmt: skip

    def clear(self, older_than: float) -> int:
        """Remove the folders of deliveries that are over, also of those that a crash or a person's `drop` left
        behind. `older_than`: seconds since a folder was last touched. Returns how many."""
        with self._database.reader.connect() as connection:
            active = connection.scalars(sa.select(delivery.c.id).where(delivery.c.state.in_(("waiting", "held"))))
            needed = {self.folder(key).name for key in active}
        before = time.time() - max(older_than, _UNTOUCHED)
        count = 0
        for folder in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):  # its courier was quicker
                if folder.name not in needed and folder.stat().st_mtime < before:
                    shutil.rmtree(folder, ignore_errors=True)
                    count += 1
        return count

    def _places(self, chosen: sa.ColumnElement[bool]) -> list[str]:
        with self._database.reader.connect() as connection:
            return list(
                connection.scalars(
                    sa.select(parcel.c.place)
                    .join(delivery, delivery.c.id == parcel.c.delivery)
                    .join(job, job.c.id == delivery.c.job)
                    .where(chosen, parcel.c.state == "delivered", parcel.c.place != "")
                )
            )

    def _note(self, connection: sa.Connection, of: Delivery, **values: object) -> bool:
        """Change a delivery that still waits. False when it does not."""
        changed = connection.execute(
            sa.update(delivery)
            .where(delivery.c.id == of.id, delivery.c.state == "waiting")
            .values(values or {"state": "waiting"})
        )
        return changed.rowcount > 0

    def _decided(self, connection: sa.Connection, of: Delivery) -> set[int]:
        """Numbers of what is not to be sent now."""
        over = sa.and_(parcel.c.delivery == of.id, parcel.c.state.in_(("held", "dropped")))
        return set(connection.scalars(sa.select(parcel.c.number).where(over)))

    def _set(
        self, connection: sa.Connection, of: Delivery, parcels: Sequence[Waiting], state: str, reason: str,
        place: str = "", only: str | None = None,
    ) -> bool:  # fmt: skip
        """Of the content that was read; one that was made anew meanwhile has been neither sent nor answered.
        Whether it is all of them."""
        changed = 0
        for begin in range(0, len(parcels), _GROUP):
            read = [(p.number, p.content) for p in parcels[begin : begin + _GROUP]]
            statement = sa.update(parcel).where(
                parcel.c.delivery == of.id, sa.tuple_(parcel.c.number, parcel.c.content).in_(read)
            )
            if only is not None:
                statement = statement.where(parcel.c.state == only)
            changed += connection.execute(statement.values(state=state, reason=reason, place=place)).rowcount
        return changed == len(parcels)
