"""What a sender says on an established association, as far as it is C-STORE: the hot way of receiving.

Runs in the thread that reads the connection: the fragments of a data set go straight into the file of the spool,
and the answer leaves when the instance is safe. Every other message is left to pynetdicom.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from node.dicom import command as dimse
from node.dicom.encoding import Malformed
from node.dicom.status import (
    DOES_NOT_MATCH,
    INVALID_INSTANCE,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
)
from node.dicom.uids import tolerable_uid, valid_uid
from node.errors import Refused
from node.model import UID, Identity, Origin
from node.receive.keeper import Command
from node.receive.pdata import COMMAND, LAST, Fragment, p_data
from node.receive.session import Session, Sessions

log = logging.getLogger("node.receive")

_LONGEST_OTHER = 16 << 20
"""Bytes of a message that is no C-STORE, which are held in memory: a commitment request of 100,000 instances."""


class Wire(Protocol):
    """The connection on which a conversation is held, and what knows pynetdicom there."""

    @property
    def key(self) -> Hashable:
        """What the association is called in Sessions."""
        ...

    def syntax(self, context_id: int) -> UID | None:
        """Of an accepted presentation context; None for any other."""
        ...

    def send_now(self, data: bytes) -> None:
        """Send a PDU. A connection that is gone is no error here: the next read tells."""
        ...

    def leave(self, context_id: int, command: bytes) -> None:
        """The command set of a message that is none of ours."""
        ...

    def refuse_message(self) -> None:
        """What came is no message: abort, as for a PDU that is none (PS3.8 9.2, AA-8)."""
        ...

    def abort(self) -> None: ...


class Arrives(Protocol):
    """One instance on its way in, as `keeper.Arriving` is."""

    def write(self, data: memoryview) -> None: ...

    def reads(self, buffer: memoryview) -> bool: ...

    def belongs_to(self) -> Sequence[str]: ...

    def keep(self) -> tuple[object, Identity]: ...

    def discard(self) -> None: ...


class Keeps(Protocol):
    """Who keeps instances, as `keeper.Keeper` does."""

    @property
    def reach(self) -> Callable[[str], None]: ...

    def begin(self, transfer_syntax: UID, origin: Origin, command: Command) -> Arrives: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What others want to know of each instance and association: metrics, and nothing else."""

    received: Callable[[Origin, float], None] = lambda origin, seconds: None
    refused: Callable[[Origin, int], None] = lambda origin, status: None
    turned_away: Callable[[str, str], None] = lambda what, reason: None
    """An `association` or a `context` that was refused, or an association that was `ended`; the reason is a word."""


@dataclass(slots=True)
class _Storing:
    """A C-STORE request whose data set is coming."""

    context_id: int
    message_id: int
    sop_class: str | None
    sop_instance: str | None
    """What its command names, whatever it says; None where `dimse.uid_of` has none."""
    arriving: Arrives | None = None
    """None: it is refused already, and what comes is thrown away."""
    refused: Refused | None = None


