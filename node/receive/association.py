"""How pynetdicom's acceptor is made to serve us. What stands here uses private parts of pynetdicom 3.

Its own polls for messages, would abort an association for a SOP class that is not in its list, wait for ever for
the rest of a PDU, take in a PDU of any length, and leave no word when an association ends by an error.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from pynetdicom import evt
from pynetdicom._handlers import standard_dimse_recv_handler, standard_dimse_sent_handler
from pynetdicom.association import LOGGER, Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from node.errors import lacking
from node.model import UID
from node.receive.admission import Caller, User, plain
from node.receive.bell import Ringing
from node.receive.pdata import COMMAND, LAST, LONGEST_PDU, p_data
from node.receive.unasked import Unasked
from node.receive.upper_layer import Listener, UpperLayer
from node.tls import Certificate, Certificates, Channel, secure

log = logging.getLogger("node.receive")

_STALLED = 60.0
"""Seconds without room for an answer: the peer is gone."""
_HANDSHAKE = 30.0
"""Seconds for a whole TLS handshake, as for the association request after it (ARTIM, PS3.8 9.1.5)."""
_BREATH = 0.1
"""Seconds without descriptors after which one may be free again."""
_ASKED: Any = {event: (evt.get_default_handler(event), None) for event in evt._INTERVENTION_EVENTS}
"""pynetdicom's handlers of what asks for an answer."""


class Acceptor(Protocol):
    """Whom a handler tells what happens on its association."""

    def listen_to(self, association: Any) -> Listener | None:
        """Who takes the messages of a new association; None: pynetdicom's services answer all of them."""
        ...

    def serve(self, association: Any, message: Any, context_id: int) -> bool:
        """Answer a message that the listener left. False: it is none of ours, pynetdicom may answer it."""
        ...

    def served(self, association: Any) -> None:
        """The answer is on its way, or there is none."""
        ...

    def over(self, association: Any) -> None:
        """The association's thread ends, for whatever reason."""
        ...

    def not_secured(self, address: str, error: OSError) -> None:
        """The TLS handshake failed, and the connection is closed."""
        ...

    def not_asked(self, address: str, why: str) -> None:
        """What came is no association request, or not the whole of one; the connection is closed."""
        ...


class Server(ThreadedAssociationServer):
    """Listens on one address."""

    request_queue_size = 128  # connections that wait to be accepted; 5 would turn away a busy department
    daemon_threads = True  # else the end of the server would wait for handshakes of clients that are silent
    certificates: Certificates | None = None
    """Of a server that speaks TLS."""
    unasked: Unasked | None = None
    """Where connections are counted until an association is asked for on them."""

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError as error:
            # The connection stays in the queue, and the loop would ask for it again at once.
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                log.error("no connection can be accepted: %s; see `ulimit -n` of the node", error.strerror)
                time.sleep(_BREATH)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own only where it waits for the peer: for a TLS handshake."""
        if self.unasked is not None:
            self.unasked.enter(self.called(client_address), plain(str(client_address[0])), request)
        if self.certificates is None:
            self.process_request_thread(request, client_address)
        else:
            super().process_request(request, client_address)

    def called(self, client_address: Any) -> Hashable:
        """What a connection is called in `unasked`."""
        return self.server_address, client_address

    def asked(self, client_address: Any) -> bool:
        """The connection is counted no more. False: it was not, as when it was ended to make room and that is said."""
        return self.unasked is None or self.unasked.leave(self.called(client_address))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line, where Python prints twenty: who connects again and again would fill the log with them."""
        self.asked(client_address)
        error: Any = sys.exc_info()[1]
        why = error.strerror if isinstance(error, OSError) else lacking(error) or type(error).__name__
        log.warning("a connection from %s cannot be served: %s", plain(str(client_address[0])), why)
        log.debug("how it came to that", exc_info=error)

    def service_actions(self) -> None:
        """Python collects ended threads by itself; pynetdicom's own forces a collection every minute."""


