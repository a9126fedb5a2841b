"""The other ends of the wire for tests: a Recorder that takes what the node sends, a Sender that sends to it.

Both live on loopback and end, threads and sockets, with their `with` block.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from socketserver import BaseServer
from types import TracebackType
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.dsutils import decode, encode, split_dataset
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import Verification
from pynetdicom.transport import AddressInformation

VERIFICATION = str(Verification)
_ABORT = struct.pack(">BBLBBBB", 0x07, 0, 4, 0, 0, 0, 0)
_TCP_REPAIR = 19  # linux/tcp.h; Python has no name for it
_STORAGE = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


# ---- the receiving end -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One instance that the Recorder answered with success or a warning."""

    calling_ae: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes
    """The data set exactly as it came, without file meta."""

    def dataset(self) -> Dataset:
        syntax = UID(self.transfer_syntax)
        return decode(BytesIO(self.data), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)


class Recorder:
    """A storage SCP that keeps what it is sent, in order, and misbehaves on demand.

    refuse: status to answer instead of 0x0000. refuse_when: with it, only for the instances it says True
    for. abort_after: abort the association instead of answering once so many are stored. delay: seconds
    before each answer. accept: transfer syntaxes taken (all). sop_classes: taken (all that pynetdicom
    knows). only_callers: calling AE titles taken (all). max_pdu: bytes, 0 for no limit. meanwhile: called
    when an instance is stored and not answered yet. later_accept: transfer syntaxes taken on every
    association but the first. abort_when: abort at the instances it says True for.
    """

    def __init__(
        self,
        *,
        ae_title: str = "ARCHIVE",
        refuse: int | None = None,
        refuse_when: Callable[[Received], bool] | None = None,
        abort_after: int | None = None,
        abort_when: Callable[[Received], bool] = lambda one: False,
        delay: float = 0.0,
        accept: Sequence[str] = tuple(AllTransferSyntaxes),
        sop_classes: Sequence[str] | None = None,
        only_callers: Sequence[str] = (),
        max_pdu: int = 16384,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        meanwhile: Callable[[], None] = lambda: None,
        later_accept: Sequence[str] | None = None,
    ) -> None:
        self.ae_title, self._meanwhile, self._later_accept = ae_title, meanwhile, later_accept
        self._abort_when = abort_when
        self.received: list[Received] = []
        self.associations = 0
        self.releases = 0
        self.refuse, self.refuse_when, self.abort_after, self.delay = refuse, refuse_when, abort_after, delay
        self._max_pdu, self._wanted_port, self._tls = max_pdu, port, tls
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._connections: list[socket.socket] = []
        self._ae = AE(ae_title)
        self._ae.maximum_associations = 100
        self._ae.maximum_pdu_size = max_pdu
        if only_callers:
            self._ae.require_calling_aet = list(only_callers)
        self._accept, self._classes = accept, _STORAGE if sop_classes is None else frozenset(sop_classes)
        self._ae.add_supported_context(VERIFICATION)

    def __enter__(self) -> Recorder:
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_CONN_OPEN, self._opened),
        ]
        self._server = self._ae.make_server(
            ("127.0.0.1", self._wanted_port), evt_handlers=handlers, ssl_context=self._tls
        )
        # start_server would poll for its end every 0.5 s only, which is long for a test.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port: int = self._server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        BaseServer.shutdown(self._server)  # pynetdicom's own wants start_server to have been called
        self._server.server_close()
        self._thread.join(5)
        for association in self._ae.active_associations:
            association.abort()
            association.join(5)
        for connection in self._connections:
            connection.close()  # pynetdicom leaves those open that the peer ended first

    @property
    def uids(self) -> list[str]:
        return [one.sop_instance for one in self.received]

    def wait_for(self, count: int, deadline: float = 10.0) -> list[Received]:
        """What was received once there are `count`; fails when they are not here within `deadline` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, deadline):
                raise AssertionError(f"{len(self.received)} of {count} instances within {deadline} s")
            return list(self.received)

    def abort(self) -> None:
        """End every association by A-ABORT of the service user (PS3.8 9.3.8), now."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.sendall(_ABORT)
                connection.shutdown(socket.SHUT_RDWR)

    def vanish(self) -> None:
        """Leave the node alone with half-open connections."""
        for connection in self._connections:
            if connection.fileno() >= 0:
                vanish(connection)

    def _opened(self, event: Any) -> None:
        connection = event.assoc.dul.socket.socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(connection)

    def _requested(self, event: Any) -> None:
        """Support what of `sop_classes` is proposed: pynetdicom copies a list of all for each association, in 40 ms."""
        later = self._later_accept is not None and self.associations
        accept = list((self._later_accept if later else self._accept) or ())
        acceptor, requestor = event.assoc.acceptor, event.assoc.requestor
        proposed = {str(one.abstract_syntax) for one in requestor.primitive.presentation_context_definition_list}
        taken = [build_context(sop_class, accept) for sop_class in sorted(proposed & self._classes)]
        acceptor.supported_contexts = [*acceptor.supported_contexts, *taken]

    def _accepted(self, _: Any) -> None:
        with self._changed:
            self.associations += 1

    def _released(self, _: Any) -> None:
        with self._changed:
            self.releases += 1
            self._changed.notify_all()

    def wait_for_release(self, deadline: float = 10.0) -> None:
        """Return once an association was released in good order; fails after `deadline` seconds."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.releases > 0, deadline), "no association was released"

    def _store(self, event: Any) -> int:
        self._over.wait(self.delay)
        one = Received(
            calling_ae=event.assoc.requestor.ae_title,
            sop_class=str(event.request.AffectedSOPClassUID),
            sop_instance=str(event.request.AffectedSOPInstanceUID),
            transfer_syntax=str(event.context.transfer_syntax),
            data=event.request.DataSet.getvalue(),
        )
        if self._abort_when(one) or (self.abort_after is not None and len(self.received) >= self.abort_after):
            event.assoc.abort()
            return 0x0000
        status = 0x0000
        if self.refuse is not None and (self.refuse_when is None or self.refuse_when(one)):
            status = self.refuse
        if status == 0x0000 or 0xB000 <= status <= 0xBFFF:
            with self._changed:
                self.received.append(one)
                self._changed.notify_all()
            self._meanwhile()
        return status


# ---- the sending end -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What a C-STORE carries. `sop_class` and `sop_instance` go into the command, whatever `data` says."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes

    @classmethod
    def of(cls, source: Path | Dataset | Instance) -> Instance:
        if isinstance(source, Instance):
            return source
        if isinstance(source, Path):
            dataset = dcmread(source, stop_before_pixels=True)
            data = source.read_bytes()[split_dataset(source)[1] :]
            syntax = UID(dataset.file_meta.TransferSyntaxUID)
        else:
            dataset, syntax, buffer = source, UID(source.file_meta.TransferSyntaxUID), DicomBytesIO()
            buffer.is_implicit_VR, buffer.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
            write_dataset(buffer, dataset)
            data = buffer.getvalue()
        return cls(
            sop_class=str(dataset.SOPClassUID),
            sop_instance=str(dataset.SOPInstanceUID),
            transfer_syntax=str(syntax),
            data=data,
        )


class Rejected(Exception):  # an answer, as PS3.8 calls it
    """A-ASSOCIATE-RJ: result, source, reason (PS3.8 Table 9-21)."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        self.codes = (result, source, reason)
        super().__init__(f"rejected {result}/{source}/{reason}")


