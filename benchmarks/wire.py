"""A sender that costs next to nothing: whole PDUs encoded once, a few bytes changed per instance, one sendall.

It imports only the standard library, so that a process of it starts at once, and it waits for every C-STORE-RSP
before the next C-STORE-RQ, as modalities do (PS3.7 D.3.3.3: one operation at a time unless negotiated).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from types import TracebackType

EXPLICIT_LE = "1.2.840.10008.1.2.1"
_CONTEXT = 1
_PDV = 6
"""Bytes of a PDV item before its fragment: length, context, message control header (PS3.8 9.3.5.1)."""
_LARGEST = 1 << 17
"""Bytes of a PDU that we send to a peer who takes any size."""


class Refused(Exception):
    """The peer did not take the association, or an instance."""


class Association:
    """One association with one presentation context. Raises Refused and OSError."""

    def __init__(
        self, port: int, sop_class: str, *, called: str = "NODE", calling: str = "BENCH", timeout: float = 120.0
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        try:
            self.socket.sendall(_request(sop_class, called, calling))
            self.largest = _accepted(*self._pdu())
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Association:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.socket.sendall(struct.pack(">BxIxxxx", 5, 4))  # A-RELEASE-RQ
                self._pdu()
        finally:
            self.socket.close()

    def store(self, message: Message) -> int:
        """Send one instance. Returns the status of its answer."""
        self.socket.sendall(message.bytes)
        return self.answer()

    def answer(self) -> int:
        """The status of the next C-STORE-RSP."""
        kind, body = self._pdu()
        if kind != 4 or len(body) < _PDV or not body[5] & 1:
            raise Refused(f"no answer but a PDU of type {kind:#04x}: {bytes(body[:16]).hex()}")
        return _status(memoryview(body)[_PDV:])

    def _pdu(self) -> tuple[int, bytearray]:
        head = self._exactly(6)
        return head[0], self._exactly(int.from_bytes(head[2:6], "big"))

    def _exactly(self, count: int) -> bytearray:
        received = self._received
        while len(received) < count:
            part = self.socket.recv(1 << 16)
            if not part:
                raise Refused("the peer closed the connection")
            received += part
        taken = received[:count]
        del received[:count]
        return taken


class Message:
    """One C-STORE-RQ with its data set, as PDUs of at most `largest` bytes behind their header.

    `fill` makes it another instance of the same template. Bytes of the data set are where they were, so that is a
    copy of a few bytes; the command and the fields of the data set lie in the first two PDUs.
    """

    def __init__(
        self, sop_class: str, dataset: bytes, places: Mapping[str, tuple[int, ...]], largest: int, instance: bytes
    ) -> None:
        command = _command(sop_class, instance)
        part = (largest or _LARGEST) - _PDV
        self._start = 2 * _PDV + len(command) + 2 * _PDV
        pieces = [_pdu(command, 0x03)]
        for at in range(0, len(dataset), part):
            last = 0x02 if at + part >= len(dataset) else 0x00
            pieces.append(_pdu(dataset[at : at + part], last))
        self.bytes = bytearray().join(pieces)
        self._places = {
            name: [self._at(place, part, len(instance)) for place in found] for name, found in places.items()
        }
        self._places["instance"].append(2 * _PDV + command.index(instance))
        self._id = 2 * _PDV + command.index(_ID) + 8

    def _at(self, place: int, part: int, length: int) -> int:
        if place % part + length > part:
            raise ValueError(f"byte {place} of the data set lies where two PDUs of {part} bytes meet")
        return self._start + place + place // part * 2 * _PDV

    def fill(self, number: int, values: Mapping[str, bytes]) -> None:
        """Become the instance with these values, each as long as the one before; `number` is the message's id."""
        for name, value in values.items():
            for at in self._places[name]:
                self.bytes[at : at + len(value)] = value
        self.bytes[self._id : self._id + 2] = struct.pack("<H", number & 0xFFFF)


def store_large(association: Association, sop_class: str, instance: str, pieces: Iterable[bytes]) -> int:
    """Send one instance of any size, of which no more than one piece is in memory. Returns its status."""
    part = (association.largest or _LARGEST) - _PDV
    association.socket.sendall(_pdu(_command(sop_class, instance.encode()), 0x03))
    for piece in pieces:
        pdus = [_pdu(piece[at : at + part], 0x00) for at in range(0, len(piece), part)]
        association.socket.sendall(b"".join(pdus))
    association.socket.sendall(_pdu(b"", 0x02))
    return association.answer()


_ID = struct.pack("<HHI", 0, 0x0110, 2)


def _command(sop_class: str, instance: bytes) -> bytes:
    """C-STORE-RQ (PS3.7 9.3.1.1), implicit VR little endian."""
    elements = [
        (0x0002, _padded(sop_class.encode())), (0x0100, b"\x01\0"), (0x0110, b"\x01\0"), (0x0700, b"\0\0"),
        (0x0800, b"\x01\0"), (0x1000, _padded(instance)),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _padded(uid: bytes) -> bytes:
    return uid + b"\0" * (len(uid) % 2)


def _pdu(fragment: bytes, control: int) -> bytes:
    """P-DATA-TF with one PDV (PS3.8 9.3.5)."""
    return struct.pack(">BxIIBB", 4, len(fragment) + _PDV, len(fragment) + 2, _CONTEXT, control) + fragment


def _status(command: memoryview) -> int:
    at = 0
    while at + 8 <= len(command):
        group, element, length = struct.unpack_from("<HHI", command, at)
        if (group, element) == (0, 0x0900):
            return int(struct.unpack_from("<H", command, at + 8)[0])
        at += 8 + length
    raise Refused("an answer without a status")


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _request(sop_class: str, called: str, calling: str) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2) with one presentation context in explicit VR little endian."""
    context = bytes([_CONTEXT, 0, 0, 0]) + _item(0x30, sop_class.encode()) + _item(0x40, EXPLICIT_LE.encode())
    user = _item(0x51, struct.pack(">I", 1 << 14)) + _item(0x52, b"1.2.826.0.1.3680043.8.498.1")
    body = struct.pack(">Hxx16s16s32x", 1, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", 1, len(body)) + body


def _accepted(kind: int, body: bytearray) -> int:
    """The longest PDU that the peer takes, in bytes behind the PDU's header; 0: any. Raises Refused."""
    if kind != 2:
        raise Refused(f"the association was refused: PDU of type {kind:#04x}, {bytes(body).hex()}")
    largest, result, at = 0, None, 68
    while at + 4 <= len(body):
        item, length = struct.unpack_from(">BxH", body, at)
        if item == 0x21:
            result = body[at + 6]
        if item == 0x50:
            inner = at + 4
            while inner < at + 4 + length:
                sub, size = struct.unpack_from(">BxH", body, inner)
                if sub == 0x51:
                    largest = int(struct.unpack_from(">I", body, inner + 4)[0])
                inner += 4 + size
        at += 4 + length
    if result != 0:
        raise Refused(f"the presentation context was refused: {result}")
    return largest