class Connection(AssociationSocket):
    """The connection of an association; what is read before it is established is read here."""

    def recv(self, nr_bytes: int) -> bytearray:
        """So many bytes, fewer when the connection ends before.

        Raises OSError, and TimeoutError when they are not here before ARTIM expires, however slowly they come
        (PS3.8 9.1.5).
        """
        if nr_bytes > LONGEST_PDU:
            raise OSError(f"a PDU of {nr_bytes} bytes")
        artim: Any = self.assoc.dul.artim_timer
        deadline = time.monotonic() + (artim.remaining if artim.running else _STALLED)
        data = bytearray(nr_bytes)
        view, have = memoryview(data), 0
        connection: Any = self.socket
        try:
            while have < nr_bytes:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                got = connection.recv_into(view[have:])
                if not got:
                    break
                have += got
        finally:
            view.release()
            connection.settimeout(_STALLED)
        return data[:have] if have < nr_bytes else data

    def _shutdown_socket(self) -> None:
        """As pynetdicom's; but a connection that the peer has reset, which cannot be shut down, is closed too."""
        connection: Any = self.socket
        with contextlib.suppress(OSError, AttributeError):
            connection.shutdown(socket.SHUT_RDWR)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


class Acceptance(Association):
    """One association that a peer asked for. Sleeps until there is something to answer."""

    dul: UpperLayer

    def __init__(self, ae: Any, acceptor: Acceptor, asked: Callable[[], bool] = lambda: True) -> None:
        self._bell = threading.Event()  # first: super() sets time-outs, which ring it
        super().__init__(ae, "acceptor")
        self._told = acceptor
        self.caller: Caller | None = None
        """Who asked for it."""
        self.asked = asked
        """To be called when its request is here, or will not be. False: why is said already."""
        self.dul = UpperLayer(self, on_end=self.wake, unasked=self._not_asked)
        self.dul.to_user_queue = Ringing(self.wake)
        self.dimse.msg_queue = Ringing(self.wake)
        # Once more: these are set on the upper layer, and super() had set them on its own.
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout
        self.dul.listener = acceptor.listen_to(self)

    def _bind_defaults(self) -> None:
        """As pynetdicom's, but for those that tell its debug log of each PDU: there they would be withheld."""
        with self.lock:
            self._handlers.update(_ASKED)
        self.bind(evt.EVT_DIMSE_RECV, standard_dimse_recv_handler)
        self.bind(evt.EVT_DIMSE_SENT, standard_dimse_sent_handler)

    def _not_asked(self, address: str, why: str) -> None:
        if self.asked():
            self._told.not_asked(address, why)

    def wake(self) -> None:
        """There is something to look at: a message, or the end of the upper layer."""
        self._bell.set()

    def kill(self) -> None:
        self.wake()
        super().kill()

    def start(self) -> None:
        """Raises RuntimeError where the system gives no thread for it; then its connection is closed."""
        try:
            super().start()
        except RuntimeError:
            self.dul.over()
            raise

    def run(self) -> None:
        try:
            super().run()
        except (
            Exception
        ) as error:  # worker loop of one association: its connection would stay open with nobody behind it
            if why := lacking(error):
                log.error("an association cannot be served: %s", why)
            else:
                log.exception("an association could not be served; it is aborted")
            if self.dul.is_alive():
                self.abort(block=False)
            else:
                self.dul.over()
        finally:
            self.asked()
            self._told.over(self)

    @property
    def network_timeout(self) -> float | None:
        """Seconds; a new value counts at once, for who sleeps already too."""
        return super().network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        with self.lock:
            self.dul._idle_timer.timeout = self._network_timeout = value
        self.wake()

    def _run_reactor(self) -> None:
        """As pynetdicom's, but for its thousand looks a second."""
        while not self._kill:
            # Who sleeps is paused too: `release` and the like of another thread wait for it before they speak.
            self._is_paused = True
            self._reactor_checkpoint.wait()
            self._is_paused = False
            if not self._reactor_checkpoint.is_set():
                continue  # the other thread saw the pause just before it ended, and relies on it
            self._bell.clear()
            if not self._look():
                self._is_paused = True
                self._bell.wait(max(0.01, self.dul._idle_timer.remaining) if self.network_timeout else None)

    def _look(self) -> bool:
        """True when there was something to do, so that there may be more."""
        context_id, message = self.dimse.get_msg(block=False)
        if message is not None and context_id is not None:
            self._serve_request(message, context_id)
            return True
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            LOGGER.info("Association Released")  # ends what ACSE began there with "Association Accepted"
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            self.kill()
        elif self.acse.is_aborted():
            LOGGER.info("Association Aborted")
            self.dul.receive_pdu(wait=False)  # so that EVT_ACSE_RECV is triggered for it
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            self.kill()
        elif self.dul._kill_thread:
            self.kill()
        elif self.dul.idle_timer_expired():
            log.info("the association of %s has been idle for %g s; it is aborted", self.remote["ae_title"],
                     self.network_timeout)  # fmt: skip
            self.abort()
            self.kill()
        else:
            return False
        return True

    def _serve_request(self, msg: Any, context_id: int) -> None:
        try:
            if not self._told.serve(self, msg, context_id):
                super()._serve_request(msg, context_id)
        except Exception:  # worker loop: without an answer the sender would wait for its own time-out
            log.exception("a message could not be answered; its association is aborted")
            self.abort(block=False)
        finally:
            self._told.served(self)


