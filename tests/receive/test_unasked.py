"""Connections on which nobody asks for an association keep nobody out, and are said to be what they are."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.receive.unasked import Unasked
from tests import make
from tests.peers import VERIFICATION, Sender
from tests.receive.station import station, until

CONTEXTS = [(VERIFICATION, ["1.2.840.10008.1.2"]), (make.CT_IMAGE, ["1.2.840.10008.1.2.1"])]


class Pairs:
    """Connections with both ends here."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def one(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        theirs.settimeout(5)
        return self._stack.enter_context(ours), self._stack.enter_context(theirs)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    made = Pairs()
    yield made
    made.close()


def ended(theirs: socket.socket) -> bool:
    theirs.setblocking(False)
    try:
        return theirs.recv(1) == b""
    except BlockingIOError:
        return False


def test_at_the_limit_the_oldest_of_the_address_that_has_most_goes(pairs: Pairs) -> None:
    said: list[str] = []
    now = [100.0]
    unasked = Unasked(ended=lambda address, why: said.append(address), most=4, clock=lambda: now[0])
    ends = {}
    for key, address in enumerate(["scanner", "ct", "scanner", "scanner", "mr", "us"]):
        ours, ends[key] = pairs.one()
        now[0] += 10
        unasked.enter(key, address, ours)
    assert [key for key, theirs in ends.items() if ended(theirs)] == [0, 2]
    assert said == ["scanner", "scanner"]
    assert len(unasked) == 4
    unasked.end_all()
    assert len(unasked) == 0


def test_who_came_a_moment_ago_is_waited_for(pairs: Pairs) -> None:
    said: list[str] = []
    unasked = Unasked(ended=lambda address, why: said.append(address), most=2, grace=30.0)
    ends = [pairs.one() for _ in range(3)]
    for key in (0, 1):
        unasked.enter(key, "ct", ends[key][0])
    third = threading.Thread(target=unasked.enter, args=(2, "ct", ends[2][0]))
    third.start()
    third.join(0.1)
    assert third.is_alive(), "nobody is ended for it"
    unasked.leave(1)
    third.join(5)
    assert not third.is_alive()
    assert (said, len(unasked)) == ([], 2)
    unasked.end_all()


def test_a_connection_that_asked_is_closed_by_who_serves_it(pairs: Pairs) -> None:
    unasked = Unasked()
    ours, theirs = pairs.one()
    unasked.enter("key", "ct", ours)
    unasked.leave("key")
    unasked.leave("key")
    assert not ended(theirs)
    ours.close()
    assert ended(theirs), "no descriptor of it is left"


def test_many_silent_connections_keep_no_sender_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with station(tmp_path) as node, contextlib.ExitStack() as stack:
        node.receiver.unasked.most, node.receiver.unasked.grace = 10, 0.05
        for number in range(40):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", node.port), timeout=10))
            silent.sendall(b"\x01" * (number % 2))
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.echo() == 0
            until(lambda: len(node.receiver.unasked) <= 10, "no more than that wait")
        assert set(node.turned_away) == {("association", "unasked")}, "each that is ended is counted once"
    assert "connection of 127.0.0.1 closed: 10 connections had asked for no association yet" in caplog.text
    assert len(node.receiver.unasked) == 0, "those that are over are forgotten"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "it speaks TLS, and this port does not"),
        (b"GET / HTTP/1.1\r\n\r\n", "it speaks no DICOM"),
        (b"\x01\x00\x00\x00\x00\x44half", "it went away in the middle of its association request"),
        (
            b"\x01\x00\x00\x00\x00\x04abcd",
            "it sent an association request of 4 bytes, which is less than it begins with",
        ),
        (b"\x01\x00\xff\xff\xff\xff", "its association request cannot be read: a PDU of 4294967295 bytes"),
    ],
)
def test_what_is_no_association_request_is_one_line_with_its_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes, said: str
) -> None:
    with station(tmp_path) as node:
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as peer:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(100):
                pass
        until(lambda: ("association", "request") in node.turned_away, "it is counted")
        node.until_nobody_is_here()
    assert [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == [
        f"connection of 127.0.0.1 closed: {said}"
    ]


@pytest.mark.parametrize("sent", [b"", b"\x01\x00\x00"])
def test_who_does_not_ask_in_time_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    with station(tmp_path) as node:
        for server in node.receiver._servers:
            server.ae.acse_timeout = 0.3
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as peer:
            peer.sendall(sent)
            assert peer.recv(100) == b""
        until(lambda: ("association", "request") in node.turned_away, "it is counted")
    assert ("not the whole of" if sent else "it asked for no association in time") in caplog.text


def test_a_probe_that_only_connects_is_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with station(tmp_path) as node:
        socket.create_connection(("127.0.0.1", node.port), timeout=10).close()
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.echo() == 0
        until(lambda: len(node.receiver.unasked) == 0, "it is forgotten")
    assert [one for one in caplog.records if one.levelname != "INFO"] == []
