"""How pynetdicom's acceptor is made to serve us. What stands here uses private parts of pynetdicom 3.

Its own would abort an association for a SOP class that is not in its list, wait for ever for the rest of a
PDU, take in a PDU of any length, and leave no word when an association ends by an error.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
from typing import Any, Protocol

from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.dicom.uids import valid_uid

log = logging.getLogger("node.receive")

_STALLED = 60.0
"""Seconds without a byte in the middle of a PDU, or without room for an answer: the peer is gone."""
_LONGEST_PDU = 1 << 22
"""Ours is 128 KiB; an A-ASSOCIATE-RQ has 128 contexts at most. A longer one is no DICOM."""


class Acceptor(Protocol):
    """Whom a handler tells what happens on its association."""

    def serve(self, association: Any, message: Any, context_id: int) -> bool:
        """Answer a message. False: it is none of ours, pynetdicom may answer it."""
        ...

    def served(self, association: Any) -> None:
        """The answer is on its way, or there is none."""
        ...

    def over(self, association: Any) -> None:
        """The association's thread ends, for whatever reason."""
        ...


class Server(ThreadedAssociationServer):
    """Listens on one address."""

    request_queue_size = 128  # connections that wait to be accepted; 5 would turn away a busy department

    def service_actions(self) -> None:
        """Python collects ended threads by itself; pynetdicom's own forces a collection every minute."""


class Handler(RequestHandler):
    """Makes the association for one connection."""

    def __init__(self, *arguments: Any, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        super().__init__(*arguments)

    def _create_association(self) -> Any:
        self.request.settimeout(_STALLED)
        association: Any = super()._create_association()
        association.dul.socket.recv = functools.partial(_exactly, self.request)
        association._serve_request = functools.partial(self._serve, association, association._serve_request)
        association.run = functools.partial(self._run, association, association.run)
        return association

    def _serve(self, association: Any, otherwise: Any, message: Any, context_id: int) -> None:
        try:
            if not self.acceptor.serve(association, message, context_id):
                otherwise(message, context_id)
        except Exception:  # worker loop: without an answer the sender would wait for its own time-out
            log.exception("a message could not be answered; its association is aborted")
            association.abort(block=False)
        finally:
            self.acceptor.served(association)

    def _run(self, association: Any, run: Any) -> None:
        try:
            run()
        finally:
            self.acceptor.over(association)


def is_store_request(message: Any) -> bool:
    """A C-STORE request that can be answered: an answer names the Message ID."""
    return isinstance(message, C_STORE) and message.MessageID is not None and message.MessageIDBeingRespondedTo is None


def answer(association: Any, context_id: int, request: C_STORE, status: int) -> None:
    """Send the C-STORE response. UIDs in it are optional (PS3.7 Table 9.3-2); bad ones are not sent back."""
    response = C_STORE()
    response.MessageID = response.MessageIDBeingRespondedTo = request.MessageID
    sop_class, instance = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
    response.AffectedSOPClassUID = sop_class if sop_class and valid_uid(sop_class) else None
    response.AffectedSOPInstanceUID = instance if instance and valid_uid(instance) else None
    response.Status = status
    association.dimse.send_msg(response, context_id)


def drop_unusable_uids(command: Any) -> None:
    """Take UIDs out of a command that pynetdicom would abort the association for, where a status is due.

    command     pydicom.Dataset, before pynetdicom makes its own object of it
    """
    for keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID"):
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


def _exactly(connection: socket.socket, count: int) -> bytearray:
    """So many bytes, fewer when the connection ends before. Raises OSError, and TimeoutError when it stalls."""
    if count > _LONGEST_PDU:
        raise OSError(f"a PDU of {count} bytes")
    data = bytearray(count)
    view, have = memoryview(data), 0
    while have < count:
        got = connection.recv_into(view[have:])
        if not got:
            break
        have += got
    view.release()
    return data[:have] if have < count else data
