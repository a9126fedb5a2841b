"""The answer to a C-STORE is taken off the socket by who waits for it; whatever else is there stays there."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.deliver.responses import Lease, answer, stored
from node.dicom.command import (
    AFFECTED_SOP_CLASS,
    AFFECTED_SOP_INSTANCE,
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MESSAGE_ID_RESPONDED_TO,
    STATUS,
    encode_command,
)  # fmt: skip

GOOD: dict[int, bytes | int | str] = {
    AFFECTED_SOP_CLASS: "1.2.840.10008.5.1.4.1.1.2", COMMAND_FIELD: 0x8001, MESSAGE_ID_RESPONDED_TO: 7,
    DATA_SET_TYPE: 0x0101, STATUS: 0x0000, AFFECTED_SOP_INSTANCE: "1.2.3",
}  # fmt: skip
RELEASE = bytes.fromhex("0500 00000004 00000000".replace(" ", ""))


def pdu(values: dict[int, bytes | int | str], *, context: int = 1, control: int = 0x03) -> bytes:
    command = encode_command(values)
    return struct.pack(">BBLLBB", 4, 0, len(command) + 6, len(command) + 2, context, control) + command


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield ours, theirs


def test_a_status_is_read_and_taken_and_what_follows_is_left(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(pdu(GOOD | {STATUS: 0xA700}) + RELEASE)
    assert stored(ours, 1, 7, 5.0) == 0xA700
    assert ours.recv(100) == RELEASE


@pytest.mark.parametrize(
    "what",
    [
        RELEASE,
        bytes.fromhex("07000000000400000000"),  # A-ABORT
        pdu(GOOD | {MESSAGE_ID_RESPONDED_TO: 8}),
        pdu(GOOD | {COMMAND_FIELD: C_STORE_RQ}),
        pdu(GOOD | {DATA_SET_TYPE: 0x0001}),
        pdu({key: value for key, value in GOOD.items() if key != STATUS}),
        pdu(GOOD, context=3),
        pdu(GOOD, control=0x01),
        pdu(GOOD)[:-1],
        pdu(GOOD)[:5],
        pdu(GOOD)[:6] + b"\xff\xff\xff\xff" + pdu(GOOD)[10:],
    ],
)
def test_anything_else_is_left_to_pynetdicom(ends: tuple[socket.socket, socket.socket], what: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(what)
    assert stored(ours, 1, 7, 5.0) is None
    assert ours.recv(1000) == what


def test_the_end_of_the_connection_is_left_too(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    assert stored(ours, 1, 7, 5.0) is None
    assert ours.recv(1000) == b""


def test_a_peer_that_says_nothing_is_not_waited_for_for_ever(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        stored(ends[0], 1, 7, 0.01)


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_an_answer_and_none_are_a_fault(data: bytes) -> None:
    assert answer(data, 1, 7) is None


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 127), st.binary(max_size=40))
def test_every_answer_is_read(status: int, message_id: int, number: int, behind: bytes) -> None:
    context = 2 * number + 1
    whole = pdu(GOOD | {STATUS: status, MESSAGE_ID_RESPONDED_TO: message_id}, context=context)
    assert answer(whole + behind, context, message_id) == (status, len(whole))


# ---- whose socket it is ---------------------------------------------------------------------------------


def test_the_reader_looks_only_while_the_socket_is_its_own() -> None:
    lease, looks = Lease(), list[int]()

    def look() -> bool:
        looks.append(1)
        return True

    assert lease.ready(look, 0.01)
    with lease.borrowed():
        assert not lease.ready(look, 0.01)
    assert lease.ready(look, 0.01)
    assert len(looks) == 2


def test_the_socket_is_not_lent_while_the_reader_looks() -> None:
    """Else it would find, and take, the answer to what is sent in between: then nobody is told of it."""
    lease, looking, go_on, lent = Lease(), threading.Event(), threading.Event(), threading.Event()

    def look() -> bool:
        looking.set()
        assert go_on.wait(10)
        return lent.is_set()

    def borrow() -> None:
        with lease.borrowed():
            lent.set()

    seen = list[bool]()
    reader = threading.Thread(target=lambda: seen.append(lease.ready(look, 5.0)))
    reader.start()
    assert looking.wait(10)
    sender = threading.Thread(target=borrow)
    sender.start()
    assert not lent.wait(0.1)
    go_on.set()
    reader.join(10)
    sender.join(10)
    assert seen == [False]
    assert lent.is_set()


def test_who_waits_is_let_in_as_soon_as_the_socket_is_free() -> None:
    lease, seen = Lease(), list[bool]()
    with lease.borrowed():
        reader = threading.Thread(target=lambda: seen.append(lease.ready(lambda: True, 10.0)))
        reader.start()
    reader.join(5)
    assert seen == [True]
