"""What the node and one of its receiver processes say to each other, over a Unix socket.

Both ends are this program, so messages are pickled tuples: the kind first. A message to a receiver may carry the
descriptor of a connection.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from node.model import UID, Arrival, Identity, Origin, ReceiptId
from node.receive.pdata import Splitter
from node.receive.session import Session

_LENGTH = struct.Struct("<L")
_READ = 1 << 18

Message = tuple[Any, ...]

Row = tuple[str, ReceiptId, str, int, str, datetime, Origin, UID, UID, UID, UID, UID, bytes, str]
"""An arrival and its slot, of one instance that a receiver process kept: values without names take a fifth of the time
that dataclasses take."""


def row_of(slot: Path, arrival: Arrival) -> Row:
    one = arrival.identity
    return (
        str(slot), arrival.receipt, arrival.path, arrival.size, arrival.sha256, arrival.received, arrival.origin,
        one.sop_class, one.sop_instance, one.study, one.series, one.transfer_syntax, arrival.header,
        arrival.held,
    )  # fmt: skip


def arrival_of(row: Row) -> tuple[Path, Arrival]:
    """What `row_of` was given."""
    slot, receipt, path, size, sha256, received, origin, *uids, header, held = row
    sop_class, sop_instance, study, series, syntax = uids
    identity = Identity(
        sop_class=sop_class, sop_instance=sop_instance, study=study, series=series, transfer_syntax=syntax
    )
    return Path(slot), Arrival(
        receipt=receipt, path=path, size=size, sha256=sha256, received=received, origin=origin, identity=identity,
        header=header, held=held,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """An established association, between two messages, as a receiver process needs it."""

    number: int
    session: Session
    contexts: dict[int, str]
    """Accepted presentation contexts: id -> transfer syntax."""
    largest: int
    """Bytes that one instance may have."""
    keep_free: int
    charset: str | None
    """Of data sets of this sender that name none."""
    sop_classes: Collection[str] = ()
    """As the keeper's."""

    @property
    def origin(self) -> Origin:
        return self.session.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """The association comes back, between two messages; what was read of the next one comes with it."""

    session: Session | None
    splitter: Splitter
    rest: bytes = b""
    """Bytes that were read and are not told apart yet."""
    command: tuple[int, bytes] | None = None
    """(context id, command set) of a message that is no C-STORE."""
    pdu: bytes = b""
    """A PDU that is no data: a release, an abort."""
    closed: bool = False
    """The peer closed the connection."""
    broken: str = ""
    """What the peer sent, for which the association has to be aborted."""
    lost: bool = False
    """The process died: what was answered is kept, and nobody knows what else was read."""


@dataclass(slots=True)
class Pipe:
    """One end. `send` from any thread, `receive` from one. Raises OSError when the other end is gone.

    A message that went out in part, or not at all, may have been rows or an association that comes back, and what
    follows it would be taken for its rest: such a pipe is cut, so that both ends know.
    """

    connection: socket.socket
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _here: bytearray = field(default_factory=bytearray)
    _descriptors: deque[int] = field(default_factory=deque)

    def send(self, message: Message, descriptor: int = -1) -> None:
        try:
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            data = _LENGTH.pack(len(data)) + data
            with self._lock:
                if descriptor >= 0:
                    # With the first bytes of its message, so that it is there when the message is.
                    data = data[socket.send_fds(self.connection, [data], [descriptor]) :]
                self.connection.sendall(data)
        except (OSError, MemoryError):  # ENOBUFS and ENOMEM too, with which the other end lives on
            self._cut()
            raise

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # it is cut already
            self.connection.shutdown(socket.SHUT_RDWR)

    def offer(self, message: Message) -> bool:
        """Send a short message if the other end has room for it now, and nobody else is sending; never waits."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if not self._lock.acquire(blocking=False):
            return False
        try:
            # A Unix socket takes so little as a whole, or not at all.
            self.connection.send(_LENGTH.pack(len(data)) + data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        finally:
            self._lock.release()
        return True

    def receive(self) -> Message | None:
        """The next message; None when the other end has closed."""
        while True:
            if len(self._here) >= _LENGTH.size:
                end = _LENGTH.size + _LENGTH.unpack_from(self._here)[0]
                if len(self._here) >= end:
                    message: Message = pickle.loads(self._here[_LENGTH.size : end])  # from this program
                    del self._here[:end]
                    return message
            try:
                data, descriptors, _, _ = socket.recv_fds(self.connection, _READ, 16)
            except ConnectionResetError:
                return None  # it ended without having read all that it was told
            self._descriptors += descriptors
            if not data:
                return None
            self._here += data

    def descriptor(self) -> int:
        """That which came with the last message that had one."""
        return self._descriptors.popleft()

    def close(self) -> None:
        self.connection.close()
        while self._descriptors:
            socket.close(self._descriptors.popleft())
