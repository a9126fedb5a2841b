"""Instances in the spool that have no row: after a crash, a power cut, or a database that was away.

The file is the truth, so everything about an instance is read from it again: provenance, called AE, hash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.dicom.header import pack, read_header_of
from node.dicom.identity import identify
from node.dicom.part10 import read_meta
from node.errors import NodeError
from node.index.intake import Arrival, Intake
from node.model import UID, Identity, Origin, ReceiptId
from node.spool import Presence, Spool

log = logging.getLogger("node.receive")

_GROUP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Indexes what is kept and not indexed. Safe beside live writers: a row is written once."""

    spool: Spool
    presence: Presence
    intake: Intake
    charset: Callable[[Origin], str | None]
    newest: Callable[[], float | None]
    """After a restore: the time of the backup. What came later may have been sent already: it is held."""

    def start(self) -> int:
        """At start: everything. Returns how many instances got a row."""
        count = self._index()
        for process in {*self.spool.abandoned(), *self.presence.dead()}:
            self._bury(process)
        return count

    def dead(self) -> int:
        """While running: what processes that died since have left."""
        dead = self.presence.dead()
        if not dead:
            return 0
        count = self._index()
        for process in dead:
            self._bury(process)
        return count

    def _bury(self, process: str) -> None:
        live = {mark.process for mark in self.presence.live()}
        if process not in live:
            begun = self.spool.abandon(process)
            if begun:
                log.info("%d instances that were being received when a process ended are discarded", begun)
            self.presence.bury(process)

    def _index(self) -> int:
        count = 0
        for group in self._groups():
            missing = self.intake.missing(ReceiptId(p.stem) for p in group)
            arrivals = [self._arrival(p) for p in group if p.stem in missing]
            if arrivals:
                self.intake.record(arrivals)
                count += len(arrivals)
        if count:
            log.info("%d instances of the spool had no row; they have one now", count)
        return count

    def _groups(self) -> Iterator[list[Path]]:
        group: list[Path] = []
        for path in self.spool.kept():
            group.append(path)
            if len(group) == _GROUP:
                yield group
                group = []
        if group:
            yield group

    def _arrival(self, path: Path) -> Arrival:
        """The row that the file gives. What it cannot say for certain holds it."""
        receipt = ReceiptId(path.stem)
        try:
            meta = read_meta(path)
            provenance = meta.provenance
            if provenance is None:
                return self._nameless(path, "it has no provenance: this node did not receive it")
            if provenance.receipt != receipt:
                return self._nameless(path, "its name is not that of its receipt: it was renamed or copied")
            reading = read_header_of(
                path, meta.transfer_syntax, meta.dataset_offset, self.charset(provenance.origin)
            )
            identity = identify(reading.header, meta.transfer_syntax)
        except (NodeError, OSError) as error:
            return self._nameless(path, f"its file in the spool cannot be read: {error}")
        newest = self.newest()
        late = newest is not None and provenance.received.timestamp() > newest
        return Arrival(
            receipt=receipt, path=self.spool.relative(path), size=path.stat().st_size - meta.dataset_offset,
            sha256=provenance.sha256, received=provenance.received, origin=provenance.origin, identity=identity,
            header=pack(reading.header),
            held="newer than the backup that was restored; it may have been sent already" if late else "",
        )  # fmt: skip

    def _nameless(self, path: Path, why: str) -> Arrival:
        none = UID("")
        return Arrival(
            receipt=ReceiptId(path.stem), path=self.spool.relative(path), size=path.stat().st_size, sha256="",
            received=self.spool.clock(), origin=Origin(calling_ae="", called_ae="", sender=""),
            identity=Identity(sop_class=none, sop_instance=none, study=none, series=none, transfer_syntax=none),
            header=pack({}), held=why,
        )  # fmt: skip
