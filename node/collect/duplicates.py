"""The same SOP Instance UID again, with other bytes: the same content in another dress, or another content?

Equal are two instances whose decoded headers agree (transfer syntax and volatile tags aside) and whose pixels
do: an archive that sends back what it got, compressed otherwise, sends a duplicate. Where the content differs,
`duplicates` in rules.yaml decides, and both files are kept until it has. What comes under one UID is decided in the
order in which it came: while one is unjudged, none that came after it is compared.

    unjudged a --> duplicate                        equal: counted, not processed again, stored once (`once`)
             b --> current, the other superseded    newest
             c --> superseded                       first, or a newer one is current by now
             d --> held, both files kept            hold, or they cannot be compared
"""

from __future__ import annotations

import logging
import mmap
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_tb

import sqlalchemy as sa

from node.collect.difference import told
from node.collect.once import Once, Row
from node.config import Config
from node.dicom.attributes import describe
from node.dicom.content import header_difference
from node.dicom.header import unpack
from node.dicom.part10 import read_meta
from node.errors import CannotSucceed, TryAgain
from node.imaging.same import same_pixels
from node.index import Database
from node.index.intake import join_again
from node.index.jobs import remember
from node.index.schema import SAME_BYTES, SAME_CONTENT, receipt
from node.model import UnitKind
from node.pool import Bug, Pool
from node.spool import Spool

log = logging.getLogger("node.collect")

_LONGEST = 60.0
"""Seconds for one comparison: two instances are decoded, not a series."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What two instances with one UID do not agree in: attributes by name, no values."""

    paths: tuple[str, ...]
    """As `header_difference` gives them."""
    pixels: bool

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_named(path) for path in self.paths))

    def __bool__(self) -> bool:
        return bool(self.paths) or self.pixels

    def __str__(self) -> str:
        names = self.attributes
        named = ", ".join(names[:8]) + (" and more" if len(names) > 8 else "")
        return " and ".join(x for x in (named, "pixels" if self.pixels else "") if x) or "nothing"


def compare(a: Path, b: Path) -> Difference:
    """In a worker process: decode and compare two spool files. Raises CannotSucceed when one cannot be read."""
    first, second = read_meta(a), read_meta(b)
    with (
        a.open("rb") as one, b.open("rb") as two,
        mmap.mmap(one.fileno(), 0, access=mmap.ACCESS_READ) as ours,
        mmap.mmap(two.fileno(), 0, access=mmap.ACCESS_READ) as theirs,
    ):  # fmt: skip
        paths = header_difference(
            ours[first.dataset_offset :], first.transfer_syntax,
            theirs[second.dataset_offset :], second.transfer_syntax,
        )  # fmt: skip
    if first.transfer_syntax != second.transfer_syntax:
        # How samples are laid out goes with the encoding; what they say is compared decoded.
        paths = tuple(p for p in paths if p not in _LAYOUT)
    return Difference(tuple(paths), pixels=not same_pixels(a, b))


_LAYOUT = frozenset({"00280004", "00280006"})
"""Photometric Interpretation and Planar Configuration."""


