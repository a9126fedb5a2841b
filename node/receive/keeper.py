"""One instance, from its first byte to the moment at which success may be answered: checked, kept, handed on.

The same for C-STORE and for a watched folder. Every way in which an instance is not taken ends in Refused with
the status to answer, and leaves no trace on the disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from node.dicom.encoding import Malformed
from node.dicom.header import Reading, read_header
from node.dicom.identity import agree, begin_as_data, identify, study_and_series
from node.dicom.status import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SOP_CLASS_NOT_SUPPORTED
from node.dicom.uids import full_name, transfer_syntax
from node.errors import Refused
from node.model import UID, Arrival, Identity, Origin
from node.receive.watermark import Promise, Watermark
from node.spool import Incoming, Kept, Presence, Spool


class Command(NamedTuple):
    """What a C-STORE request says of its data set (PS3.7 9.3.1.1)."""

    sop_class: UID
    sop_instance: UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Keeps instances. Used by many threads at once."""

    spool: Spool
    presence: Presence
    hand_on: Callable[[Kept, Arrival], None]
    """Where rows go after the bytes are safe; never blocks for the database."""
    watermark: Watermark
    """Of the disk where the spool lies."""
    largest: Callable[[], int]
    """Bytes that one instance may have."""
    charset: Callable[[Origin], str | None]
    """The character set of a peer whose data sets name none."""
    reach: Callable[[str], None]
    sop_classes: Callable[[], Collection[str]] = tuple
    """Those that C-STORE may bring; empty for all. A presentation context is accepted for one of them, and a sender
    may put another one into it."""

    def begin(self, transfer_syntax: UID, origin: Origin, command: Command) -> Arriving:
        """Start to take one instance whose bytes come by and by. Never raises: what refuses it is said at its end."""
        arriving, listed = Arriving(self, transfer_syntax, origin, command), self.sop_classes()
        if listed and command.sop_class not in listed:
            why = f"it is of {full_name(command.sop_class)}, which node: sop_classes does not list"
            arriving.refuse(Refused(SOP_CLASS_NOT_SUPPORTED, why))
        return arriving

    def keep(
        self, data: bytes | memoryview, transfer_syntax: UID, origin: Origin, command: Command | None = None
    ) -> tuple[Kept, Identity]:
        """Keep an instance that is here as a whole, such as a file of a watched folder.

        data        the data set, without file meta
        command     what it came under, if under any; its UIDs must be those of the data set

        Raises Refused with the status of the reason.
        """
        if not len(data):
            raise Refused(CANNOT_UNDERSTAND, "the data set is empty")
        if command is None:
            identity = identify(self.read(data, transfer_syntax, origin).header, transfer_syntax)
            command = Command(sop_class=identity.sop_class, sop_instance=identity.sop_instance)
        arriving = Arriving(self, transfer_syntax, origin, command)
        try:
            arriving.write(data)
            return arriving.keep()
        finally:
            arriving.discard()

    def read(self, data: object, transfer_syntax: UID, origin: Origin, start: int = 0) -> Reading:
        """The header of a data set that begins at `start`. Raises Refused 0xC000."""
        try:
            return read_header(data, transfer_syntax, self.charset(origin), start=start)  # type: ignore[arg-type]  # any buffer
        except Malformed as error:
            raise Refused(CANNOT_UNDERSTAND, f"the data set cannot be read: {error}") from None

    def check_room(self, size: int) -> None:
        """Raise Refused where one more instance of `size` bytes is too large, or the disk is too full."""
        self.check_size(size)
        self.watermark.check(size)

    def check_size(self, size: int) -> None:
        """Raise Refused where an instance of `size` bytes is too large."""
        if size > self.largest():
            raise Refused(OUT_OF_RESOURCES, f"larger than limits: instance ({size >> 20} MiB)")


