"""Recount the ledger from what is on the disk: every row against its file, every file against its row, what waits
against the outbox, what is over against its evidence.

Works beside a running node and without one. Each part is read page by page in transactions of their own, so that
memory does not grow with the database. A page is a snapshot and its files are not: what does not fit is looked at
again, for a while, before it is called a discrepancy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from node.index import Database
from node.index.intake import identity_of
from node.index.ledger import without_row
from node.index.schema import delivery, history, job, obligation, receipt
from node.index.standing import Standing, of_receipts
from node.model import Origin, ReceiptId, UnitKind
from node.report.parcels import contradictions
from node.report.strays import in_outbox, strays
from node.spool import Spool
from node.spool.proof import flaw

_PARTS = ("receipts", "files", "outbox", "deliveries", "jobs")
_PAGE = 500
_DELIVERIES = 20
_MANY = 100
"""Discrepancies after which nothing is waited for any more: it is no moment's doing."""

SEND_AGAIN = "look at the disk, then have the sender send it again: the same bytes are put in its place"
REPORT = "a fault of the node: please report it with the output of `dicom-node explain`"

Row = Any
"""A row of a statement that names its columns."""
Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    subject: str
    """A receipt, a delivery, a job, or a path below the spool."""
    sop_instance: str = ""
    what: str
    remedy: str

    def __str__(self) -> str:
        uid = f" (SOP instance {self.sop_instance})" if self.sop_instance else ""
        return f"{self.subject}{uid}: {self.what}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class _Part(Generic[Subject]):
    """One kind of check: pages of subjects, and what is wrong with some of them now."""

    pages: Iterator[Sequence[Subject]]
    check: Callable[[Sequence[Subject]], list[tuple[Subject, Discrepancy]]]


