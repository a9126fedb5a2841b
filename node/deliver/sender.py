"""C-STORE on one association: the instance goes out as it is stored, and the answer is waited for."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

from pynetdicom.dimse_primitives import C_STORE

from node.deliver.base import Parcel
from node.deliver.content import data_set
from node.deliver.contexts import Context
from node.deliver.responses import stored
from node.deliver.wire import pdus, send, store_request
from node.errors import CannotSucceed, TryAgain
from node.tls import Channel


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


def accepted_of(association: Any) -> dict[Context, int]:
    """What the peer accepted -> the presentation context's id."""
    return {
        Context(str(cx.abstract_syntax), str(cx.transfer_syntax[0])): cx.context_id
        for cx in association.accepted_contexts
    }


class Sender:
    """Sends instances on one established association.

    Writes PDUs to the socket itself (see wire.py); pynetdicom's threads read the answers. While a sender
    lives, nothing else may send on the association.
    """

    def __init__(self, association: Any, peer: str, timeouts: Timeouts) -> None:
        self._association, self._peer, self._timeouts = association, peer, timeouts
        self._ids = accepted_of(association)
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
