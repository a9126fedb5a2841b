"""One instance in: check what it says it is, keep it, count it, hand its row on. For C-STORE and folders.

Every check comes before the first byte is written, so a refusal leaves no trace but its line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from node.dicom.encoding import Malformed
from node.dicom.header import pack, read_header
from node.dicom.identity import agree, identify
from node.dicom.status import CANNOT_UNDERSTAND, OUT_OF_RESOURCES
from node.errors import Refused
from node.index.intake import Arrival
from node.model import UID, Identity, Origin
from node.spool import Kept, Presence, Spool

log = logging.getLogger("node.receive")

MINIMUM_INODES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a C-STORE request says of its data set (PS3.7 9.3.1.1)."""

    sop_class: UID
    sop_instance: UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Keeps instances. Used by many threads at once."""

    spool: Spool
    presence: Presence
    hand_on: Callable[[Arrival], None]
    """Where rows go after the bytes are safe; never blocks for the database."""
    keep_free: Callable[[], int]
    """Bytes that must stay free where the spool lies."""
    largest: Callable[[], int]
    """Bytes that one instance may have."""
    charset: Callable[[Origin], str | None]
    """The character set of a peer whose data sets name none."""
    reach: Callable[[str], None]

    def keep(
        self, data: bytes | memoryview, transfer_syntax: UID, origin: Origin, command: Command | None = None
    ) -> tuple[Kept, Identity]:
        """Returns when the instance is on stable storage and counted: then success may be answered.

        data        the data set as received, without file meta
        command     for C-STORE; its UIDs must be those of the data set

        Raises Refused with the status to answer.
        """
        self.check_room(len(data))
        if not len(data):
            raise Refused(CANNOT_UNDERSTAND, "the data set is empty")
        try:
            reading = read_header(data, transfer_syntax, self.charset(origin))
        except Malformed as error:
            raise Refused(CANNOT_UNDERSTAND, f"the data set cannot be read: {error}") from None
        identity = identify(reading.header, transfer_syntax)
        if command is not None:
            agree(command.sop_class, command.sop_instance, identity)
        # All that can fail comes before the bytes are visible: a kept instance always gets its row.
        header = pack(reading.header)
        kept = self._counted(data, identity, origin)
        self.hand_on(
            Arrival(
                receipt=kept.receipt, path=self.spool.relative(kept.path), size=kept.size, sha256=kept.sha256,
                received=kept.received, origin=origin, identity=identity, header=header,
            )
        )  # fmt: skip
        self.reach("instance handed on")
        return kept, identity

    def check_room(self, size: int) -> None:
        """Raise Refused where one more instance of `size` bytes is too large, or the disk is too full."""
        if size > self.largest():
            raise Refused(OUT_OF_RESOURCES, f"larger than limits: instance ({size >> 20} MiB)")
        try:
            room = self.spool.files.room(self.spool.root)
        except OSError as error:
            raise Refused(OUT_OF_RESOURCES, f"the spool cannot be looked at: {error.strerror}") from error
        if room.bytes - size < self.keep_free():
            raise Refused(OUT_OF_RESOURCES, f"{room.bytes >> 20} MiB are free, less than limits: keep_free asks for")
        if 0 <= room.inodes < MINIMUM_INODES:
            raise Refused(OUT_OF_RESOURCES, f"only {room.inodes} files can still be made on this file system")

    def _counted(self, data: bytes | memoryview, identity: Identity, origin: Origin) -> Kept:
        try:
            self.presence.acknowledge()
        except OSError as error:
            raise Refused(OUT_OF_RESOURCES, f"the data folder cannot be written: {error.strerror}") from error
        try:
            return self._write(data, identity, origin)
        except BaseException:
            self.presence.withdraw()
            raise

    def _write(self, data: bytes | memoryview, identity: Identity, origin: Origin) -> Kept:
        try:
            incoming = self.spool.begin(identity, origin)
            try:
                self.reach("instance begun")
                incoming.write(data)
                self.reach("instance written")
                kept = incoming.keep()
                self.reach("instance visible")
                return kept
            finally:
                incoming.discard()
        except OSError as error:
            # Whatever the disk said, nothing was kept; the sender keeps its copy and may come again.
            raise Refused(OUT_OF_RESOURCES, f"the spool cannot be written: {error.strerror}") from error
