from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from node.tls import Channel, client_context, secure, server_context
from tests.authority import Authority
from tests.tls.conftest import Beside, pair


@pytest.fixture
def channels(authority: Authority) -> Iterator[tuple[Channel, Channel]]:
    """Both ends of one connection."""
    own = authority.issue("ct1")
    with pair() as (near, far):
        beside = Beside(lambda: secure(far, server_context(authority.listening()), 10.0))
        client = secure(near, client_context(authority.sending(own)), 10.0, name="localhost")
        server = beside.result()
        assert isinstance(server, Channel)
        with client, server:
            yield client, server


def read(channel: Channel, count: int) -> bytes:
    data, view, have = bytearray(count), None, 0
    view = memoryview(data)
    while have < count:
        got = channel.recv_into(view[have:])
        assert got, "ended early"
        have += got
    return bytes(data)


def test_both_ends_send_and_read_at_the_same_time(channels: tuple[Channel, Channel]) -> None:
    """Four threads on one connection: the peer's answers come while the next instance goes out."""
    size = 8 << 20
    blocks = [bytes([n]) * size for n in (1, 2)]
    for channel in channels:
        channel.settimeout(20.0)
    reading = [Beside(lambda c=channel: read(c, size)) for channel in channels]  # type: ignore[misc]  # bound at once
    writing = [Beside(lambda c=c, b=b: c.sendall(b)) for c, b in zip(channels, blocks, strict=True)]  # type: ignore[misc]  # as above
    for one in writing:
        one.result(60.0)
    assert [one.result(60.0) for one in reading] == blocks[::-1]


def test_a_read_waits_as_long_as_it_was_told_and_no_longer(channels: tuple[Channel, Channel]) -> None:
    client, server = channels
    client.settimeout(0.1)
    assert client.gettimeout() == 0.1
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert 0.05 < time.monotonic() - began < 5.0
    client.settimeout(10.0)
    server.sendall(b"x")
    assert client.recv(1) == b"x"


def test_what_is_no_data_does_not_make_it_ready(authority: Authority) -> None:
    """A server of TLS 1.3 sends tickets after the handshake; ours does not, another's does."""
    with pair() as (near, far):
        server = authority.receiver(authority.issue("archive", "DNS:localhost"), asks=False)
        serving = Beside(lambda: server.wrap_socket(far, server_side=True))
        client = secure(near, client_context(authority.sending()), 10.0, name="localhost")
        other = serving.result()
        assert isinstance(other, ssl.SSLSocket)
        with client, other:
            assert select.select([client], [], [], 10.0)[0], "the tickets have come"
            assert not client.ready()
            other.sendall(b"abc")
            until_ready(client)
            assert client.ready()
            assert client.pending() == 3
            buffer = bytearray(2)
            assert (client.recv_into(buffer), buffer) == (2, b"ab")
            assert client.ready()
            assert client.recv(10) == b"c"
            assert not client.ready()
            other.shutdown(socket.SHUT_RDWR)
            until_ready(client)
            assert client.recv(1) == b""


def until_ready(channel: Channel) -> None:
    end = time.monotonic() + 10.0
    while not channel.ready():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_a_peer_that_reads_nothing_is_given_up(channels: tuple[Channel, Channel]) -> None:
    client, _ = channels
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.sendall(b"\0" * (64 << 20))


def test_shutting_down_wakes_who_reads_and_says_goodbye(channels: tuple[Channel, Channel]) -> None:
    client, server = channels
    client.settimeout(None)
    server.settimeout(10.0)
    reading = Beside(lambda: client.recv(1))
    client.shutdown(socket.SHUT_RDWR)
    assert reading.result() == b""
    server.suppress_ragged_eofs = False  # the end must not look like a connection that was cut
    assert server.recv(1) == b""


def test_a_closed_channel_is_an_error_like_that_of_a_socket(channels: tuple[Channel, Channel]) -> None:
    client, _ = channels
    client.settimeout(10.0)
    reading = Beside(lambda: client.recv(1))
    client.shutdown(socket.SHUT_RDWR)
    reading.result()
    client.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.recv(1)


def test_a_handshake_has_one_deadline_however_slowly_its_bytes_come(authority: Authority) -> None:
    over = threading.Event()
    with pair() as (near, far):

        def drip() -> None:
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 400
            for byte in hello:
                if over.wait(0.05):
                    return
                near.send(bytes([byte]))

        dripping = Beside(drip)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            secure(far, server_context(authority.listening()), 0.4)
        assert time.monotonic() - began < 5.0
        over.set()
        dripping.result()
