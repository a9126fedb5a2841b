"""Files leave when nothing needs them any more; rows stay as the ledger's tombstones.

An instance as received leaves the spool when every obligation for it is over and `keep: received` has passed.
What is held, waits, is in a job, or went through no route stays: a person may still need it. So do the other
members of a job that still owes something: a retry makes everything from the spool again; what somebody wants to be
committed, until that is answered; and what was committed because it is in the spool, until its original is elsewhere.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.config import Config
from node.engine.engine import Engine
from node.index import Database
from node.index.commitments import Promised, in_open_commitments, promised
from node.index.ledger import instance_states
from node.index.proofs import proofs
from node.index.schema import job, obligation, receipt
from node.model import Origin, State, UnitKind
from node.outbox import Outbox
from node.run.results import ahead_folder, job_folder
from node.spool import Spool

log = logging.getLogger("node.retention")

OVER = frozenset({State.DELIVERED, State.PRODUCED, State.DROPPED, State.DUPLICATE, State.SUPERSEDED, State.IGNORED})
_EVERY = 300.0
_GROUP = 500
_UNTOUCHED = 3600.0
"""Seconds: a folder without a row may belong to a job that is just being made."""


@dataclass(slots=True)
class Retention:
    """Removes files. Safe beside everything else: it looks at the state again in the moment it removes."""

    database: Database
    spool: Spool
    outbox: Outbox
    work: Path
    engine: Engine
    config: Callable[[], Config]
    reach: Callable[[str], None] = lambda point: None
    _last: float = field(default_factory=time.monotonic)
    _swept: bool = False
    """Whether no file is left that its row has forgotten."""

    def sometimes(self) -> None:
        """Called often; does its work every five minutes."""
        if time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            self.once()

    def once(self) -> tuple[int, int]:
        """Remove what is over. Returns (instances, folders of jobs and deliveries) removed."""
        keep = self.config().node.keep
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
        instances = self._received(now - keep.received.total_seconds())
        if not self._swept:
            self._left_behind()
            self._swept = True
        folders = self._work(now - keep.finished.total_seconds())
        folders += self.outbox.clear(keep.finished.total_seconds())
        self.engine.prune(keep.finished)
        self.spool.forget_empty_folders()
        if instances or folders:
            log.info("retention removed %d instances and %d folders", instances, folders)
        return instances, folders

    def _received(self, before: float) -> int:
        removed = 0
        last = ""
        while True:
            with self.database.reader.connect() as connection:
                ids = connection.scalars(
                    sa.select(receipt.c.id)
                    .where(receipt.c.received < before, receipt.c.path.is_not(None), receipt.c.id > last)
                    .order_by(receipt.c.id)
                    .limit(_GROUP)
                ).all()
                over = _over(connection, ids, self.config())
            if not ids:
                return removed
            last = ids[-1]
            removed += self._forget(over)

    def _forget(self, ids: Sequence[str]) -> int:
        """The row forgets the file first, then the file goes: a crash between the two leaves a file without a
        use, which `_left_behind` finds, and never a row that names a file that is gone."""
        if not ids:
            return 0
        with self.database.durable.begin() as connection:
            # Under the locks of the rows, so that nobody is told meanwhile that they are here (`still_spooled`).
            ids = connection.scalars(
                sa.select(receipt.c.id)
                .where(receipt.c.id.in_(ids), receipt.c.path.is_not(None))
                .order_by(receipt.c.id)
                .with_for_update(key_share=True)
            ).all()
            ids = _over(connection, ids, self.config())  # again: a late arrival may need it since
            rows = connection.execute(sa.select(receipt.c.id, receipt.c.path).where(receipt.c.id.in_(ids))).all()
            connection.execute(sa.update(receipt).where(receipt.c.id.in_(ids)).values(path=None, header=None))
        self.reach("retention forgot")
        try:
            for row in rows:
                self.spool.files.remove(self.spool.where(row.path))
        except OSError:
            self._swept = False  # what a failing disk keeps is found as after a crash
            raise
        return len(rows)

    def _left_behind(self) -> None:
        """Files whose rows forgot them before a crash, or before the disk failed. Once in a process, and once more
        after every failure."""
        group: list[Path] = []
        for path in self.spool.kept():
            group.append(path)
            if len(group) == _GROUP:
                self._remove_forgotten(group)
                group = []
        self._remove_forgotten(group)

    def _remove_forgotten(self, paths: Iterable[Path]) -> None:
        by_id = {path.stem: path for path in paths}
        with self.database.reader.connect() as connection:
            forgotten = connection.scalars(
                sa.select(receipt.c.id).where(receipt.c.id.in_(by_id), receipt.c.path.is_(None))
            ).all()
        for one in forgotten:
            self.spool.files.remove(by_id[one])

    def _work(self, before: float) -> int:
        """Folders of jobs that ended before then, and of none."""
        with self.database.reader.connect() as connection:
            rows = connection.execute(
                sa.select(job.c.id, job.c.tries).where(
                    sa.or_(job.c.state.in_(("queued", "running", "held")), job.c.finished >= before)
                )
            ).all()
        needed = {job_folder(self.work, row.id, n) for row in rows for n in range(1, row.tries + 1)}
        needed.add(ahead_folder(self.work, self.engine.process))
        untouched = time.time() - _UNTOUCHED
        over = [
            folder
            for folder in (self.work.iterdir() if self.work.is_dir() else ())
            if folder not in needed and _touched(folder) < untouched
        ]
        for folder in over:
            shutil.rmtree(folder, ignore_errors=True)
        return len(over)


def _touched(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # another process removed it
        return float("inf")


def _over(connection: sa.Connection, ids: Sequence[str], config: Config) -> list[str]:
    """Those of these receipts whose file nothing needs any more."""
    if not ids:
        return []
    states = instance_states(connection, frozenset(UnitKind), receipt.c.id.in_(ids))
    over = {receipt_id for receipt_id, state in states if state in OVER}
    over -= _needed(connection, over)
    return sorted(over - _only_here(connection, over, config))


def _only_here(connection: sa.Connection, ids: Iterable[str], config: Config) -> set[str]:
    """Those whose sender was told that they are kept (`commitment: stored`), and no destination has the original:
    the sender has deleted its own, and ours is the last one."""
    by_request: dict[Origin, list[Promised]] = {}
    for one in promised(connection, list(ids)):
        by_request.setdefault(one.origin, []).append(one)
    kept = set()
    for origin, those in by_request.items():
        known = proofs(
            connection, {one.sop_instance for one in those}, origin.called_ae, (), 0,
            own=config.destinations_at(origin.calling_ae),
        )  # fmt: skip
        kept |= {one.receipt for one in those if not known[one.sop_instance].facts.delivered}
    return kept


def _needed(connection: sa.Connection, ids: Iterable[str]) -> set[str]:
    """Members of a job that runs or may run again, instances that another one is held against, and those of open
    requests for storage commitment."""
    chosen = list(ids)
    owing = sa.select(obligation.c.job).where(obligation.c.state == "held")
    of_jobs = (
        sa.select(obligation.c.receipt)
        .join(job, job.c.id == obligation.c.job)
        .where(
            obligation.c.receipt.in_(chosen),
            sa.or_(job.c.state.in_(("queued", "running", "held")), job.c.id.in_(owing)),
        )
    )
    compared = sa.select(receipt.c.against).where(
        receipt.c.against.in_(chosen), receipt.c.state.in_(("held", "unjudged"))
    )
    # Who asked for commitment has its own copy still; ours goes only when it was told what became of it.
    return {r for r in connection.scalars(of_jobs.union(compared)) if r is not None} | in_open_commitments(
        connection, chosen
    )
