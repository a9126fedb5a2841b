"""Messages come out of a pipe as they went in, in order, with what belongs to them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.model import UID, Arrival, Identity, Origin, ReceiptId
from node.receive.pdata import Splitter
from node.receive.pipe import Loan, Pipe, Return, arrival_of, row_of
from node.receive.session import Session


@contextmanager
def both_ends() -> Iterator[tuple[Pipe, Pipe]]:
    one, two = (Pipe(end) for end in socket.socketpair())
    try:
        yield one, two
    finally:
        one.close()
        two.close()


@given(st.lists(st.tuples(st.text(), st.binary(max_size=2000), st.integers()), max_size=20))
def test_what_is_sent_is_received_in_order(messages: list[tuple[str, bytes, int]]) -> None:
    with both_ends() as (one, two):
        for message in messages:
            one.send(message)
        assert [two.receive() for _ in messages] == messages


uids = st.builds(UID, st.text("0123456789.", min_size=1, max_size=64))
arrivals = st.builds(
    Arrival, receipt=st.builds(ReceiptId, st.text("0123456789abcdef")), received=st.datetimes(timezones=st.just(UTC)),
    identity=st.builds(Identity, sop_class=uids, sop_instance=uids, study=uids, series=uids, transfer_syntax=uids),
    origin=st.builds(Origin), held=st.text(),
)  # fmt: skip


@given(st.lists(arrivals, max_size=5))
def test_rows_are_received_as_they_were_sent(sent: list[Arrival]) -> None:
    slot = Path("/spool/incoming/one-r1/0000000001.part")
    with both_ends() as (one, two):
        one.send(("rows", [row_of(slot, arrival) for arrival in sent], []))
        match two.receive():
            case ("rows", rows, []):
                assert [arrival_of(row) for row in rows] == [(slot, arrival) for arrival in sent]
            case other:
                pytest.fail(f"{other}")


def test_a_message_larger_than_the_socket_holds_arrives_whole() -> None:
    large = ("row", os.urandom(4 << 20))
    with both_ends() as (one, two):
        sending = threading.Thread(target=one.send, args=(large,))
        sending.start()
        assert two.receive() == large
        sending.join()


def test_what_is_offered_never_waits_and_comes_whole_or_not_at_all() -> None:
    with both_ends() as (one, two):
        taken = 0
        while one.offer(("ask", taken)):
            taken += 1
        assert taken > 10
        assert [two.receive() for _ in range(taken)] == [("ask", number) for number in range(taken)]
        assert one.offer(("ask", taken))
        assert two.receive() == ("ask", taken)


def test_nothing_is_offered_in_the_middle_of_another_message() -> None:
    with both_ends() as (one, _), one._lock:
        assert not one.offer(("ask",))


def test_descriptors_come_with_their_messages() -> None:
    with both_ends() as (one, two):
        pairs = [os.pipe() for _ in range(5)]
        for number, (reader, _) in enumerate(pairs):
            one.send(("between", number))
            one.send(("lend", number), reader)
        for number, (reader, writer) in enumerate(pairs):
            assert two.receive() == ("between", number)
            assert two.receive() == ("lend", number)
            got = two.descriptor()
            os.write(writer, bytes([number]))
            assert os.read(got, 1) == bytes([number])
            for descriptor in (got, reader, writer):
                os.close(descriptor)


def test_the_end_of_the_other_side_is_none_and_then_an_error() -> None:
    with both_ends() as (one, two):
        two.close()
        assert one.receive() is None
        with pytest.raises(OSError, match="roken pipe"):
            one.send(("too late",))


def test_a_message_that_cannot_go_out_cuts_the_pipe_since_it_may_have_been_rows() -> None:
    with both_ends() as (one, two):
        one.send(("rows", 1))
        one.connection.settimeout(0.05)  # as where the kernel has no memory: the other end is there, and reads later
        with pytest.raises(TimeoutError):
            one.send(("rows", b"x" * (4 << 20)))
        assert two.receive() == ("rows", 1)
        assert two.receive() is None, "the other end must know that something is missing"
        with pytest.raises(OSError, match="roken pipe"):
            one.send(("back", 1))


def test_a_message_for_which_there_is_no_memory_cuts_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> bytes:
        raise MemoryError

    with both_ends() as (one, two):
        monkeypatch.setattr("node.receive.pipe.pickle.dumps", none_left)
        with pytest.raises(MemoryError):
            one.send(("rows", 1))
        assert two.receive() is None


def test_an_association_keeps_what_is_known_of_it_there_and_back() -> None:
    session = Session(Origin(calling_ae="CT1", called_ae="NODE", sender="10.0.0.1"))
    session.contributed["NODE/1.2.3"] = None
    splitter = Splitter()
    list(splitter.feed(memoryview(bytes.fromhex("04 00 00 00 00 20 00"))))
    loan = Loan(number=3, session=session, contexts={1: "1.2"}, largest=1, keep_free=2, charset=None)
    back = Return(session=session, splitter=splitter, rest=b"more", command=(1, b"command"), pdu=b"pdu")
    with both_ends() as (one, two):
        one.send(("lend", loan))
        two.send(("back", back))
        lent, returned = two.receive(), one.receive()
    assert lent is not None
    assert returned is not None
    assert lent[1] == loan
    assert returned[1] == back
    assert not returned[1].splitter.between
