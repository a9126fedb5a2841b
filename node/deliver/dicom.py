"""Brings parcels to a DICOM peer by C-STORE. The only file that uses pynetdicom as SCU.

One association carries the parcels of a small delivery, several those of a large one (see several.py). The data set
goes out as it is stored, read from the file while it is sent; only where the peer takes no other than another
uncompressed transfer syntax is it encoded anew.
"""

from __future__ import annotations

import functools
import select
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time
from pynetdicom.transport import AssociationSocket

from node.config import DestinationTls, Identity
from node.deliver.answers import answer
from node.deliver.base import Outcome, Parcel, Record, Result
from node.deliver.content import data_set
from node.deliver.contexts import Context, choose, proposals, refusal
from node.deliver.pause import Pause
from node.deliver.recording import side_by_side
from node.deliver.responses import Lease, stored
from node.deliver.several import Left, over_several
from node.deliver.wire import pdus, send, store_request
from node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLICIT_VR_LITTLE_ENDIAN
from node.errors import CannotSucceed, ConfigurationError, TryAgain
from node.model import Kind
from node.tls import Channel, client_context, secure, why_not

_BORROWED = 0.05
"""Seconds that pynetdicom's reader waits at a time while the socket is not its own."""
_IN_A_ROW = 3
"""After so many temporary refusals one after the other, the peer is taken to be the reason, not the parcels."""


Stored = Callable[[memoryview, str, str, str], int]
"""(data set, its transfer syntax, SOP class and SOP instance of the command) -> status"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Longest waits in seconds."""

    connect: float = 10.0
    """For the TCP connection."""
    associate: float = 30.0
    """For the answer to A-ASSOCIATE-RQ and A-RELEASE-RQ."""
    answer: float = 60.0
    """For a C-STORE-RSP once the instance is sent; some archives compress before they answer."""
    network: float = 60.0
    """For the peer to take the next bytes."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who takes an N-EVENT-REPORT of the peer, on an association that we opened."""

    take: Callable[[bytes, str], int]
    """(Event Information, its transfer syntax) -> status. Raises nothing."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when one was taken and its answer is on its way."""