class Gone(Exception):  # a state of the association
    """The node aborted, or closed the connection."""


class Sender:
    """A storage SCU on a raw socket, so that it can also do what no well-behaved SCU does.

    contexts: (SOP class, transfer syntaxes in order of preference), one per presentation context.
    accepted: {context id: (SOP class, transfer syntax)} after the negotiation.
    """

    def __init__(
        self,
        port: int,
        contexts: Sequence[tuple[str, Sequence[str]]] = ((VERIFICATION, UNCOMPRESSED),),
        *,
        calling_ae: str = "SENDER",
        called_ae: str = "NODE",
        host: str = "127.0.0.1",
        deadline: float = 10.0,
        tls: ssl.SSLContext | None = None,
        user: UserIdentityNegotiation | None = None,
    ) -> None:
        self._tls, self._user = tls, user
        self.confirmed: bytes | None = None
        """The server's response to the user identity; None when there is none."""
        self._address, self._contexts, self._deadline = (host, port), contexts, deadline
        self._calling_ae, self._called_ae = calling_ae, called_ae
        self._message_id = 0
        self.accepted: dict[int, tuple[str, str]] = {}
        self.max_pdu = 16384

    def __enter__(self) -> Sender:
        self.connect()
        try:
            self.associate()
        except BaseException:
            self.cut()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with contextlib.suppress(OSError, Gone):
            if kind is None and self._socket.fileno() >= 0:
                self.release()
        self.cut()

    def connect(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=self._deadline)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            self._socket = self._tls.wrap_socket(self._socket, server_hostname=self._address[0])

    def associate(self) -> None:
        """Negotiate; raises Rejected or Gone."""
        self.raw(self._associate_request())
        kind, body = self.pdu()
        if kind == 0x03:
            raise Rejected(*body[1:4])
        answer = A_ASSOCIATE_AC()
        answer.decode(struct.pack(">BBL", kind, 0, len(body)) + body)
        for item in answer.presentation_context:
            if item.result == 0:
                sop_class = self._contexts[(item.presentation_context_id - 1) // 2][0]
                self.accepted[item.presentation_context_id] = (sop_class, str(item.transfer_syntax))
        assert answer.user_information is not None
        confirmed = answer.user_information.user_identity
        self.confirmed = None if confirmed is None else confirmed.server_response
        self.max_pdu = answer.user_information.maximum_length or 1 << 16

    def store(self, source: Path | Dataset | Instance, *, context: int | None = None) -> int:
        """Send one instance and return the status of its answer; raises Gone when there is none."""
        instance = Instance.of(source)
        self.begin(instance, context=context)
        return self.status()

    def begin(self, source: Path | Dataset | Instance, *, only: int | None = None, context: int | None = None) -> None:
        """Send a C-STORE-RQ and the first `only` bytes of the data set (all of it), and read no answer."""
        for piece in self.message(source, only=only, context=context):
            self.raw(piece)

    def message(
        self, source: Path | Dataset | Instance, *, only: int | None = None, context: int | None = None
    ) -> Iterator[bytes]:
        """The PDUs of a C-STORE-RQ with the first `only` bytes of the data set (all of it), not sent."""
        instance = Instance.of(source)
        number = context or self.context_for(instance)
        self._message_id += 1
        command = Dataset()
        command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = instance.sop_class, instance.sop_instance
        command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = (
            1,
            self._message_id,
            0,
            1,
        )
        yield self.p_data(number, 0x03, _with_length(command))
        room = self.max_pdu - 6
        end = len(instance.data) if only is None else only
        for start in range(0, end, room):
            part = instance.data[start : min(start + room, end)]
            last = start + len(part) == len(instance.data)
            yield self.p_data(number, 0x02 if last else 0x00, part)

    def answered(self) -> bool:
        """Whether there is something to read: an answer, or the end."""
        try:
            return bool(select.select([self._socket], [], [], 0)[0])
        except ValueError:  # another thread has closed it
            return True

    def echo(self) -> int:
        number = next(number for number, (sop_class, _) in self.accepted.items() if sop_class == VERIFICATION)
        self._message_id += 1
        command = Dataset()
        command.AffectedSOPClassUID = VERIFICATION
        command.CommandField, command.MessageID, command.CommandDataSetType = 0x30, self._message_id, 0x0101
        self.raw(self.p_data(number, 0x03, _with_length(command)))
        return self.status()

    def status(self) -> int:
        """The status of the next answer."""
        command = b""
        while True:
            kind, body = self.pdu()
            if kind != 0x04:
                raise Gone(f"PDU type 0x{kind:02X} instead of an answer")
            command += body[6:]
            if body[5] & 0x02:
                return int(decode(BytesIO(command), True, True).Status)

    def context_for(self, instance: Instance) -> int:
        wanted = (instance.sop_class, instance.transfer_syntax)
        for number, offered in self.accepted.items():
            if offered == wanted:
                return number
        raise AssertionError(f"no accepted context for {wanted}; accepted: {self.accepted}")

    def release(self) -> None:
        self.raw(struct.pack(">BBLL", 0x05, 0, 4, 0))
        kind, _ = self.pdu()
        if kind != 0x06:
            raise Gone(f"PDU type 0x{kind:02X} instead of A-RELEASE-RP")
        self.cut()

    def abort(self) -> None:
        """A-ABORT by the service user (PS3.8 9.3.8), and close."""
        self.raw(_ABORT)
        self.cut()

    def cut(self) -> None:
        """Close the TCP connection without a word."""
        self._socket.close()

    def vanish(self) -> None:
        """Leave the node alone with a half-open connection."""
        vanish(self._socket)

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def p_data(self, context: int, control: int, part: bytes) -> bytes:
        """One P-DATA-TF PDU with one PDV (PS3.8 9.3.5)."""
        return struct.pack(">BBLLBB", 0x04, 0, len(part) + 6, len(part) + 2, context, control) + part

    def pdu(self) -> tuple[int, bytes]:
        """The next PDU from the node: type and body. Raises Gone when the node closed the connection."""
        kind, _, length = struct.unpack(">BBL", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self._socket.recv(count - len(data))
            except ConnectionError as error:
                raise Gone(str(error)) from None
            if not part:
                raise Gone("connection closed")
            data += part
        return data

    def _associate_request(self) -> bytes:
        request = A_ASSOCIATE()
        request.application_context_name = "1.2.840.10008.3.1.1.1"
        request.calling_ae_title, request.called_ae_title = self._calling_ae, self._called_ae
        request.calling_presentation_address = AddressInformation("127.0.0.1", 0)
        request.called_presentation_address = AddressInformation(*self._address)
        contexts = [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in self._contexts]
        for index, context in enumerate(contexts):
            context.context_id = 2 * index + 1
        request.presentation_context_definition_list = contexts
        longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
        longest.maximum_length_received = 16384
        implementation.implementation_class_uid = UID("1.2.826.0.1.3680043.8.498.1")
        request.user_information = [longest, implementation, *([self._user] if self._user else [])]
        pdu = A_ASSOCIATE_RQ()
        pdu.from_primitive(request)
        return bytes(pdu.encode())


def _with_length(command: Dataset) -> bytes:
    body = encode(command, True, True) or b""
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def send(
    port: int, sources: Sequence[Path | Dataset | Instance], *, calling_ae: str = "SENDER", called_ae: str = "NODE"
) -> list[int]:
    """Send each over one association, each under its own transfer syntax; the statuses in order."""
    instances = [Instance.of(source) for source in sources]
    pairs = dict.fromkeys((one.sop_class, one.transfer_syntax) for one in instances)
    contexts = [(sop_class, [syntax]) for sop_class, syntax in pairs]
    with Sender(port, contexts, calling_ae=calling_ae, called_ae=called_ae) as sender:
        return [sender.store(one) for one in instances]


# ---- others' ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def silent_listener() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def listener_that_stops_reading() -> Iterator[int]:
    """A port that accepts one association, all its contexts, and never reads a byte after that."""
    over = threading.Event()
    with _accepting_listener(lambda _: over.wait(30)) as port:
        try:
            yield port
        finally:
            over.set()


@contextlib.contextmanager
def listener_that_answers_another_message(status: int = 0x0000) -> Iterator[int]:
    """A port that accepts one association, and answers a C-STORE as if it had had another Message ID."""

    def serve(connection: socket.socket) -> None:
        control = 0
        while control != 0x02:  # the last fragment of a data set
            body = _receive(connection)[6:]
            context, control = body[4], body[5]
        answer = Dataset()
        answer.CommandField, answer.MessageIDBeingRespondedTo = 0x8001, 999
        answer.CommandDataSetType, answer.Status = 0x0101, status
        part = _with_length(answer)
        connection.sendall(struct.pack(">BBLLBB", 0x04, 0, len(part) + 6, len(part) + 2, context, 0x03) + part)
        connection.recv(1)

    with _accepting_listener(serve) as port:
        yield port


@contextlib.contextmanager
def _accepting_listener(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    def take_one(server: socket.socket) -> None:
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            connection.sendall(_accept_all(_receive(connection)))
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=take_one, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]


def _receive(connection: socket.socket) -> bytes:
    head = connection.recv(6, socket.MSG_WAITALL)
    return head + connection.recv(struct.unpack(">BBL", head)[2], socket.MSG_WAITALL)


def _accept_all(request: bytes) -> bytes:
    asked = A_ASSOCIATE_RQ()
    asked.decode(request)
    answer = asked.to_primitive()
    answer.result, answer.result_source = 0, 1
    for context in answer.presentation_context_definition_list:
        context.result = 0
    answer.presentation_context_definition_results_list = answer.presentation_context_definition_list
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return bytes(pdu.encode())


def vanish(connection: socket.socket) -> None:
    """End a connection without a word to the other side, as a machine does that loses its power.

    The other side goes on with a half-open connection (RFC 9293 3.5.1), and learns of it only when it sends.
    Raises PermissionError without CAP_NET_ADMIN. The socket object stays usable, and reads its end.
    """
    connection.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    nobody, other = socket.socketpair()
    with nobody, other:
        os.dup2(nobody.fileno(), connection.fileno())


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until_open(port: int, deadline: float = 10.0) -> None:
    """Return once something listens on `port`; fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading.Event().wait(0.02)
    raise AssertionError(f"nothing listens on port {port} within {deadline} s")
