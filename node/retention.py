"""Files leave when nothing needs them any more; rows stay as the ledger's tombstones.

An instance as received leaves the spool when every obligation for it is over and `keep: received` has passed.
What is held, waits, is in a job, or went through no route stays: a person may still need it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.config import Config
from node.engine.engine import Engine
from node.index import Database
from node.index.ledger import instance_states
from node.index.schema import job, obligation, receipt
from node.model import State, UnitKind
from node.run.results import job_folder
from node.spool import Spool

log = logging.getLogger("node.retention")

OVER = frozenset({State.DELIVERED, State.PRODUCED, State.DROPPED, State.DUPLICATE, State.SUPERSEDED, State.IGNORED})
_EVERY = 300.0
_GROUP = 500


@dataclass(slots=True)
class Retention:
    """Removes files. Safe beside everything else: it looks at the state again in the moment it removes."""

    database: Database
    spool: Spool
    work: Path
    engine: Engine
    config: Callable[[], Config]
    reach: Callable[[str], None] = lambda point: None
    _last: float = field(default_factory=time.monotonic)

    def sometimes(self) -> None:
        """Called often; does its work every five minutes."""
        if time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            self.once()

    def once(self) -> tuple[int, int]:
        """Remove what is over. Returns (instances, work folders) removed."""
        keep = self.config().node.keep
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
        instances = self._received(now - keep.received.total_seconds())
        folders = self._finished(now - keep.finished.total_seconds())
        self.engine.prune(keep.finished)
        self.spool.forget_empty_folders()
        if instances or folders:
            log.info("retention removed %d instances and %d work folders", instances, folders)
        return instances, folders

    def _received(self, before: float) -> int:
        """The row forgets the file first, then the file goes: a crash between the two leaves a file without a
        use, which `_orphans` finds, and never a row that names a file that is gone."""
        removed = 0
        routed = frozenset(UnitKind)
        old = sa.and_(receipt.c.received < before, receipt.c.path.is_not(None))
        while True:
            with self.database.reader.connect() as connection:
                ids = connection.scalars(
                    sa.select(receipt.c.id).where(old).order_by(receipt.c.id).limit(_GROUP).offset(0)
                ).all()
                states = dict(instance_states(connection, routed, receipt.c.id.in_(ids))) if ids else {}
                paths = dict(
                    connection.execute(sa.select(receipt.c.id, receipt.c.path).where(receipt.c.id.in_(ids)))
                    .tuples()
                    .all()
                )
            over = [r for r, state in states.items() if state in OVER and not self._needed(r)]
            if ids:
                old = sa.and_(old, receipt.c.id > max(ids))
            else:
                return removed
            if over:
                with self.database.durable.begin() as connection:
                    connection.execute(
                        sa.update(receipt).where(receipt.c.id.in_(over)).values(path=None, header=None)
                    )
                self.reach("retention forgot")
                for one in over:
                    self.spool.files.remove(self.spool.where(paths[one]))
                removed += len(over)

    def _needed(self, receipt_id: str) -> bool:
        """A job that runs may still read it, whatever its own obligations say."""
        with self.database.reader.connect() as connection:
            return bool(
                connection.scalar(
                    sa.select(sa.func.count())
                    .select_from(obligation)
                    .join(job, job.c.id == obligation.c.job)
                    .where(obligation.c.receipt == receipt_id, job.c.state.in_(("queued", "running", "held")))
                )
            )

    def _finished(self, before: float) -> int:
        with self.database.reader.connect() as connection:
            done = connection.execute(
                sa.select(job.c.id, job.c.tries).where(job.c.state.in_(("done", "dropped")), job.c.finished < before)
            ).all()
        removed = 0
        for job_id, tries in done:
            for one in range(1, tries + 1):
                folder = job_folder(self.work, job_id, one)
                if folder.is_dir():
                    shutil.rmtree(folder, ignore_errors=True)
                    removed += 1
        return removed
