"""The least that a receiver can do which promises what ours does: a bound for every figure of `benchmarks.receive`.

    python benchmarks/least.py FOLDER

One process for each association. Each instance is read from the socket into one buffer, hashed, written to a file and
synced, and then answered. It checks nothing, reads no header, has no index, no limits and no timeouts, accepts one
presentation context whatever it is, and trusts the peer in everything: it is no receiver, and what it takes is almost
all the kernel's and SHA-256's. Where a ratio is out of its reach, it is out of ours on this machine.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import sys
from pathlib import Path

LARGEST = 1 << 20
"""Bytes of a PDU behind its header, as our own node offers."""
_PDU = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")


def main() -> None:
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        print(f"listening on {server.getsockname()[1]}", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                with connection:
                    _serve(connection, folder)
                os._exit(0)
            connection.close()


def _serve(connection: socket.socket, folder: Path) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(LARGEST + _PDU.size))
    number, command = 0, b""
    descriptor, digest = -1, hashlib.sha256()
    while True:
        length = _pdu(connection, buffer)
        match buffer[0]:
            case 1:
                connection.sendall(_accept(bytes(buffer[: length + _PDU.size])))
            case 4:
                _, _, control = _PDV.unpack_from(buffer, _PDU.size)
                value = buffer[_PDU.size + _PDV.size : _PDU.size + length]
                if control & 1:
                    command = bytes(value)
                    number += 1
                    path = folder / f"{os.getpid()}-{number}.dcm"
                    descriptor, digest = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), hashlib.sha256()
                    continue
                digest.update(value)
                os.write(descriptor, value)
                if control & 2:
                    os.pwrite(descriptor, digest.digest(), 0)
                    os.fdatasync(descriptor)
                    os.close(descriptor)
                    connection.sendall(_answer(command))
            case 5:
                connection.sendall(_PDU.pack(6, 4) + bytes(4))
                return
            case _:
                return


def _pdu(connection: socket.socket, buffer: memoryview) -> int:
    """Read one into the buffer: its length behind the header. At the end of the connection, as an abort."""
    if connection.recv_into(buffer, _PDU.size, socket.MSG_WAITALL) < _PDU.size:
        buffer[0] = 7
        return 0
    length = int(_PDU.unpack_from(buffer)[1])
    connection.recv_into(buffer[_PDU.size :], length, socket.MSG_WAITALL)
    return length


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _accept(request: bytes) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 9.3.3): the first presentation context with its first transfer syntax."""
    context = request[request.index(b"\x20\0", 74) :]
    syntax = context[context.index(b"\x40\0") :]
    syntax = syntax[4 : 4 + int.from_bytes(syntax[2:4], "big")]
    body = request[6:74] + _item(0x10, b"1.2.840.10008.3.1.1.1")
    body += _item(0x21, bytes([context[4], 0, 0, 0]) + _item(0x40, syntax))
    body += _item(0x50, _item(0x51, struct.pack(">I", LARGEST)) + _item(0x52, b"1.2.826.0.1.3680043.8.498.1"))
    return _PDU.pack(2, len(body)) + body


def _answer(command: bytes) -> bytes:
    """C-STORE-RSP (PS3.7 9.3.1.2), success, to the C-STORE-RQ with these bytes."""
    elements = b""
    at = 0
    while at < len(command):
        _, element, length = struct.unpack_from("<HHI", command, at)
        value = command[at + 8 : at + 8 + length]
        at += 8 + length
        match element:
            case 0x0002 | 0x1000:
                elements += struct.pack("<HHI", 0, element, length) + value
            case 0x0100:
                elements += struct.pack("<HHIH", 0, element, 2, 0x8001)
            case 0x0110:
                elements += struct.pack("<HHI", 0, 0x0120, 2) + value
            case 0x0800:
                elements += struct.pack("<HHIH", 0, element, 2, 0x0101)
                elements += struct.pack("<HHIH", 0, 0x0900, 2, 0)
    body = struct.pack("<HHII", 0, 0, 4, len(elements)) + elements
    return _PDU.pack(4, len(body) + _PDV.size) + _PDV.pack(len(body) + 2, 1, 3) + body


if __name__ == "__main__":
    main()
