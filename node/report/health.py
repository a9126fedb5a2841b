"""What a monitor asks: is the node well, and how much waits where."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from node.index import Database
from node.index.ledger import Ledger, count
from node.index.schema import delivery, job, parcel
from node.model import ReceiptId, UnitKind
from node.report.metrics import Figures
from node.rules import Rules
from node.spool import Spool

_FRESH = 15.0
"""Seconds that a count of the ledger is used again: it reads every row."""


@dataclass(slots=True)
class Health:
    """Reads the database when asked. Thread-safe."""

    database: Database
    rules: Rules
    spool: Spool
    routed: Callable[[], frozenset[UnitKind]]
    low: Callable[[], str] = str
    """Why instances are refused for want of room; empty when they are taken."""
    associations: Callable[[], int] = int
    """Established at this moment."""
    broken: Callable[[], str] = str
    """Why a changed TLS certificate is not in use; empty when all are."""
    certificates: Callable[[], Mapping[str, float]] = dict
    """Days until each of ours ends."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted: float = float("-inf")
    _ledger: Ledger | None = None

    def check(self) -> tuple[bool, dict[str, Any]]:
        """(well, facts). Not well: the database or the spool cannot be used. Rules that are broken on disk are
        said, and do not make the node unwell: the old ones are in force."""
        facts: dict[str, Any] = {"rules": self.rules.broken.splitlines()[0] if self.rules.broken else "in force"}
        well = True
        if broken := self.broken():
            facts["tls"] = broken
        try:
            with self.database.reader.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
            facts["database"] = "ok"
        except sa.exc.SQLAlchemyError as error:
            well, facts["database"] = False, type(error).__name__
        try:
            room = self.spool.files.room(self.spool.root)
            low = self.low()
            enough = room.bytes >= self.rules.current().node.limits.keep_free and not low
            facts["free_bytes"], facts["receiving"] = room.bytes, enough
            if low:
                facts["disk"] = low
            well = well and enough
        except OSError as error:
            well, facts["spool"] = False, error.strerror or "cannot be used"
        return well, facts

    def figures(self) -> Figures:
        with self.database.reader.connect() as connection:
            queues = connection.execute(
                sa.select(delivery.c.destination, sa.func.count())
                .join(parcel, parcel.c.delivery == delivery.c.id)
                .where(parcel.c.state == "waiting")
                .group_by(delivery.c.destination)
            )
            waiting: dict[str, int] = dict(queues.all())
            running = connection.scalar(sa.select(sa.func.count()).where(job.c.state.in_(("queued", "running"))))
        ledger = self.ledger()
        return Figures(
            states={state.value: n for state, n in ledger.states.items()}, queues=waiting, jobs=int(running or 0),
            associations=self.associations(), low=bool(self.low()), certificates=self.certificates(),
        )  # fmt: skip

    def ledger(self, *, fresh: float = _FRESH) -> Ledger:
        """A count that is at most `fresh` seconds old."""
        with self._lock:
            if self._ledger is None or time.monotonic() - self._counted > fresh:
                with self.database.reader.connect() as connection:
                    self._ledger = take_ledger(connection, self.spool, self.routed())
                self._counted = time.monotonic()
            return self._ledger


def take_ledger(
    connection: sa.Connection, spool: Spool, routed: frozenset[UnitKind], *, patience: float = 2.0
) -> Ledger:
    """Count now. An instance gets its row a moment after its file, and retention takes them in the other order;
    so what does not fit is counted again, for at most `patience` seconds, before it is called a fault."""
    # In this order: what is shown in between is then in both.
    spooled = {*spool.unshown(), *(ReceiptId(path.stem) for path in spool.kept())}
    deadline = time.monotonic() + patience
    while True:
        ledger = count(connection, spooled, routed, lambda path: spool.where(path).exists())
        if not (ledger.unindexed or ledger.missing) or time.monotonic() > deadline:
            return ledger
        connection.rollback()  # the next count must see another state of the database
        time.sleep(0.05)
