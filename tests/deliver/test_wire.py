from __future__ import annotations

import socket
import struct
import threading
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.pdu import P_DATA_TF

from node.deliver.wire import pdus, send, store_request

uids = st.from_regex(r"[1-9](\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)


def split(stream: bytes) -> list[bytes]:
    """The PDUs in a stream, each with its head."""
    found = []
    while stream:
        length = 6 + struct.unpack(">L", stream[2:6])[0]
        found.append(stream[:length])
        stream = stream[length:]
    return found


@given(st.integers(0, 0xFFFF), uids, uids)
def test_the_command_set_is_what_pynetdicom_reads_as_a_c_store_request(number: int, sop_class: str, uid: str) -> None:
    data = store_request(number, sop_class, uid)
    command = decode(BytesIO(data), True, True)
    assert command.CommandGroupLength == len(data) - 12
    assert (command.CommandField, command.MessageID, command.CommandDataSetType) == (1, number, 1)
    assert (command.AffectedSOPClassUID, command.AffectedSOPInstanceUID) == (sop_class, uid)


@given(st.binary(min_size=1, max_size=3000), st.integers(7, 600) | st.just(0), st.integers(0, 127))
def test_pynetdicom_puts_the_pdus_together_again(data: bytes, maximum: int, context: int) -> None:
    number = 2 * context + 1
    pieces = pdus(number, store_request(7, "1.2", "1.2.3"), BytesIO(data), len(data), maximum)
    stream = b"".join(buffer for piece in pieces for buffer in piece)
    message, done = DIMSEMessage(), []
    for raw in split(stream):
        assert maximum == 0 or len(raw) - 6 <= maximum
        pdu = P_DATA_TF()
        pdu.decode(raw)
        done.append(message.decode_msg(pdu.to_primitive()))
    assert done == [False] * (len(done) - 1) + [True]
    request = message.message_to_primitive()
    assert isinstance(request, C_STORE)
    assert request.DataSet is not None
    assert request.DataSet.getvalue() == data
    assert message.context_id == number


def test_a_large_data_set_comes_in_pieces_and_is_read_as_they_are_taken() -> None:
    data = BytesIO(bytes(4 << 20))
    pieces = pdus(1, b"command", data, 4 << 20, 16384)
    next(pieces)
    assert data.tell() < 1 << 19


def test_a_data_set_that_is_shorter_than_said_breaks_off_instead_of_looking_whole() -> None:
    with pytest.raises(EOFError, match="4 bytes early"):
        list(pdus(1, b"command", BytesIO(b"123456"), 10, 16384))


@pytest.mark.parametrize("uid", ["", "1" * 65, "1.2.ä"])
def test_what_is_no_uid_is_not_sent(uid: str) -> None:
    with pytest.raises(ValueError, match=r"UID|ascii"):
        store_request(1, "1.2", uid)


@pytest.mark.parametrize("buffers", [1, 3, 1500])
def test_all_buffers_go_out_in_order_also_when_the_peer_takes_them_slowly(buffers: int) -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.settimeout(10)  # as in a delivery: then the system takes only a part of what it is given
    piece = [bytes([n % 251]) * (n % 7 * 1000 + 1) for n in range(buffers)]
    got = bytearray()

    def read() -> None:
        while data := theirs.recv(1000):
            got.extend(data)

    with ours, theirs:
        reader = threading.Thread(target=read)
        reader.start()
        send(ours, piece)
        ours.shutdown(socket.SHUT_WR)
        reader.join(10)
    assert got == b"".join(piece)
