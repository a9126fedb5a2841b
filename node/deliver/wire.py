"""A C-STORE request as bytes: command set and data set, cut into P-DATA-TF PDUs.

pynetdicom queues every PDU of an instance as objects before the first one leaves. Here a file is read as
it is sent, so memory stays flat and an instance of 512 KiB costs half the processor time.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

_C_STORE_RQ = 0x0001
_LOW_PRIORITY = 0x0002
_WITH_DATA_SET = 0x0001
"""(0000,0800) Command Data Set Type: anything but 0x0101 announces a data set (PS3.7 E.1)."""

_PDU_HEAD = struct.Struct(">BBLLBB")
"""PDU type, reserved, PDU length, PDV length, context id, message control header (PS3.8 9.3.5, E.2)."""
_PDV_HEAD = 6
_COMMAND_LAST, _DATA, _DATA_LAST = 0x03, 0x00, 0x02

_UNLIMITED = 1 << 18
"""Our own PDU length in bytes where the peer sets no limit (a maximum length of 0, PS3.8 D.1.2)."""
_AT_ONCE = 1 << 18
"""Bytes handed to the socket in one call. Less wakes the kernel per PDU, more only costs memory."""
_MOST_BUFFERS = 512
"""In one call; the system's limit is 1024 (IOV_MAX)."""


def store_request(message_id: int, sop_class: str, sop_instance: str) -> bytes:
    """The command set of a C-STORE-RQ in implicit VR little endian (PS3.7 9.3.1.1, 6.3.1).

    Raises ValueError when a UID is no ASCII text of 1 to 64 characters.
    """
    elements = b"".join(
        (
            _element(0x0002, _uid(sop_class)),
            _element(0x0100, struct.pack("<H", _C_STORE_RQ)),
            _element(0x0110, struct.pack("<H", message_id)),
            _element(0x0700, struct.pack("<H", _LOW_PRIORITY)),
            _element(0x0800, struct.pack("<H", _WITH_DATA_SET)),
            _element(0x1000, _uid(sop_instance)),
        )
    )
    return _element(0x0000, struct.pack("<L", len(elements))) + elements


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0x0000, number, len(value)) + value


def _uid(text: str) -> bytes:
    if not 1 <= len(text) <= 64:
        raise ValueError("a UID has 1 to 64 characters")
    value = text.encode("ascii")
    return value + b"\0" * (len(value) % 2)


Piece = Sequence[bytes | memoryview]
"""Buffers that go out one behind the other."""


def pdus(context_id: int, command: bytes, data: BinaryIO, length: int, maximum: int) -> Iterator[Piece]:
    """The PDUs of one message, several to a piece, none longer than `maximum` bytes after its head.

    `data` is read from where it stands, `length` bytes in all. `maximum` is the peer's Maximum Length
    Received (PS3.8 D.1), 0 for no limit. Raises EOFError when `data` ends before `length` bytes.
    """
    room = (maximum or _UNLIMITED) - _PDV_HEAD
    if room < 1:
        raise ValueError(f"the peer's maximum PDU length of {maximum} leaves no room for data")
    piece: list[bytes | memoryview] = []
    for start in range(0, len(command), room):
        some = command[start : start + room]
        last = start + room >= len(command)
        piece += _head(context_id, _COMMAND_LAST if last else 0x01, len(some)), some
    left = length
    while left:
        # Whole PDUs; what is read is cut by views, since a copy of each part takes as long as to send it.
        some = data.read(min(max(room, _AT_ONCE // room * room), left))
        if not some:
            raise EOFError(f"the data set ends {left} bytes early")
        left -= len(some)
        view = memoryview(some)
        for start in range(0, len(some), room):
            control = _DATA if left or start + room < len(some) else _DATA_LAST
            part = view[start : start + room]
            piece += _head(context_id, control, len(part)), part
        yield piece
        piece = []
    if piece:
        yield piece


def send(connection: socket.socket, piece: Piece) -> None:
    """All of it. Raises what `socket.sendall` raises."""
    for begin in range(0, len(piece), _MOST_BUFFERS):
        buffers = list(piece[begin : begin + _MOST_BUFFERS])
        sent = connection.sendmsg(buffers)
        for buffer in buffers:
            if sent < len(buffer):
                connection.sendall(memoryview(buffer)[max(0, sent) :])
            sent -= len(buffer)


def _head(context_id: int, control: int, length: int) -> bytes:
    return _PDU_HEAD.pack(0x04, 0, length + _PDV_HEAD, length + 2, context_id, control)