def _named(path: str) -> str:
    return describe(int(path[:8], 16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Decides what is unjudged. Several processes may: each decision is made once, under the row's lock."""

    database: Database
    spool: Spool
    pool: Pool
    config: Callable[[], Config]
    kinds: Callable[[], frozenset[UnitKind]]
    reach: Callable[[str], None] = lambda point: None

    busy: threading.Lock = field(default_factory=threading.Lock)
    """Held while this process compares in the background."""

    def begin(self) -> int:
        """Have what is unjudged decided in the background, where it holds up no unit but its own. Returns 0."""
        if self.busy.acquire(blocking=False):
            try:
                threading.Thread(target=self._in_background, name="duplicates", daemon=True).start()
            except RuntimeError:  # the system gives no more threads; else nobody would compare any more
                self.busy.release()
                raise
        return 0

    def _in_background(self) -> None:
        try:
            while self.judge():
                pass
            Once(database=self.database, spool=self.spool, reach=self.reach).settle()
        except OSError as error:
            log.warning("duplicates are tried again: the spool cannot be used: %s", error.strerror)
        except sa.exc.SQLAlchemyError as error:
            log.warning("comparing duplicates is tried again: the database is away (%s)", type(error).__name__)
        except Exception as error:  # worker loop: a bug met in one pair must not end comparing for good
            log.error(
                "comparing duplicates failed, tried again: %s\n%s", type(error).__name__,
                "".join(format_tb(error.__traceback__)),
            )  # fmt: skip
        finally:
            self.busy.release()

    def judge(self) -> int:
        """Decide what is unjudged now. Returns how many were decided."""
        decided = 0
        with self.database.reader.connect() as connection:
            rows = connection.execute(
                sa.select(receipt.c.id, receipt.c.path, receipt.c.called_ae, receipt.c.sop_instance)
                .where(receipt.c.state == "unjudged")
                # In the order in which they came: the last one is the newest.
                .order_by(receipt.c.received, receipt.c.id)
            ).all()
        for row in rows:
            decided += self._one(row.id, row.path, row.called_ae, row.sop_instance)
        return decided

    def _one(self, new: str, path: str, called_ae: str, sop_instance: str) -> bool:
        with self.database.reader.connect() as connection:
            rows = _under(connection, called_ae, sop_instance)
        mine = next(row for row in rows if row.id == new)
        if any(row.state == "unjudged" for row in rows[: rows.index(mine)]):
            return False  # what this one is to be compared with is not known yet
        known = next((row for row in rows if row.state == "current"), None)
        repeated = _repeated(rows, mine)
        difference: Difference | None = None
        why = ""
        if known is not None and repeated is None:
            try:
                difference, why = self._compare(known.path, path)
            except TryAgain:
                return False
        policy = self.config().node.duplicates
        # Then this one was indexed late, as the sweep does.
        late = known is not None and _latest(rows, known.id) > _latest(rows, new)
        with self.database.durable.begin() as connection:
            # What was compared may be decided by another process, dropped by a person or replaced by now.
            if _is(connection, new, "unjudged") and (known is None or _is(connection, known.id, "current")):
                if repeated is not None:
                    _set(connection, new, "duplicate", SAME_BYTES, repeated)
                    return True
                self._decide(connection, new, None if known is None else known.id, difference, policy, why, late=late)
                if known is not None and difference:
                    self._explain(connection, new, known.id, difference)
                return True
        return False

    def _compare(self, known: str | None, new: str) -> tuple[Difference | None, str]:
        """(what they differ in, or None; why they cannot be compared). Raises TryAgain."""
        before = "it came before with other bytes"
        if known is None:
            return None, f"{before}, and that file has left the spool (keep: received)"
        try:
            return self.pool.call_within(_LONGEST, compare, self.spool.where(known), self.spool.where(new)), ""
        except Bug as error:
            log.error("two instances cannot be compared: %s\n%s", error, error.trace)
            return None, f"{before}, and comparing them met a fault in the node ({error}); see its log"
        except CannotSucceed as error:
            return None, f"{before}, and the two cannot be compared: {error}"

    def _decide(
        self, connection: sa.Connection, new: str, known: str | None, difference: Difference | None, policy: str,
        why: str, *, late: bool,
    ) -> None:  # fmt: skip
        if known is not None and difference is not None and not difference:
            _set(connection, new, "duplicate", SAME_CONTENT, known)
        elif why:
            # A damaged copy must not take the place of a good one, whichever came last.
            _set(connection, new, "held", why, known)
        elif policy == "hold" and known is not None:
            _set(connection, new, "held", f"it came before with other content; they differ in {difference}", known)
        elif policy == "first" and known is not None:
            _set(connection, new, "superseded", f"the first one is kept; they differ in {difference}", known)
        elif late and known is not None:
            _set(connection, new, "superseded", f"a newer one came; they differ in {difference}", known)
        else:
            if known is not None:
                _set(connection, known, "superseded", f"a newer one came; they differ in {difference}", new)
            _set(connection, new, "current", "", known)
            # It belongs to its units from now on; a complete one opens its next generation.
            join_again(connection, new, self.kinds(), self.database.now(connection))

    def _explain(self, connection: sa.Connection, new: str, known: str, difference: Difference) -> None:
        """Lines for `explain`: it may show values, where a reason goes into the log and may not."""
        first, header = (connection.scalar(sa.select(receipt.c.header).where(receipt.c.id == r)) for r in (known, new))
        if first is None or header is None:
            return
        now = self.database.now(connection)
        lines = told(difference.paths, unpack(first), unpack(header))
        for line in [*lines, *(["pixels differ"] if difference.pixels else [])]:
            remember(connection, new, "difference", line, now)


def _under(connection: sa.Connection, called_ae: str, sop_instance: str) -> list[Row]:
    """Every row of an instance in the order in which they came. It has few, and SQLite finds them by its UID, where
    it would take the index on the state if that were asked for."""
    columns = (c for c in receipt.c if c.key != "header")
    same_uid = sa.and_(receipt.c.called_ae == called_ae, receipt.c.sop_instance == sop_instance)
    return sorted(connection.execute(sa.select(*columns).where(same_uid)), key=lambda row: (row.received, row.id))


def _repeated(rows: Sequence[Row], mine: Row) -> str | None:
    """What has the same bytes and is current, or held: between them came others, which are decided by now."""
    same = [
        row for row in rows
        if row.id != mine.id and (row.sha256, row.transfer_syntax) == (mine.sha256, mine.transfer_syntax)
    ]  # fmt: skip
    return next((row.id for state in ("current", "held") for row in same if row.state == state), None)


def _latest(rows: Sequence[Row], first: str) -> float:
    """When a content came last: the row `first`, or one that is known to be its duplicate."""
    same = {first}
    for row in rows:
        if row.state == "duplicate" and row.against in same:
            same.add(row.id)
    return max(float(row.received) for row in rows if row.id in same)


def _is(connection: sa.Connection, receipt_id: str, state: str) -> bool:
    """Whether it is so, and stays so until the end of the transaction."""
    found = connection.scalar(sa.select(receipt.c.state).where(receipt.c.id == receipt_id).with_for_update())
    return bool(found == state)


def _set(connection: sa.Connection, receipt_id: str, state: str, reason: str, against: str | None) -> None:
    connection.execute(
        sa.update(receipt).where(receipt.c.id == receipt_id).values(state=state, reason=reason, against=against)
    )
    log.info("instance %s is %s: %s", receipt_id, state, reason or "it is processed")
