"""The same content is stored once: the file of a duplicate leaves the spool when that of the first is proven whole.

    1  the file that stays is read: its bytes have the hash of its row
    2  both rows are locked, and the duplicate's forgets its file; the commit is on the disk
    3  the duplicate's file goes

Whatever ends the process, at least one whole file is there. After a crash between 2 and 3 a file is left that no row
names, which `Retention` finds; the row stays as a tombstone in any case. Where the first file is damaged or gone
the same bytes that came again are put in its place: to send an instance once more heals it.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from node.dicom.part10 import file_meta, read_meta
from node.index import Database
from node.index.intake import identity_of
from node.index.schema import SAME_BYTES, receipt, twice
from node.model import Origin, ReceiptId
from node.spool import Spool
from node.spool.proof import flaw

log = logging.getLogger("node.collect")

_GROUP = 200

LEFT = "; the file that came first has left the spool, so this one stays for its time"
DAMAGED = "; the file that came first is damaged or gone, so this one stays"

Row = sa.Row[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Safe for several processes: what is decided is looked at again under the locks of both rows."""

    database: Database
    spool: Spool
    reach: Callable[[str], None] = lambda point: None

    def settle(self) -> int:
        """Let the files of duplicates go. Returns how many went. Raises OSError when the disk does not do it."""
        gone, after = 0, ""
        while rows := self._next(after):
            gone += sum(self._one(row) for row in rows)
            after = rows[-1].id
        return gone

    def _next(self, after: str) -> list[Row]:
        with self.database.reader.connect() as connection:
            return list(
                connection.execute(
                    sa.select(receipt).where(twice, receipt.c.id > after).order_by(receipt.c.id).limit(_GROUP)
                )
            )

    def _one(self, new: Row) -> bool:
        first = self._first_of(new)
        if first is None or first.path is None:
            self._stays(new, LEFT)
            return False
        if self._flaw(first) and not self._mended(first, new):
            self._stays(new, DAMAGED)
            return False
        if not self._forget(new, first):
            return False
        self.reach("duplicate forgot")
        self.spool.files.remove(self.spool.where(new.path))
        return True

    def _first_of(self, new: Row) -> Row | None:
        """The one that has the content: a first one may have become a duplicate itself, when it was compared."""
        seen = {new.id}
        against = new.against
        with self.database.reader.connect() as connection:
            while against is not None and against not in seen:
                seen.add(against)
                first = connection.execute(sa.select(receipt).where(receipt.c.id == against)).first()
                if first is None or first.state != "duplicate" or first.path is not None:
                    return first
                against = first.against
        return None

    def _flaw(self, of: Row) -> str:
        try:
            return flaw(self.spool.where(of.path), of.id, of.sha256, identity=identity_of(of))
        except FileNotFoundError:
            return "it is gone"

    def _mended(self, first: Row, new: Row) -> bool:
        """Make the first file again, as it was, from the same bytes. False when they are not there either."""
        if new.reason != SAME_BYTES or new.sha256 != first.sha256 or self._flaw(new):
            log.error("the file of instance %s is damaged or gone; see `dicom-node ledger --verify`", first.id)
            return False
        files, place = self.spool.files, self.spool.where(first.path)
        origin = Origin(calling_ae=first.calling_ae, called_ae=first.called_ae, sender=first.sender)
        received = datetime.fromtimestamp(first.received, UTC)
        meta, _ = file_meta(identity_of(first), origin, ReceiptId(first.id), received, first.sha256)
        hidden = self.spool.incoming / f"{first.id}.mend"
        source = self.spool.where(new.path)
        try:
            with source.open("rb") as bytes_again, hidden.open("wb") as file:
                file.write(meta)
                bytes_again.seek(read_meta(source).dataset_offset)
                shutil.copyfileobj(bytes_again, file, 1 << 20)
            files.sync_path(hidden)
            files.make_folder(place.parent)
            files.show(hidden, place)
            files.sync_folder(place.parent)
        finally:
            with contextlib.suppress(OSError):
                files.remove(hidden)
        log.warning("the file of instance %s was damaged or gone; it came again and is whole now", first.id)
        return not self._flaw(first)

    def _forget(self, new: Row, first: Row) -> bool:
        """False when one of them is not as it was any more: looked at again in the next round."""
        with self.database.durable.begin() as connection:
            found = connection.execute(
                sa.select(receipt.c.id, receipt.c.state, receipt.c.path)
                .where(receipt.c.id.in_((new.id, first.id)))
                .order_by(receipt.c.id)
                .with_for_update()
            ).all()
            now = {row.id: (row.state, row.path) for row in found}
            if now.get(new.id) != ("duplicate", new.path) or now.get(first.id, ("", None))[1] != first.path:
                return False
            connection.execute(sa.update(receipt).where(receipt.c.id == new.id).values(path=None, header=None))
        return True

    def _stays(self, new: Row, why: str) -> None:
        """Until `keep: received` has passed. The reason says so, and takes it out of `twice`."""
        with self.database.durable.begin() as connection:
            connection.execute(
                sa.update(receipt).where(receipt.c.id == new.id, receipt.c.path.is_not(None), twice)
                .values(reason=new.reason + why)
            )  # fmt: skip