@dataclass(slots=True)
class Arriving:
    """One instance on its way in: `write` what comes, then `keep`; `discard` in any case.

    What refuses it in the middle ends the writing at once, and is raised by `keep`: a sender is answered only
    when its data set is over, and the rest of it is not kept anywhere.
    """

    _keeper: Keeper
    _transfer_syntax: UID
    _origin: Origin
    _command: Command
    size: int = 0
    """Bytes of the data set that came."""
    _incoming: Incoming | None = None
    _refused: Refused | None = None
    _promise: Promise | None = None
    """Room on the disk, for what came and a little more."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the data set. Never raises for what is wrong with them or with the disk."""
        self.size += len(data)
        if self._refused is not None:
            return
        try:
            self._write(data)
        except Refused as error:
            self._refused = error
            self.discard()

    def refuse(self, why: Refused) -> None:
        """Before anything is written: nothing will be, and `keep` raises it."""
        self._refused = why

    def keep(self) -> tuple[Kept, Identity]:
        """The data set is over. Returns when it is on stable storage and counted: then success may be answered.

        Raises Refused with the status to answer; then nothing was kept.
        """
        try:
            return self._keep()
        except Refused:
            # Before it is said: a sender that is told must not find anything left.
            self.discard()
            raise

    def _keep(self) -> tuple[Kept, Identity]:
        if self._refused is not None:
            raise self._refused
        if self._incoming is None:
            raise Refused(CANNOT_UNDERSTAND, "the data set is empty")
        keeper = self._keeper
        keeper.reach("instance written")
        reading = self._read(self._incoming)
        begin_as_data(reading.header)
        identity = identify(reading.header, self._transfer_syntax)
        agree(self._command.sop_class, self._command.sop_instance, identity)
        # All that can fail comes before the instance is safe: what is kept always gets its row.
        header = reading.packed()
        kept = self._counted(self._incoming)
        keeper.hand_on(
            kept,
            Arrival(
                receipt=kept.receipt, path=kept.name, size=kept.size, sha256=kept.sha256,
                received=kept.received, origin=self._origin, identity=identity, header=header,
            ),
        )  # fmt: skip
        keeper.reach("instance handed on")
        return kept, identity

    def reads(self, buffer: memoryview) -> bool:
        """Whether something that was written from what underlies `buffer` is still being read there."""
        return self._incoming is not None and self._incoming.reads(buffer)

    def belongs_to(self) -> tuple[UID, ...]:
        """The study and series that it is for, as far as its beginning says; from any thread."""
        incoming = self._incoming
        if incoming is None or self._refused is not None or transfer_syntax(self._transfer_syntax).deflated:
            return ()
        return study_and_series(incoming.beginning, self._transfer_syntax)

    def discard(self) -> None:
        """Leave no trace of what is not kept. May be called at any time."""
        if self._incoming is not None:
            self._incoming.discard()
        if self._promise is not None:
            self._promise.over()

    def _write(self, data: bytes | memoryview) -> None:
        if not len(data):
            return
        self._keeper.check_size(self.size)
        if self._promise is None:
            self._promise = self._keeper.watermark.promise(self.size, more=True)
        self._promise.reach(self.size)
        try:
            if self._incoming is None:
                self._incoming = self._keeper.spool.begin(self._named(), self._origin)
                self._keeper.reach("instance begun")
            self._incoming.write(data)
            self._promise.written = self.size
        except OSError as error:
            raise _unwritable(error) from error

    def _read(self, incoming: Incoming) -> Reading:
        """The header: from the beginning that is in memory, where pixel data follow in that; else from the file."""
        incoming.hurry()
        if self.size > len(incoming.beginning) and not transfer_syntax(self._transfer_syntax).deflated:
            with contextlib.suppress(Refused):
                reading = self._keeper.read(incoming.beginning, self._transfer_syntax, self._origin)
                if reading.pixel_data is not None:
                    return reading
        try:
            data, start = incoming.written()
        except OSError as error:
            raise _unwritable(error) from error
        return self._keeper.read(data, self._transfer_syntax, self._origin, start)

    def _named(self) -> Identity:
        """What the command says, which `keep` holds against the data set; the rest is not known yet."""
        unknown = UID("")
        return Identity(
            sop_class=self._command.sop_class, sop_instance=self._command.sop_instance, study=unknown,
            series=unknown, transfer_syntax=self._transfer_syntax,
        )  # fmt: skip

    def _counted(self, incoming: Incoming) -> Kept:
        presence = self._keeper.presence
        try:
            presence.acknowledge()
        except OSError as error:
            raise Refused(OUT_OF_RESOURCES, f"the data folder cannot be written: {error.strerror}") from error
        try:
            try:
                kept = incoming.keep()
            except OSError as error:
                raise _unwritable(error) from error
            self._keeper.reach("instance synced")
        except BaseException:  # whatever it was: what is not kept must not stay counted
            presence.withdraw()
            raise
        return kept


def _unwritable(error: OSError) -> Refused:
    # Whatever the disk said, nothing was kept; the sender keeps its copy and may come again.
    return Refused(OUT_OF_RESOURCES, f"the spool cannot be written: {error.strerror}")
