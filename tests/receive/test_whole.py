"""A PDU read as a whole before an association is established, and what is said of all else that comes there."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.receive.whole import CLOSED, UNKNOWN, Read, read_pdu


def read(sent: bytes) -> Read:
    return read_pdu(io.BytesIO(sent).read)


def pdu(kind: int, body: bytes) -> bytes:
    return bytes([kind, 0]) + len(body).to_bytes(4) + body


@given(st.integers(1, 7), st.binary(max_size=300), st.binary(max_size=20))
def test_every_pdu_is_read_to_its_end_and_nothing_behind_it(kind: int, body: bytes, behind: bytes) -> None:
    assert read(pdu(kind, body) + behind) == Read(pdu(kind, body))


@given(st.integers(1, 7), st.binary(min_size=1, max_size=50), st.data())
def test_one_that_is_cut_off_anywhere_is_a_peer_that_went_away(kind: int, body: bytes, data: st.DataObject) -> None:
    whole = pdu(kind, body)
    said = read(whole[: data.draw(st.integers(1, len(whole) - 1))])
    assert said == Read(event=CLOSED, why="it went away in the middle of its association request")


def test_a_probe_that_only_connects_is_worth_no_line() -> None:
    assert read(b"") == Read(event=CLOSED)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (bytes.fromhex("16 03 01 00 c8 01 00 00"), "it speaks TLS, and this port does not"),
        (b"GET / HTTP/1.1\r\n\r\n", "it speaks no DICOM"),
        (bytes(10), "it speaks no DICOM"),
        (bytes([8]) + bytes(10), "it speaks no DICOM"),
    ],
)
def test_what_is_no_dicom_is_called_by_its_name_and_not_waited_for(sent: bytes, why: str) -> None:
    assert read(sent) == Read(event=UNKNOWN, why=why)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TimeoutError(), "not the whole of its association request came in time"),
        (ConnectionResetError("reset"), "its association request cannot be read: reset"),
    ],
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_connection_that_fails_is_closed_and_says_how(error: OSError, why: str, after: int) -> None:
    pieces = [pdu(1, b"1234")[:6]][:after]

    def receive(count: int) -> bytes:
        if pieces:
            return pieces.pop()
        raise error

    assert read_pdu(receive) == Read(event=CLOSED, why=why)