class Wired:
    """The `Wire` of a conversation in this process."""

    def __init__(self, association: Acceptance) -> None:
        self._association = association

    @property
    def key(self) -> Acceptance:
        return self._association

    def syntax(self, context_id: int) -> UID | None:
        context = self._association._accepted_cx.get(context_id)
        return None if context is None else UID(str(context.transfer_syntax[0]))

    def send_now(self, data: bytes) -> None:
        self._association.dul.send_now(data)

    def leave(self, context_id: int, command: bytes) -> None:
        self._association.dul._indicate(p_data(context_id, COMMAND | LAST, command))

    def refuse_message(self) -> None:
        self._association.dul.refuse_message()

    def abort(self) -> None:
        self._association.abort(block=False)


class Handler(RequestHandler):
    """Makes the association for one connection."""

    server: Server

    def __init__(self, *arguments: Any, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        super().__init__(*arguments)

    def handle(self) -> None:
        """In a thread of this connection: a client that is silent in the handshake blocks nobody else."""
        certificates = self.server.certificates
        if certificates is None or self._secured(certificates):
            super().handle()
        else:
            self._asked()

    def _asked(self) -> bool:
        return self.server.asked(self.client_address)

    def _secured(self, certificates: Certificates) -> bool:
        try:
            self.request.settimeout(_HANDSHAKE)
            if not self.request.recv(1, socket.MSG_PEEK):
                self.request.close()  # a probe that only connects
                return False
            self.request = secure(self.request, certificates.context(), _HANDSHAKE)
        except OSError as error:
            self.request.close()
            if self._asked():
                self.acceptor.not_secured(str(self.client_address[0]), error)
            return False
        return True

    def _create_association(self) -> Acceptance:
        """As pynetdicom's, with our classes."""
        connection: Any = self.request
        connection.settimeout(_STALLED)
        # An answer is one small packet: it must not wait for the peer's acknowledgement of the last one.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        association = Acceptance(self.ae, self.acceptor, self._asked)
        association._server = self.server
        association.name = f"AcceptorThread {self.client_address[1]}"  # `active_associations` looks for the name
        association.set_socket(Connection(association, client_socket=connection))
        acceptor, server = association.acceptor, self.server
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.ae_title = server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        acceptor.supported_contexts = list(server.contexts)
        association.requestor.address_info = self.remote
        for event, bound in server._handlers.items():
            for handler in [bound] if isinstance(bound, tuple) else bound:
                if handler and handler[0] is not None:
                    association.bind(event, *handler)
        return association


def certificate_of(association: Any) -> tuple[bool, Certificate | None]:
    """Whether it is under TLS, and the certificate that the sender showed there."""
    connection = association.dul.socket and association.dul.socket.socket
    return (True, Certificate.of(connection)) if isinstance(connection, Channel) else (False, None)


def user_of(association: Any) -> User | None:
    """Of the association request."""
    item = association.requestor.user_identity
    if item is None:
        return None
    return User(
        kind=item.user_identity_type, name=item.primary_field or b"", passcode=item.secondary_field or b"",
        asks=bool(item.positive_response_requested),
    )  # fmt: skip


def confirm_user(association: Any) -> None:
    """Answer, where the sender asks for one, that its user is known; empty for these kinds (PS3.7 D.3.3.7.2)."""
    if association.requestor.user_identity.positive_response_requested:
        item = UserIdentityNegotiation()
        item.server_response = b""
        association.acceptor.add_negotiation_item(item)


def drop_unusable_uids(command: Any) -> None:
    """Take UIDs out of a command that pynetdicom would abort the association for, where a status is due.

    command     pydicom.Dataset, before pynetdicom makes its own object of it
    """
    for keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID", "RequestedSOPClassUID", "RequestedSOPInstanceUID"):
        value = command.get(keyword)
        if value is not None and (not isinstance(value, str) or len(value) > 64):
            del command[keyword]


def end(association: Any) -> None:
    """A-ABORT behind what is to be sent before it; without a word where nothing is established. Does not wait."""
    if association.is_established:
        association.abort(block=False)
    else:
        cut(association)


def cut(association: Any) -> None:
    """Close the connection under an association: whoever waits for it, wakes up."""
    connection = association.dul.socket and association.dul.socket.socket
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
