"""One association in a receiver process: what it does to the others there. What it keeps: test_receivers.py."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from node.model import Origin
from node.receive.conversation import Told
from node.receive.lent import Lent
from node.receive.pace import Pace
from node.receive.pdata import p_data
from node.receive.pipe import Loan, Return
from node.receive.session import Session, Sessions
from node.receive.turns import Turns
from tests import make
from tests.peers import Instance, Sender
from tests.receive.station import Shelf, until


@contextmanager
def _lent(turns: Turns, contexts: dict[int, str] | None = None) -> Iterator[tuple[Lent, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        session = Session(origin=Origin(calling_ae="CT1", called_ae="NODE", sender="127.0.0.1"))
        loan = Loan(number=1, session=session, contexts=contexts or {}, largest=1 << 20, keep_free=0, charset=None)
        lent = Lent(loan, ours, turns)
        yield lent, theirs
        lent.bell.close()


def test_a_peer_that_reads_no_answers_keeps_nobody_else_waiting() -> None:
    turns = Turns(1)
    answer = bytes(range(256)) * 4096  # far more than there is room for
    with _lent(turns) as (lent, peer):
        turns.take()
        sending = threading.Thread(target=lent.send_now, args=(answer,), daemon=True)
        sending.start()
        turns.take()  # which ends only when the sender has given it up
        read = bytearray()
        while len(read) < len(answer):
            read += peer.recv(1 << 16)
        assert read == answer
        until(lambda: len(turns._waiting) == 1, "the sender wants its turn back")
        turns.give()
        sending.join(10)
        assert not sending.is_alive()


def test_an_answer_for_which_there_is_room_goes_without_giving_up_the_turn() -> None:
    turns = Turns(1)
    with _lent(turns) as (lent, peer):
        turns.take()
        lent.send_now(b"an answer")
        assert peer.recv(100) == b"an answer"
        assert turns._free == 0


def test_a_connection_that_is_gone_is_found_by_the_next_read() -> None:
    with _lent(Turns()) as (lent, peer):
        peer.close()
        lent.send_now(b"an answer")
        assert lent._gone


INSTANCE = Instance.of(make.instance())
EMPTY = struct.pack(">BBL", 0x04, 0, 0)
"""A PDU of data with none in it."""


def _back_of(lent: Lent, peer: socket.socket, shelf: Shelf, say: Callable[[int], bytes], every: float) -> Return:
    """What it goes back with while the peer says `say(0)`, `say(1)` and so on, and never stops."""
    returned: list[Return] = []

    def serve() -> None:
        returned.append(lent.run(shelf.keeper, Sessions(), Told()))

    lent.connection.setblocking(False)
    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    end, number = time.monotonic() + 10, 0
    while serving.is_alive() and time.monotonic() < end:
        with suppress(OSError):
            peer.sendall(say(number))
        number += 1
        serving.join(every)
    assert not serving.is_alive(), "it holds its place for ever"
    return returned[0]


@pytest.mark.parametrize(
    ("say", "every"),
    [
        (lambda number: EMPTY, 0.1),
        (lambda number: EMPTY, 0.0),
        (lambda number: (EMPTY[:3], EMPTY[3:])[number % 2], 0.1),
    ],
    ids=["empty PDUs", "empty PDUs without a pause", "their halves"],
)
def test_who_begins_no_message_goes_back_whatever_it_sends(
    tmp_path: Path, say: Callable[[int], bytes], every: float
) -> None:
    with _lent(Turns()) as (lent, peer):
        back = _back_of(lent, peer, Shelf(tmp_path), say, every)
    assert (back.broken, back.lost, back.session is not None) == ("", False, True)


@pytest.mark.parametrize("every", [0.02, 0.0])
@pytest.mark.parametrize(
    "say",
    [
        lambda number: p_data(1, 0x00, b"") * 20,
        lambda number: EMPTY[3:] * (number > 0) + EMPTY[:3],
    ],
    ids=["empty fragments", "heads that are never whole"],
)
def test_a_message_that_does_not_get_on_is_ended_whatever_its_sender_sends(
    tmp_path: Path, say: Callable[[int], bytes], every: float
) -> None:
    shelf = Shelf(tmp_path)
    with _lent(Turns(), {1: INSTANCE.transfer_syntax}) as (lent, peer):
        lent._pace = Pace(window=0.4, least=1000)
        peer.sendall(_command())
        back = _back_of(lent, peer, shelf, say, every)
    assert back.broken == "too little in the middle of a message"
    assert shelf.leftovers() == []


def _command() -> bytes:
    """A C-STORE request whose data set has not begun."""
    return b"".join(Sender(0).message(INSTANCE, only=0, context=1))