class DicomTarget:
    """A C-STORE SCP at `host`:`port`, called `ae_title`, to which this node is `calling_ae`.

    tls         how it is spoken to over TLS; None for in clear
    identity    the user that we say we are; None for none
    associations    at the same time for a large delivery
    """

    def __init__(
        self, ae_title: str, host: str, port: int, calling_ae: str, timeouts: Timeouts | None = None,
        *, tls: DestinationTls | None = None, identity: Identity | None = None, associations: int = 1,
    ) -> None:  # fmt: skip
        self._associations = associations
        self._ae_title, self._host, self._port, self._calling_ae = ae_title, host, port, calling_ae
        self._tls, self._identity = tls, identity
        self._timeouts = timeouts or Timeouts()

    def __str__(self) -> str:
        return f"{self._ae_title} at {self._host}:{self._port}"

    def deliver(self, parcels: Sequence[Parcel], record: Record, stop: Callable[[], bool]) -> None:
        """See Target. A parcel that the peer cannot be offered at all is recorded as refused."""
        sendable: list[Parcel] = []
        for parcel in parcels:
            if parcel.kind is Kind.DICOM and parcel.sop_class and parcel.transfer_syntax:
                sendable.append(parcel)
            else:
                text = f"{self._ae_title} is a DICOM peer and takes no {parcel.kind.value} file without SOP class"
                record(parcel, Result(outcome=Outcome.REFUSED, text=text))
        for proposal in proposals(sendable):
            if stop():
                return
            over_several(
                side_by_side(len(proposal.parcels), self._associations), proposal.parcels,
                functools.partial(self.associated, proposal.contexts),
                lambda association, left: self._store_all(association, left, record, stop),
                lambda further, first: _accepted(first).keys() <= _accepted(further).keys(), str(self),
            )  # fmt: skip

    def check(self) -> str:
        """C-ECHO (PS3.7 9.1.5). Raises TryAgain with the reason when it is not answered with success."""
        began = time.monotonic()
        with self.associated([Context(str(Verification), IMPLICIT_VR_LITTLE_ENDIAN)]) as association:
            if not association.accepted_contexts:
                raise TryAgain(f"{self} accepts associations but not the Verification SOP class (C-ECHO)")
            try:
                status = association.send_c_echo()
            except RuntimeError:  # the peer ended the association between its acceptance and our request
                raise TryAgain(f"{self} ended the association before the C-ECHO") from None
            if status.get("Status") != 0x0000:
                raise TryAgain(f"{self} accepted the association but did not answer the C-ECHO with success")
        return f"{self} answered C-ECHO in {(time.monotonic() - began) * 1000:.0f} ms"

    def _store_all(self, association: Any, left: Left, record: Record, stop: Callable[[], bool]) -> None:
        sender = _Sender(association, str(self), self._timeouts)
        temporary = 0
        for message_id, parcel in enumerate(left, start=1):
            if stop():
                return
            context = choose(parcel, sender.accepted)
            if context is None:
                text = refusal(parcel, self._ae_title, sender.accepted)
                record(parcel, Result(outcome=Outcome.REFUSED, text=text))
                continue
            try:
                result = answer(sender.store(message_id % 0x10000, parcel, context), self._ae_title)
            except CannotSucceed as error:
                result = Result(outcome=Outcome.REFUSED, text=str(error))
            record(parcel, result)
            temporary = temporary + 1 if result.outcome is Outcome.AGAIN else 0
            if temporary == _IN_A_ROW:
                raise TryAgain(f"{result.text}, {_IN_A_ROW} times in a row")

    @contextmanager
    def associated(
        self, contexts: Collection[Context], *, scp_of: Collection[str] = (), stored: Stored | None = None,
        hearing: Hearing | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """An association that is released at the end, or aborted when the block raises.

        Its `accepted_contexts` are empty, and it is already over, when the peer accepted none.

        scp_of      SOP classes of which we are the SCP on it (PS3.7 D.3.3.4)
        stored      takes C-STORE requests of the peer
        hearing     takes N-EVENT-REPORT requests of the peer

        Raises TryAgain when there is none.
        """
        with self._connected() as connection:
            entity = _Entity(self._calling_ae, connection)
            waits = self._timeouts
            entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
            entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = waits.associate, waits.answer, None
            proposed = [build_context(c.sop_class, c.transfer_syntax) for c in contexts]
            began = time.monotonic()
            try:
                address = connection.getpeername()[0]
            except OSError:
                raise TryAgain(self._closed()) from None
            roles = [build_role(uid, scu_role=False, scp_role=True) for uid in scp_of]
            association: Any = entity.associate(
                address,
                self._port,
                contexts=proposed,
                ae_title=self._ae_title,
                ext_neg=[*roles, *self._user()],
                evt_handlers=[(evt.EVT_C_STORE, _on_store, [stored])] if stored is not None else [],
            )
            if hearing is not None:
                association._serve_request = functools.partial(_hear, association, hearing)
            answered = association.acceptor.primitive
            if answered is None or answered.result != 0:
                raise TryAgain(self._why_not(association, time.monotonic() - began))
            try:
                yield association
            except BaseException:
                association.abort()
                raise
            association.release()

    def _user(self) -> list[Any]:
        """The User Identity item (PS3.7 D.3.3.7.1): a passcode makes it type 2."""
        if self._identity is None:
            return []
        item = UserIdentityNegotiation()
        item.user_identity_type = 1
        item.primary_field = self._identity.user.encode()
        if self._identity.passcode is not None:
            try:
                item.user_identity_type, item.secondary_field = 2, self._identity.passcode.reveal().encode()
            except ConfigurationError as error:
                raise TryAgain(f"identity for {self}: {error}") from None
        return [item]

    def _connected(self) -> socket.socket:
        """A TCP connection to the peer; TryAgain with the system's reason when there is none."""
        try:
            connection = socket.create_connection((self._host, self._port), timeout=self._timeouts.connect)
        except socket.gaierror:
            raise TryAgain(f"{self._host} is not a known host; check the name of the destination") from None
        except TimeoutError:
            raise TryAgain(f"{self} did not take the connection within {self._timeouts.connect:g} s") from None
        except OSError as error:
            raise TryAgain(f"{self} cannot be reached: {error.strerror}") from None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._secured(connection, self._tls)
        connection.settimeout(self._timeouts.network)
        return connection

    def _secured(self, connection: socket.socket, tls: DestinationTls) -> socket.socket:
        """Files are read anew for each association, so a certificate that was replaced is used at once."""
        try:
            return secure(connection, client_context(tls), self._timeouts.associate, name=tls.name or self._host)
        except ConfigurationError as error:
            connection.close()
            raise TryAgain(f"tls to {self}: {error}") from None
        except OSError as error:
            raise TryAgain(f"{self} over TLS: {why_not(error)}") from None

    def _why_not(self, association: Any, took: float) -> str:
        """Why there is a connection and no association, and where to look."""
        if association.is_rejected:
            said = association.acceptor.primitive
            codes = f"{said.result}/{said.result_source}/{said.diagnostic}"
            titles = f"it must know us as {self._calling_ae} and itself as {self._ae_title}"
            hint = titles if said.result == 1 else "it may be busy"
            if said.result_source == 2:  # how a user identity is rejected (PS3.7 D.3.3.7)
                hint = "it may ask for another user identity (destinations: identity)"
            return f"{self} rejected the association ({codes}, {said.reason_str.lower()}); {hint}"
        if took >= self._timeouts.associate:
            return f"{self} did not answer the association request within {self._timeouts.associate:g} s"
        return self._closed()

    def _closed(self) -> str:
        # With TLS 1.3 a server that does not like our certificate says so only after the handshake.
        hint = "; it may not accept our certificate (tls: certificate)" if self._tls is not None else ""
        return f"{self} closed the connection instead of answering the association request{hint}"


def _on_store(event: Any, stored: Stored) -> int:
    request = event.request
    data = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
    sop_class, instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
    return stored(data, str(event.context.transfer_syntax), sop_class, instance)


def _hear(association: Any, hearing: Hearing, message: Any, context_id: int) -> None:
    """Answer a request of the peer, in a thread that pynetdicom starts for it.

    pynetdicom's own says in the end that its reactor is not paused; a release that has just paused it would then
    wait for ever.
    """
    if not isinstance(message, N_EVENT_REPORT) or not message.is_valid_request:
        association.abort(block=False)
        return
    information = message.EventInformation
    syntax = str(association._accepted_cx[context_id].transfer_syntax[0])
    response = N_EVENT_REPORT()
    response.MessageIDBeingRespondedTo = message.MessageID
    response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = (
        message.AffectedSOPClassUID, message.AffectedSOPInstanceUID,
    )  # fmt: skip
    response.EventTypeID = message.EventTypeID
    try:
        response.Status = hearing.take(information.getvalue() if information is not None else b"", syntax)
        association.dimse.send_msg(response, context_id)
    finally:
        hearing.over.set()


class _Entity(AE):
    """An application entity whose associations run on a connection that is already open.

    pynetdicom's own connecting hides the reason of a failure, leaves a failed socket open, and sets no
    timeout, so that a peer that stops reading would stop us for good.
    """

    def __init__(self, ae_title: str, connection: socket.socket) -> None:
        super().__init__(ae_title)
        self._connection = connection

    def _create_socket(self, assoc: Any, address: Any, tls_args: Any) -> AssociationSocket:
        assoc._reactor_checkpoint = Pause(assoc)
        return _Connected(assoc, client_socket=self._connection)


class _Connected(AssociationSocket):
    def __init__(self, assoc: Any, client_socket: socket.socket) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self._told = False
        self.lease = Lease()
        self.event_queue.get_nowait()  # Evt5, "someone connected to us": a socket given is taken for an acceptor's

    @property
    def ready(self) -> bool:
        """pynetdicom sends from the thread that reads: what is no data must not make it wait there.

        And its state machine breaks when a peer closes the connection before it was told that there is one.
        """
        # pynetdicom also ends an association in the thread that reads, so a wait must be short.
        return self._told and self.lease.ready(self._look, _BORROWED)

    def _look(self) -> bool:
        if isinstance(self.socket, Channel):
            return self.socket.fileno() >= 0 and self.socket.ready()
        if self.socket is None or not self._is_connected:
            return False
        # pynetdicom's own asks select(), which knows no descriptor over 1023: a node with hundreds of senders has them.
        waiting = select.poll()
        try:
            waiting.register(self.socket, select.POLLIN)
            return bool(waiting.poll(0))
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed (PS3.8 Table 9-2)
            return False

    def connect(self, primitive: Any) -> None:
        primitive.result = "Evt2"  # transport connection confirmed (PS3.8 Table 9-2)
        self.provider_queue.put(primitive)
        self._told = True


def _accepted(association: Any) -> dict[Context, int]:
    """What the peer accepted -> the presentation context's id."""
    return {
        Context(str(cx.abstract_syntax), str(cx.transfer_syntax[0])): cx.context_id
        for cx in association.accepted_contexts
    }


class _Sender:
    """Sends instances on one established association.

    Writes PDUs to the socket itself (see wire.py); pynetdicom's threads read the answers. While a sender
    lives, nothing else may send on the association.
    """

    def __init__(self, association: Any, peer: str, timeouts: Timeouts) -> None:
        self._association, self._peer, self._timeouts = association, peer, timeouts
        self._ids = _accepted(association)
        if self._ids:
            self._pause_reactor()

    @property
    def accepted(self) -> Collection[Context]:
        return self._ids.keys()

    def _pause_reactor(self) -> None:
        """Keep pynetdicom's reactor from taking our answers off the queue, as its own send_c_store does."""
        self._association._reactor_checkpoint.clear()
        while not self._association._is_paused:
            time.sleep(0.0001)

    def store(self, message_id: int, parcel: Parcel, context: Context) -> int:
        """Send one instance; the status of the answer.

        Raises TryAgain when the association died, CannotSucceed when the file itself is at fault.
        """
        try:
            command = store_request(message_id, parcel.sop_class, parcel.sop_instance)
        except ValueError:
            raise CannotSucceed("its SOP class or SOP instance UID is not a valid UID") from None
        data, length = data_set(parcel, context.transfer_syntax)
        with data:
            channel = self._association.dul.socket
            connection = channel.socket
            if connection is None:
                raise TryAgain(self._why_dead())
            with channel.lease.borrowed():
                self._send(connection, self._ids[context], command, data, length)
                status = self._answered(connection, self._ids[context], message_id)
        return self._status(message_id) if status is None else status

    def _send(self, connection: socket.socket, context_id: int, command: bytes, data: BinaryIO, length: int) -> None:
        try:
            for piece in pdus(context_id, command, data, length, self._association.dimse.maximum_pdu_size):
                if isinstance(connection, Channel):
                    connection.sendall(b"".join(piece))
                else:
                    send(connection, piece)
        except TimeoutError:
            self._cut()
            raise TryAgain(f"{self._peer} took no more bytes for {self._timeouts.network:g} s") from None
        except OSError:
            raise TryAgain(self._why_dead()) from None
        except (EOFError, ValueError) as error:
            raise TryAgain(f"sending to {self._peer} broke off: {error}") from None

    def _answered(self, connection: socket.socket, context_id: int, message_id: int) -> int | None:
        """The status; None when pynetdicom is to read what the peer says."""
        if isinstance(connection, Channel):
            return None  # TLS: what has been decrypted cannot be put back
        try:
            return stored(connection, context_id, message_id, self._timeouts.answer)
        except TimeoutError:
            raise TryAgain(self._why_dead()) from None
        except OSError:
            return None

    def _status(self, message_id: int) -> int:
        _, response = self._association.dimse.get_msg(block=True)
        if response is None:
            raise TryAgain(self._why_dead())
        if (
            not isinstance(response, C_STORE)
            or not response.is_valid_response
            or response.Status is None
            or response.MessageIDBeingRespondedTo != message_id
        ):
            raise TryAgain(f"{self._peer} answered something else than the C-STORE that was sent")
        return response.Status

    def _why_dead(self) -> str:
        if self._association.acse.is_aborted("a-abort"):
            return f"{self._peer} aborted the association"
        if self._association.acse.is_aborted("a-p-abort"):
            return f"{self._peer} closed the connection"
        return f"{self._peer} did not answer a C-STORE within {self._timeouts.answer:g} s"

    def _cut(self) -> None:
        """End the connection at once; an A-ABORT would wait behind the bytes that nobody takes."""
        connection = self._association.dul.socket.socket
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
