"""What a monitor asks: is the node well, and how much waits where."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa

from node.index import Database
from node.index.commitments import unanswered
from node.index.ledger import Ledger, count, look_again
from node.index.overview import jobs_under_way, queues
from node.model import ReceiptId, UnitKind
from node.report.balance import RunningCheck
from node.report.metrics import Figures
from node.rules import Rules
from node.spool import Spool


@dataclass(slots=True)
class Health:
    """Reads the database when asked. Thread-safe."""

    database: Database
    rules: Rules
    spool: Spool
    balance: RunningCheck
    low: Callable[[], str] = str
    """Why instances are refused for want of room; empty when they are taken."""
    associations: Callable[[], int] = int
    """Established at this moment."""
    damaged: Callable[[], str] = str
    """Why the database takes no rows until a person acts, though it can be opened; empty when it does."""
    broken: Callable[[], str] = str
    """Why a changed TLS certificate is not in use; empty when all are."""
    certificates: Callable[[], Mapping[str, float]] = dict
    """Days until each of ours ends."""

    def check(self) -> tuple[bool, dict[str, Any]]:
        """(well, facts). Not well: the database or the spool cannot be used. Rules that are broken on disk are
        said, and do not make the node unwell: the old ones are in force. Nor does a ledger that does not balance:
        who sends would be turned away for what another start does not cure."""
        facts: dict[str, Any] = {"rules": self.rules.broken.splitlines()[0] if self.rules.broken else "in force"}
        facts["ledger"] = str(self.balance.last())
        well = True
        if broken := self.broken():
            facts["tls"] = broken
        try:
            with self.database.reader.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
            why = self.damaged()
            well, facts["database"] = not why, why or "ok"
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
            waiting, jobs, asked = queues(connection), jobs_under_way(connection), unanswered(connection)
        balance = self.balance.known()
        return Figures(
            states={state.value: n for state, n in balance.states.items()}, queues=waiting, jobs=jobs,
            commitments=asked,
            associations=self.associations(), low=bool(self.low()), certificates=self.certificates(),
            faults=balance.faults, recounted=balance.age,
        )  # fmt: skip


def take_ledger(
    connection: sa.Connection, spool: Spool, routed: frozenset[UnitKind], *, patience: float = 2.0
) -> Ledger:
    """Count now. An instance gets its row a moment after its file, and retention takes them in the other order;
    so what does not fit is looked up again, for at most `patience` seconds, before it is called a fault."""

    def there(path: str) -> bool:
        return spool.where(path).exists()

    # In this order: what is shown in between is then in both.
    spooled = chain(spool.unshown(), (ReceiptId(path.stem) for path in spool.kept()))
    ledger = count(connection, spooled, routed, there)
    deadline = time.monotonic() + patience
    while (ledger.without_row or ledger.missing) and time.monotonic() < deadline:
        connection.rollback()  # the next look must see another state of the database
        time.sleep(0.05)
        ledger = look_again(connection, ledger, routed, there)
    return ledger
