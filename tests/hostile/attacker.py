"""Says a conversation to the node, whatever it is, and waits for the node to end it."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.dicom import command as dimse
from node.receive.pdata import Fragment, Splitter, Unreadable
from tests.hostile.conversations import ECHO_CONTEXT, Conversation, Recording, message

PATIENCE = 20.0
"""Seconds in which the node has to end a connection whose other end has nothing more to say."""

C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
_HEAD = struct.Struct(">BBL")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the node answered."""

    stored: tuple[str, ...]
    """SOP Instance UIDs of C-STORE requests that it answered with success; "" where it named none."""
    echoes: int


def converse(port: int, said: Conversation) -> Heard:
    """Say it all, hang up, and hear the node out. Raises AssertionError when it does not hang up in turn."""
    with _connected(port) as connection:
        heard = b""
        with contextlib.suppress(ConnectionError):
            if said:
                connection.sendall(said[0])
                if _is_whole(said[0]):  # else the node waits for the rest of it
                    heard += _some(connection)
                connection.sendall(b"".join(said[1:]))
        _hang_up(connection)
        return understood(heard + _rest(connection))


def talk(port: int, messages: Sequence[tuple[bytes, ...]]) -> tuple[int, list[Heard]]:
    """Say messages on as few associations as the node allows: how many it took, and what it answered.

    messages   the PDUs of each, framed as they should be

    A C-ECHO follows each message, so the answers tell how far the node came before it ended an association.
    """
    left, associations, heard = list(messages), 0, list[Heard]()
    while left:
        associations += 1
        sender = Recording(port)
        sender.connect()
        sender.associate()
        with sender._socket as connection:
            with contextlib.suppress(ConnectionError):
                for number, pdus in enumerate(left):
                    echo = message(C_ECHO_RQ, number=number, x0002="1.2.840.10008.1.1")
                    connection.sendall(b"".join(pdus) + sender.p_data(ECHO_CONTEXT, 3, echo))
            _hang_up(connection)
            one = understood(_rest(connection))
        heard.append(one)
        # The one that ended the association was heard as well.
        del left[: one.echoes + 1]
    return associations, heard


def understood(stream: bytes) -> Heard:
    """The answers in what the node sent; what is cut off at its end does not count."""
    command, stored, echoes = b"", [], 0
    with contextlib.suppress(Unreadable):
        for part in Splitter().feed(memoryview(stream)):
            if not isinstance(part, Fragment):
                continue
            command += bytes(part.data)
            if part.control != 3:
                continue
            answer, command = dimse.parse_command(command), b""
            kind, status = (dimse.number_of(answer, element) for element in (dimse.COMMAND_FIELD, dimse.STATUS))
            echoes += kind == C_ECHO_RSP
            if kind == dimse.C_STORE_RSP and status == 0:
                stored.append(dimse.uid_of(answer, dimse.AFFECTED_SOP_INSTANCE) or "")
    return Heard(tuple(stored), echoes)


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def _is_whole(pdu: bytes) -> bool:
    return len(pdu) >= _HEAD.size and len(pdu) >= _HEAD.size + int(_HEAD.unpack_from(pdu)[2])


def _some(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except TimeoutError:
        raise AssertionError(f"no answer to an association request within {PATIENCE} s") from None


def _rest(connection: socket.socket) -> bytes:
    found = bytearray()
    try:
        while part := connection.recv(1 << 16):
            found += part
    except TimeoutError:
        raise AssertionError(f"the node does not end the connection within {PATIENCE} s") from None
    except ConnectionError:
        pass  # with a reset, which takes with it what was not read
    return bytes(found)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the node did
        connection.shutdown(socket.SHUT_WR)
