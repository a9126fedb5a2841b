"""Association requests of peers that nobody here wrote: what is to be skipped is, what cannot be read is one line."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_RQ

from node.receive.pdata import Unreadable
from node.receive.request import readable
from tests.peers import VERIFICATION, Sender
from tests.receive.station import config_of, station, until

IMPLICIT = b"1.2.840.10008.1.2"


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def identity(kind: int, name: bytes, passcode: bytes = b"") -> bytes:
    parts = b"".join(struct.pack(">H", len(part)) + part for part in (name, passcode))
    return item(0x58, bytes([kind, 1]) + parts)


CONTEXT = item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) + item(0x40, IMPLICIT))
USER = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3")


def request(
    *, version: int = 1, called: bytes = b"NODE", calling: bytes = b"CT1", contexts: bytes = CONTEXT,
    user: bytes = USER, more: bytes = b"",
) -> bytes:  # fmt: skip
    """A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    body = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user) + more
    return struct.pack(">BBL", 1, 0, len(body)) + body


def answer(port: int, data: bytes) -> bytes:
    """The PDU that comes back, as far as it comes in one piece."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        with contextlib.suppress(ConnectionError):
            return connection.recv(4096)
    return b""


UNUSUAL = [
    pytest.param(request(version=3), id="another bit of the version"),
    pytest.param(request(called=b"NODE".ljust(16, b"\0"), calling=b"CT1\0"), id="titles padded with zeros"),
    pytest.param(request(more=item(0x77, b"what")), id="an item that is not known"),
    pytest.param(request(user=USER + item(0x5F, b"what")), id="user information that is not known"),
    pytest.param(request(user=USER + item(0x59, b"\0\0")), id="an answer to a user identity"),
    pytest.param(request(user=USER + item(0x55, b"Version 4.20 of the software")), id="a long version name"),
    pytest.param(request(user=USER + item(0x55, b"V\xe94")), id="a version name that is not ASCII"),
    pytest.param(request(user=USER + item(0x54, b"\0\3" + b"1.2" + b"\5\7")), id="roles that are none"),
    pytest.param(request(user=USER + identity(9, b"joe")), id="a user identity of a kind that is not known"),
    pytest.param(
        request(contexts=item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) + item(0x40, IMPLICIT)
                             + item(0x41, b"what"))),
        id="a part of a context that is not known",
    ),
    pytest.param(
        request(contexts=CONTEXT + item(0x20, b"\3\0\0\0" + item(0x30, VERIFICATION.encode()))),
        id="a context without a transfer syntax",
    ),
]  # fmt: skip


@pytest.mark.parametrize("pdu", UNUSUAL)
def test_what_is_unusual_in_a_request_keeps_nobody_out(
    tmp_path: Path, pdu: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path) as node:
        accepted = answer(node.port, pdu)
        node.until_nobody_is_here()
    assert accepted[:1] == b"\2"
    assert b"\x21\0\0\x19\1\0\0\0" in accepted  # context 1 is accepted
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("pdu", "line"),
    [
        (
            request(calling="ZOË".encode()),
            r"calling AE title 'ZO\xc3\x8b' is not of letters, digits and signs of ASCII",
        ),
        (request(calling=b"EV\nIL\x1b[31m"), r"calling AE title 'EV\nIL\x1b[31m' is not"),
        (request(called=b"NO\\DE"), "called AE title 'NO\\\\DE' is not"),
        (request(calling=b""), "whose calling AE title is empty; set it there"),
        (request(called=b"\0" * 16), "whose called AE title is empty; set it there"),
        (request(contexts=item(0x20, b"\2\0\0\0" + CONTEXT[8:])), "whose presentation context ID 2 is not odd"),
        (request(contexts=item(0x20, b"\1")), "a presentation context of less than 4 bytes"),
        (
            request(contexts=CONTEXT + item(0x20, b"\3\0\0\0" + item(0x30, b"1" * 70))),
            "whose presentation context 3 names what is no UID",
        ),
        (request(user=USER + b"\x58\0\0\xff"), "whose item of type 0x58 is longer than what is there"),
        (request(more=b"\0"), "with bytes behind its last item"),
        (b"\1\0\0\0\0\4NODE", "an association request of 4 bytes, which is less than it begins with"),
    ],
)
def test_a_request_that_cannot_be_read_is_one_line_that_says_what_is_wrong_with_it(
    tmp_path: Path, pdu: bytes, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path) as node:
        for _ in range(2):
            assert answer(node.port, pdu)[:1] == b"\7"
        until(lambda: node.turned_away == [("association", "request")] * 2, "each is counted")
    lines = [one.getMessage() for one in caplog.records if one.levelno >= 30]
    assert len(lines) == 1
    assert line in lines[0]
    assert lines[0].startswith("connection of 127.0.0.1 closed: it sent ")
    assert "\n" not in lines[0]


def test_a_user_identity_of_a_kind_that_is_not_known_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = config_of("", "ct1: {ae_title: CT1, host: 127.0.0.1, identity: {user: joe}}")
    with station(tmp_path, config=config) as node:
        assert answer(node.port, request(user=USER + identity(9, b"joe", b"sesame")))[:1] == b"\3"
    assert "it sent none" in caplog.text
    assert "sesame" not in caplog.text


def _asking(contexts: Sequence[tuple[str, list[str]]]) -> bytes:
    return Sender(1, contexts)._associate_request()


def test_a_request_with_nothing_to_skip_stays_as_it_is() -> None:
    plain = _asking([(VERIFICATION, [IMPLICIT.decode()])] * 128)
    assert readable(plain) == plain
    assert readable(b"\5\0\0\0\0\4\0\0\0\0") == b"\5\0\0\0\0\4\0\0\0\0"
    assert readable(b"") == b""


@given(st.binary(max_size=300), st.integers(0, 300))
def test_whatever_comes_is_a_request_again_or_unreadable(noise: bytes, at: int) -> None:
    whole = request(user=USER + identity(2, b"joe", b"sesame"))
    for pdu in (whole[:at] + noise + whole[at + len(noise) :], whole[:at] + noise, b"\1" + noise):
        with contextlib.suppress(Unreadable):
            again = readable(pdu)
            assert readable(again) == again
            if again[:1] == b"\1":
                assert int.from_bytes(again[2:6]) == len(again) - 6


def test_what_is_left_of_a_request_says_the_same() -> None:
    read = A_ASSOCIATE_RQ()
    read.decode(readable(request(user=USER + item(0x60, b"what") + identity(2, b"joe", b"sesame"))))
    assert (read.called_ae_title, read.calling_ae_title) == ("NODE", "CT1")
    assert read.user_information is not None
    found = read.user_information.user_identity
    assert found is not None
    assert (found.primary_field, found.secondary_field) == (b"joe", b"sesame")


def without_user_information() -> bytes:
    whole = request()
    body = whole[6 : len(whole) - len(item(0x50, USER))]
    return struct.pack(">BBL", 1, 0, len(body)) + body


@pytest.mark.parametrize("said", [request(user=item(0x52, b"1.2.3")), without_user_information()])
def test_who_does_not_say_how_long_a_pdu_may_be_is_answered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    with station(tmp_path) as node:
        sender = Sender(node.port, [(VERIFICATION, [IMPLICIT.decode()])])
        monkeypatch.setattr(sender, "_associate_request", lambda: said)
        with sender:
            assert sender.echo() == 0x0000
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