@dataclass(slots=True)
class Conversation:
    """The messages of one association. `Listener` of its upper layer."""

    wire: Wire
    keeper: Keeps
    sessions: Sessions
    told: Told
    _command: bytearray = field(default_factory=bytearray)
    _context_id: int = 0
    _storing: _Storing | None = None
    _other: int = -1
    """Bytes so far of a message that is none of ours; -1 when there is none."""
    busy: bool = False
    """A message has begun, and is not answered yet or left."""

    def fragment(self, fragment: Fragment) -> bool:
        if not self.busy:
            self.busy = True
            self.sessions.arrive(self.wire.key)
        if self._other >= 0:
            return self._leave(fragment)
        if fragment.control & COMMAND:
            return self._hear(fragment)
        storing = self._storing
        if storing is None or storing.context_id != fragment.context_id:
            self.wire.refuse_message()  # data of no message
            return True
        if storing.arriving is not None:
            storing.arriving.write(fragment.data)
        if fragment.control & LAST:
            self._answer(storing)
        return True

    def reads(self, buffer: memoryview) -> bool:
        arriving = self._storing.arriving if self._storing is not None else None
        return arriving is not None and arriving.reads(buffer)

    def over(self) -> None:
        """The association ends: of an instance that is not here as a whole nothing stays."""
        storing, self._storing = self._storing, None
        if storing is not None and storing.arriving is not None:
            if (session := self.sessions.session(self.wire.key)) is not None:
                session.arriving = None
            storing.arriving.discard()

    # ---- the command ----------------------------------------------------------------------------------

    def _hear(self, fragment: Fragment) -> bool:
        """A piece of a command set; with the last one it is known whose message this is."""
        self._command += fragment.data
        self._context_id = fragment.context_id
        if len(self._command) > dimse.LONGEST or self._storing is not None:
            self.wire.refuse_message()
            return True
        if not fragment.control & LAST:
            return True
        whole, self._command = self._command, bytearray()
        try:
            command = dimse.parse_command(whole)
        except Malformed as error:
            log.warning("a message cannot be read (%s); its association is aborted", error)
            self.wire.refuse_message()
            return True
        message_id = dimse.number_of(command, dimse.MESSAGE_ID)
        syntax = self.wire.syntax(self._context_id)
        # An answer names the Message ID and the context, so a C-STORE request without them is none of ours either.
        stores = dimse.number_of(command, dimse.COMMAND_FIELD) == dimse.C_STORE_RQ
        if not stores or message_id is None or syntax is None:
            # From here on pynetdicom assembles it; it gets the command in one piece.
            return self._hand_over(bytes(whole), command)
        self._begin(fragment.context_id, syntax, message_id, command)
        return True

    def _hand_over(self, whole: bytes, command: dict[int, bytes]) -> bool:
        has_data = dimse.number_of(command, dimse.DATA_SET_TYPE) != dimse.NO_DATA_SET
        if dimse.number_of(command, dimse.COMMAND_FIELD) == dimse.C_CANCEL_RQ:
            self._ignore(has_data=has_data)
            return True
        self._other = len(whole) if has_data else -1
        self.busy = has_data
        self.wire.leave(self._context_id, whole)
        return True

    def _ignore(self, *, has_data: bool) -> None:
        """A C-CANCEL. Nothing that is served here can be cancelled, and it has neither data nor an answer (PS3.7
        9.3.2.3): whoever had to answer it would never be done with it."""
        if has_data:
            self.wire.refuse_message()
        else:
            self.busy = False
            self.sessions.end(self.wire.key)

    def _leave(self, fragment: Fragment) -> bool:
        """Data of a message that pynetdicom answers."""
        if fragment.control & COMMAND:
            self.wire.refuse_message()  # a message in the middle of another
            return True
        self._other = max(0, self._other) + len(fragment.data)
        if self._other > _LONGEST_OTHER:
            log.warning("a message of more than %d MiB that is no C-STORE; its association is aborted",
                        _LONGEST_OTHER >> 20)  # fmt: skip
            self.wire.refuse_message()
            return True
        if fragment.control & LAST:
            self._other, self.busy = -1, False
        return False

    # ---- the instance ---------------------------------------------------------------------------------

    def _begin(self, context_id: int, syntax: UID, message_id: int, command: dict[int, bytes]) -> None:
        sop_class = dimse.uid_of(command, dimse.AFFECTED_SOP_CLASS)
        instance = dimse.uid_of(command, dimse.AFFECTED_SOP_INSTANCE)
        self._storing = storing = _Storing(context_id, message_id, sop_class, instance)
        session = self.sessions.session(self.wire.key)
        if sop_class is None or instance is None:
            storing.refused = Refused(INVALID_INSTANCE, "the C-STORE command names no SOP class or no SOP instance")
        elif not (tolerable_uid(sop_class) and tolerable_uid(instance)):
            storing.refused = Refused(DOES_NOT_MATCH, "what the C-STORE command names is no UID")
        elif session is not None:
            named = Command(sop_class=UID(sop_class), sop_instance=UID(instance))
            storing.arriving = session.arriving = self.keeper.begin(syntax, session.origin, named)
        if dimse.number_of(command, dimse.DATA_SET_TYPE) == dimse.NO_DATA_SET:
            self._answer(storing)

    def _answer(self, storing: _Storing) -> None:
        """The data set is here: keep it, and say so."""
        try:
            session = self.sessions.serve(self.wire.key)
            if session is None:  # the node stops, or the association was never admitted
                self.wire.abort()
                return
            status = self._store(session, storing)
            self.wire.send_now(_response(storing, status))
        finally:
            self.over()
            self.busy = False
            self.sessions.end(self.wire.key)

    def _store(self, session: Session, storing: _Storing) -> int:
        """The status of one C-STORE."""
        try:
            identity = self._keep(storing)
        except Refused as error:
            # Of a SOP class that is not listed one line is enough, whatever comes of it.
            if not error.said and (error.status != SOP_CLASS_NOT_SUPPORTED or session.first(str(error))):
                log.warning("instance of %s at %s refused: %s", session.origin.calling_ae, session.origin.sender, error)
            self.told.refused(session.origin, error.status)
            return error.status
        except Exception:  # worker loop: one bad instance must not end the association of the others
            log.exception("an instance of %s could not be kept", session.origin.calling_ae)
            self.told.refused(session.origin, PROCESSING_FAILURE)
            return PROCESSING_FAILURE
        session.stored(identity)
        self.told.received(session.origin, time.monotonic() - session.since)
        self.keeper.reach("before the answer")
        return SUCCESS

    def _keep(self, storing: _Storing) -> Identity:
        if storing.refused is not None:
            raise storing.refused
        assert storing.arriving is not None
        _, identity = storing.arriving.keep()
        return identity


def _response(storing: _Storing, status: int) -> bytes:
    """C-STORE-RSP. UIDs in it are optional (PS3.7 Table 9.3-2); bad ones are not sent back."""
    sop_class, instance = storing.sop_class, storing.sop_instance
    if sop_class is not None and not valid_uid(sop_class):
        sop_class = None
    if instance is not None and not valid_uid(instance):
        instance = None
    command = dimse.encode_store_response(storing.message_id, status, sop_class, instance)
    return p_data(storing.context_id, COMMAND | LAST, command)
