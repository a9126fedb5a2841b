"""Instances in the spool that have no row: after a crash, a power cut, or a database that was away.

The file is the truth, so everything about an instance is read from it again: provenance, called AE, hash.
What cannot be said for certain is not guessed: the instance gets a row all the same, held with the reason.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from node.dicom.header import read_header_of
from node.dicom.identity import identify
from node.dicom.part10 import Provenance, read_meta
from node.errors import CannotSucceed, Refused
from node.index.intake import Intake
from node.model import Arrival, Origin, ReceiptId
from node.receive.rows import nameless, record
from node.spool import Presence, Spool

log = logging.getLogger("node.receive")

NOT_IN_THE_BACKUP = "it was here before the restore, and is not in the backup: it may have been sent already"

_GROUP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Indexes what is kept and not indexed. Safe beside live writers: a row is written once."""

    spool: Spool
    presence: Presence
    intake: Intake
    charset: Callable[[Origin], str | None]
    restored: Callable[[], float | None]
    """After a restore: when it was. What was here by then and is not in the backup may have been indexed and sent
    before: it is held. What came since is not, so this takes for granted that the clocks that date receipts agree
    with that of the restore, and were not put back across it. One that was ahead lets through what it dated into
    the time after the restore; one that is put back later holds what it dates into the time before."""

    def start(self) -> int:
        """At start: everything. Returns how many instances got a row."""
        # Asked before the walk: what dies during it may have kept something behind the walk's back.
        gone = {*self.spool.abandoned(), *self.presence.dead()}
        gone -= {mark.process for mark in self.presence.live()}
        seen = {process for process in gone if self._show(process)}
        count = self._index()
        for process in seen:
            self._bury(process)
        return count

    def dead(self) -> int:
        """While running: what processes that died since have left."""
        dead = [process for process in self.presence.dead() if self._show(process)]
        if not dead:
            return 0
        count = self._index()
        for process in dead:
            self._bury(process)
        return count

    def _show(self, process: str) -> bool:
        """Give what a dead process had kept its place: whatever is whole may have been acknowledged.

        False when the disk did not let us see all of it: then nothing of that process is thrown away.
        """
        whole = []
        for slot in self.spool.slots_of(process):
            try:
                provenance = _whole(slot)
            except OSError as error:
                log.error("what process %s received cannot be read: %s; tried again", process, error.strerror)
                return False
            if provenance is not None:
                whole.append((slot, self.spool.place(provenance.receipt, provenance.received)))
        try:
            self.spool.show(whole)
        except OSError as error:
            log.error("what process %s received cannot be shown: %s; tried again", process, error.strerror)
            return False
        return True

    def _bury(self, process: str) -> None:
        begun = self.spool.abandon(process)
        if begun:
            log.info("%d instances that were being received when a process ended are discarded", begun)
        self.presence.bury(process)

    def _index(self) -> int:
        count = 0
        for group in self._groups():
            missing = self.intake.missing(ReceiptId(p.stem) for p in group)
            arrivals = [a for p in group if p.stem in missing and (a := self._arrival(p)) is not None]
            if arrivals:
                record(self.intake, arrivals)
                count += len(arrivals)
        if count:
            log.info("%d instances of the spool had no row; they have one now", count)
        return count

    def _groups(self) -> Iterator[list[Path]]:
        group: list[Path] = []
        for path in self.spool.kept():
            if not path.name.isprintable():
                log.warning("a file in %s has a name that is no text; it is left alone", path.parent)
                continue
            group.append(path)
            if len(group) == _GROUP:
                yield group
                group = []
        if group:
            yield group

    def _arrival(self, path: Path) -> Arrival | None:
        """The row that the file gives. What it cannot say for certain holds it; None when it is gone meanwhile."""
        try:
            state = path.stat()
            try:
                return self._read(path)
            except FileNotFoundError:
                raise
            except (CannotSucceed, Refused) as error:
                why = str(error)
            except OSError as error:
                why = f"its file in the spool cannot be read: {error.strerror}"
        except FileNotFoundError:
            return None
        changed = datetime.fromtimestamp(state.st_mtime, UTC)
        return nameless(ReceiptId(path.stem), self.spool.relative(path), state.st_size, changed, why)

    def _read(self, path: Path) -> Arrival:
        """Raises CannotSucceed, Refused and OSError where the file does not say what it has to."""
        receipt = ReceiptId(path.stem)
        meta = read_meta(path)
        provenance = meta.provenance
        if provenance is None:
            raise CannotSucceed("it has no provenance: this node did not receive it")
        if provenance.receipt != receipt:
            raise CannotSucceed("its name is not that of its receipt: it was renamed or copied")
        if _sha256(path, meta.dataset_offset) != provenance.sha256:
            raise CannotSucceed("its bytes are not those that were received: the file was cut or changed")
        reading = read_header_of(path, meta.transfer_syntax, meta.dataset_offset, self.charset(provenance.origin))
        restored = self.restored()
        before = restored is not None and provenance.received.timestamp() <= restored
        return Arrival(
            receipt=receipt, path=self.spool.relative(path), size=path.stat().st_size - meta.dataset_offset,
            sha256=provenance.sha256, received=provenance.received, origin=provenance.origin,
            identity=identify(reading.header, meta.transfer_syntax), header=reading.packed(),
            held=NOT_IN_THE_BACKUP if before else "",
        )  # fmt: skip


def _whole(slot: Path) -> Provenance | None:
    """The provenance of a slot that was written to its end; None for one that was not. Raises OSError."""
    try:
        meta = read_meta(slot)
    except CannotSucceed:
        return None
    provenance = meta.provenance
    return provenance if provenance and _sha256(slot, meta.dataset_offset) == provenance.sha256 else None


def _sha256(path: Path, offset: int) -> str:
    """Of the data set, which begins at `offset`."""
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.file_digest(file, "sha256").hexdigest()