@dataclass(slots=True)
class Verification:
    """One recount. `checked` counts while it goes on."""

    database: Database
    spool: Spool
    outbox: Path
    routed: frozenset[UnitKind]
    patience: float = 3.0
    """Seconds for which what does not fit is looked at again."""
    advance: Callable[[int], None] = lambda count: None
    checked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_PARTS, 0))
    _found: int = 0

    def total(self) -> int:
        """How many subjects there are, about: rows and deliveries. Files are counted while they are walked."""
        with self.database.reader.connect() as connection:
            counts = [connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in (receipt, delivery, job)]
        return sum(n or 0 for n in counts)

    def discrepancies(self) -> Iterator[Discrepancy]:
        # Files first: one that comes after its folder was walked has its row checked, and one whose row comes after
        # that is looked for again.
        yield from self._part("files", _Part(self._files(), self._strangers))
        yield from self._part("files", _Part(iter([self.spool.unshown()]), self._unshown))
        yield from self._part("outbox", _Part(iter([in_outbox(self.outbox)]), self._in_no_delivery))
        yield from self._part("receipts", _Part(self._ids(receipt, _PAGE), self._receipts))
        yield from self._part("deliveries", _Part(self._ids(delivery, _DELIVERIES), self._deliveries))
        yield from self._part("jobs", _Part(self._ids(job, _PAGE), self._jobs))

    def _part(self, name: str, part: _Part[Subject]) -> Iterator[Discrepancy]:
        for some in part.pages:
            wrong = part.check(some)
            deadline = time.monotonic() + (self.patience if self._found < _MANY else 0.0)
            while wrong and time.monotonic() < deadline:
                time.sleep(min(0.1, self.patience))
                wrong = part.check(list(dict.fromkeys(subject for subject, _ in wrong)))
            self.checked[name] += len(some)
            self._found += len(wrong)
            if name not in ("files", "outbox"):
                self.advance(len(some))
            yield from (discrepancy for _, discrepancy in wrong)

    def _ids(self, table: sa.Table, size: int) -> Iterator[Sequence[str]]:
        after = ""
        while True:
            with self.database.reader.connect() as connection:
                following = sa.select(table.c.id).where(table.c.id > after).order_by(table.c.id).limit(size)
                some = connection.scalars(following).all()
            if not some:
                return
            yield some
            after = some[-1]

    # ---- receipts -------------------------------------------------------------------------------------

    def _receipts(self, ids: Sequence[str]) -> list[tuple[str, Discrepancy]]:
        columns = (c for c in receipt.c if c.key != "header")
        with self.database.reader.connect() as connection:
            found = of_receipts(connection, self.routed, ids)
            rows = {r.id: r for r in connection.execute(sa.select(*columns).where(receipt.c.id.in_(ids)))}
        checked = ((one, self._receipt(found[ReceiptId(one)], rows[one])) for one in ids if one in found)
        return [(one, wrong) for one, wrong in checked if wrong is not None]

    def _receipt(self, one: Standing, row: Row) -> Discrepancy | None:
        what, remedy = "", SEND_AGAIN
        if one.state is None:
            what, remedy = "it is nowhere: no unit, job or delivery that could be true accounts for it", REPORT
        elif one.path is None:
            what = "it is still needed, and its row names no file" if one.needed else ""
        else:
            origin = Origin(calling_ae=row.calling_ae, called_ae=row.called_ae, sender=row.sender)
            try:
                # What has no hash was held when it came, with the reason: its file was damaged then.
                path, identity = self.spool.where(one.path), identity_of(row)
                what = flaw(path, one.receipt, row.sha256, origin, identity) if row.sha256 else ""
            except FileNotFoundError:
                what = "its file is gone from the spool"
        if not what:
            return None
        return Discrepancy(subject=one.receipt, sop_instance=one.sop_instance, what=what, remedy=remedy)

    # ---- files ----------------------------------------------------------------------------------------

    def _files(self) -> Iterator[Sequence[Path]]:
        walked = self._walk()
        while some := list(islice(walked, _PAGE)):
            yield some

    def _walk(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.spool.root):
            at = Path(folder)
            if at == self.spool.root:
                folders[:] = [name for name in folders if name != "incoming"]
            folders.sort()
            yield from (at / name for name in sorted(names))

    def _strangers(self, paths: Sequence[Path]) -> list[tuple[Path, Discrepancy]]:
        with self.database.reader.connect() as connection:
            ids = [path.stem for path in paths if path.stem.isprintable()]
            known = dict(connection.execute(sa.select(receipt.c.id, receipt.c.path).where(receipt.c.id.in_(ids))).all())
        found = ((path, self._stranger(path, known)) for path in paths)
        return [(path, wrong) for path, wrong in found if wrong is not None and os.path.lexists(path)]

    def _stranger(self, path: Path, known: dict[str, str | None]) -> Discrepancy | None:
        place = self.spool.relative(path)
        if path.suffix != ".dcm" or path.stem not in known:
            what = "this file of the spool has no row"
            remedy = (
                "a node that starts indexes it, or holds it when it is not the node's"
                if path.suffix == ".dcm"
                else "nothing of the node's: remove it"
            )
        elif known[path.stem] in (place, None):  # None: its row forgot it, and it goes now or after the next start
            return None
        else:
            what, remedy = "its row names another place", "a copy or a file that was moved: look at both, remove one"
        return Discrepancy(subject=ascii(place)[1:-1], what=what, remedy=remedy)

    def _unshown(self, receipts: Sequence[ReceiptId]) -> list[tuple[ReceiptId, Discrepancy]]:
        """What is kept and has no place in the spool yet: for a moment, or till the next start after a crash."""
        left = [one for one in self.spool.unshown() if one in set(receipts)]
        with self.database.reader.connect() as connection:
            missing = without_row(connection, left)
        what, remedy = "it was kept and has no row", "a node that starts indexes it"
        return [(one, Discrepancy(subject=one, what=what, remedy=remedy)) for one in left if one in missing]

    def _in_no_delivery(self, names: Sequence[str]) -> list[tuple[str, Discrepancy]]:
        what, remedy = "this file of the outbox belongs to no delivery", "nothing of the node's: look at it, remove it"
        found = []
        for name, file in strays(self.database, self.outbox, names):
            subject = f"outbox/{ascii(str(file.relative_to(self.outbox)))[1:-1]}"
            found.append((name, Discrepancy(subject=subject, what=what, remedy=remedy)))
        return found

    # ---- what waits, and what is over -----------------------------------------------------------------

    def _deliveries(self, ids: Sequence[str]) -> list[tuple[str, Discrepancy]]:
        found = []
        for key in ids:
            with self.database.reader.connect() as connection:
                for wrong in contradictions(connection, self.outbox, key):
                    found.append((key, Discrepancy(subject=key, sop_instance=wrong[0], what=wrong[1], remedy=wrong[2])))
        return found

    def _jobs(self, ids: Sequence[str]) -> list[tuple[str, Discrepancy]]:
        owes = sa.exists().where(obligation.c.job == job.c.id).correlate(job)
        produced = sa.exists().where(obligation.c.job == job.c.id, obligation.c.state == "produced").correlate(job)
        stepped = sa.exists().where(history.c.subject == job.c.id, history.c.what == "step").correlate(job)
        with self.database.reader.connect() as connection:
            rows = connection.execute(sa.select(job.c.id, owes, produced, stepped).where(job.c.id.in_(ids))).all()
        found = []
        for key, has_any, has_produced, has_step in rows:
            what = "" if has_any else "it owes nothing for any instance"
            if has_produced and not has_step:
                what = "its output counts as produced, and no step of it is on record"
            if what:
                found.append((key, Discrepancy(subject=f"job {key}", what=what, remedy=REPORT)))
        return found
