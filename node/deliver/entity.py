"""pynetdicom's application entity on a connection that is already open, for associations that this node asks for.

What differs from pynetdicom's own, and what breaks with that, stands at each class.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.transport import AssociationSocket

from node.deliver.pause import Pause
from node.deliver.responses import Lease
from node.tls import Channel

_BORROWED = 0.05
"""Seconds that pynetdicom's reader waits at a time while the socket is not its own."""

Stored = Callable[[memoryview, str, str, str], int]
"""(data set, its transfer syntax, SOP class and SOP instance of the command) -> status"""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who takes an N-EVENT-REPORT of the peer, on an association that we opened."""

    take: Callable[[bytes, str], int]
    """(Event Information, its transfer syntax) -> status. Raises nothing."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when one was taken and its answer is on its way."""


def on_store(event: Any, stored: Stored) -> int:
    request = event.request
    data = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
    sop_class, instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
    return stored(data, str(event.context.transfer_syntax), sop_class, instance)


def hear(association: Any, hearing: Hearing, message: Any, context_id: int) -> None:
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


class Entity(AE):
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
