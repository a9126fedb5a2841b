"""The answer to a C-STORE, read from the socket by the thread that waits for it.

pynetdicom's reader looks at the socket once in a millisecond, makes objects of what it finds and hands them to
another thread: half the time of an instance of 512 KiB. So whoever sends borrows the socket, and takes from it what
is a whole answer to its own request, byte for byte as PS3.7 9.3.1.2 has it. Whatever else is there (an abort, the end
of the connection, a request, an answer in pieces) is left where it is, and the socket goes back to pynetdicom.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from node.dicom.command import (
    C_STORE_RSP,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MESSAGE_ID_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
    number_of,
    parse_command,
)  # fmt: skip
from node.dicom.encoding import Malformed

_HEAD = struct.Struct(">BBLLBB")
"""PDU type, reserved, PDU length, PDV length, context id, message control header (PS3.8 9.3.5, E.2)."""
_P_DATA, _COMMAND_LAST = 0x04, 0x03
_LONGEST = 4096
"""Bytes that are looked at; an answer with the longest comment has some 300."""


class Lease:
    """Who reads the socket of an association: pynetdicom, or for a while the thread that sends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lent = False

    def ready(self, look: Callable[[], bool], seconds: float) -> bool:
        """For pynetdicom's reader: whether `look` finds something to read; False while the socket is lent, after
        `seconds` at the most.

        It looks under the lock: else the socket could be lent, and the answer come, between the question whether it
        is free and the look, and the reader would take what the other thread waits for.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._lent, seconds) and look()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """To be used while nothing has been asked of the peer: then there is nothing that the reader began to read."""
        with self._changed:
            self._lent = True
        try:
            yield
        finally:
            with self._changed:
                self._lent = False
                self._changed.notify_all()


def stored(connection: socket.socket, context_id: int, message_id: int, seconds: float) -> int | None:
    """Wait for the answer to the C-STORE-RQ `message_id` and take it off the socket: its status.

    None, with nothing taken, when something else is there. Raises TimeoutError when nothing comes for `seconds`,
    OSError when the connection is broken.
    """
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    if not waiting.poll(seconds * 1000):
        raise TimeoutError
    found = answer(connection.recv(_LONGEST, socket.MSG_PEEK), context_id, message_id)
    if found is None:
        return None
    status, length = found
    # It is all there, or it would not have been seen.
    connection.recv(length)
    return status


def answer(data: bytes, context_id: int, message_id: int) -> tuple[int, int] | None:
    """(status, length in bytes) of the C-STORE-RSP to `message_id` with which `data` begins: one whole P-DATA-TF PDU
    with one whole command set, and no data set behind it. None for anything else."""
    if len(data) < _HEAD.size:
        return None
    kind, _, length, pdv_length, context, control = _HEAD.unpack_from(data)
    end = length + 6
    if (kind, context, control) != (_P_DATA, context_id, _COMMAND_LAST) or pdv_length + 4 != length or end > len(data):
        return None
    try:
        command = parse_command(data[_HEAD.size : end])
    except Malformed:
        return None
    status = number_of(command, STATUS)
    said = tuple(number_of(command, one) for one in (COMMAND_FIELD, MESSAGE_ID_RESPONDED_TO, DATA_SET_TYPE))
    return (status, end) if status is not None and said == (C_STORE_RSP, message_id, NO_DATA_SET) else None
