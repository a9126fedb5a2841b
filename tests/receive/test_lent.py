"""One association in a receiver process: what it does to the others there. What it keeps: test_receivers.py."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from node.model import Origin
from node.receive.lent import Lent
from node.receive.pipe import Loan
from node.receive.session import Session
from node.receive.turns import Turns
from tests.receive.station import until


@contextmanager
def _lent(turns: Turns) -> Iterator[tuple[Lent, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        session = Session(origin=Origin(calling_ae="CT1", called_ae="NODE", sender="127.0.0.1"))
        loan = Loan(number=1, session=session, contexts={}, largest=1 << 20, keep_free=0, charset=None)
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
