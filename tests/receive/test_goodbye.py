"""The end of a connection: the peer is left to close, for a second, and what it still says is read for nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from node.receive.goodbye import GOODBYE, Goodbye

ROOM = memoryview(bytearray(64))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        yield ours, theirs


def test_the_peer_hears_the_end_at_once_and_what_we_said_before_it(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    ours.sendall(b"abort")
    Goodbye().begin(ours)
    assert theirs.recv(64) == b"abort"
    assert theirs.recv(64) == b""


def test_it_has_one_second_from_the_first_beginning(ends: tuple[socket.socket, socket.socket]) -> None:
    now = 100.0
    goodbye = Goodbye(lambda: now)
    assert goodbye.remaining == GOODBYE
    goodbye.begin(ends[0])
    now += 0.75
    goodbye.begin(ends[0])  # each look begins anew, and the second does not
    assert goodbye.remaining == pytest.approx(0.25)
    now += 5
    assert goodbye.remaining == 0.0


def test_what_still_comes_is_read_and_is_not_the_end_until_the_peer_closes(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    goodbye = Goodbye()
    goodbye.begin(ours)
    theirs.sendall(bytes(100))
    assert not goodbye.heard(ours, ROOM)
    assert not goodbye.heard(ours, ROOM)
    theirs.close()
    assert goodbye.heard(ours, ROOM)


def test_a_connection_that_is_gone_is_at_its_end(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = ends
    ours.close()
    goodbye = Goodbye()
    goodbye.begin(ours)
    assert goodbye.heard(ours, ROOM)
