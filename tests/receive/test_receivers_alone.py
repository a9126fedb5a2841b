"""What the node says to a receiver process and makes of its silence; the test is that process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.model import UID, Arrival, Origin
from node.receive.conversation import Told
from node.receive.pipe import Pipe, Return, row_of
from node.receive.places import Admitted
from node.receive.promised import Promised
from node.receive.receivers import Receivers, Terms, _One
from node.receive.session import Phase, Sessions
from node.receive.watermark import Watermark
from node.spool import Kept
from node.spool.files import Room
from tests import make
from tests.peers import Instance
from tests.receive.station import Shelf

INSTANCE = Instance.of(make.instance())
ORIGIN = Origin(calling_ae="CT1", called_ae="NODE", sender="127.0.0.1")


@dataclass(frozen=True)
class Layer:
    """An association that could be lent."""

    key: str
    descriptor: int
    contexts: dict[int, str] = field(default_factory=dict)

    def give_back(self, back: Return) -> None:
        raise AssertionError("it was not lent")


@contextmanager
def one_process(tmp_path: Path) -> Iterator[tuple[Receivers, _One, Pipe]]:
    """Receivers with one process that is ready, of which the test itself is the other end."""
    ours, its = socket.socketpair()
    sessions = Sessions()
    sessions.enter("a", ORIGIN, lambda places: Admitted())
    receivers = Receivers(
        data=tmp_path, process="one", count=lambda: 1, sessions=sessions,
        terms=lambda origin: Terms(largest=1 << 20, keep_free=0, charset=None),
        hand_on=lambda kept, arrival, indexed: None, told=Told(), promised=Promised.made(),
        watermark=Watermark(lambda: Room(1 << 40, -1), lambda: 0),
    )  # fmt: skip
    with subprocess.Popen(["true"]) as process:
        one = _One(Pipe(ours), process, 1, started=0.0, ready=True)
        receivers._ones.append(one)
        with ours, its:
            its.settimeout(5.0)
            yield receivers, one, Pipe(its)


@pytest.mark.parametrize(("asked", "silent"), [(None, False), (100.0, False), (95.1, False), (94.9, True), (0.0, True)])
def test_a_process_is_silent_when_it_owes_an_answer_for_more_than_five_seconds(
    tmp_path: Path, asked: float | None, silent: bool
) -> None:
    with one_process(tmp_path) as (_, one, _):
        one.asked = asked
        assert one.silent(100.0) is silent


@pytest.mark.parametrize("seconds", [None, 1.0])
def test_a_process_that_is_not_silent_is_lent_an_association(tmp_path: Path, seconds: float | None) -> None:
    with one_process(tmp_path) as (receivers, one, its):
        one.asked = None if seconds is None else time.monotonic() - seconds
        assert receivers.lend(Layer("a", one.pipe.connection.fileno()))
        message = its.receive()
        assert message is not None
        os.close(its.descriptor())
        kind, loan = message
        assert (kind, list(one.lent)) == ("lend", [loan.number])


def test_a_process_that_is_silent_is_lent_nothing(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, one, _):
        one.asked = time.monotonic() - 6.0
        assert not receivers.lend(Layer("a", one.pipe.connection.fileno()))
        assert not one.lent
        session = receivers.sessions.session("a")
        assert session is not None
        assert session.phase is Phase.IDLE, "it stays here"


def test_room_that_was_promised_to_a_process_is_given_back_when_it_is_gone(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, one, _):
        Promised.of(receivers.promised.descriptor, one.place).tell(1 << 30)
        assert receivers.promised.others() == 1 << 30
        receivers._over(one)
        assert receivers.promised.others() == 0


def test_an_association_stays_here_when_the_process_dies_as_it_is_lent(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, one, its):
        its.close()
        assert not receivers.lend(Layer("a", one.pipe.connection.fileno()))
        assert not one.lent
        assert receivers.sessions.lend("a") is not None, "it may be lent to another one"


def test_a_row_is_handed_on_as_it_was_and_its_process_is_told_when_it_is_indexed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    _, identity = shelf.keeper.keep(INSTANCE.data, UID(INSTANCE.transfer_syntax), ORIGIN)
    (arrival,), (path,) = shelf.arrivals, shelf.kept()
    handed: list[tuple[Kept, Arrival]] = []

    def hand_on(kept: Kept, arrival: Arrival, indexed: Callable[[int], None]) -> None:
        handed.append((kept, arrival))
        indexed(3)

    with one_process(tmp_path) as (receivers, one, its):
        receivers.hand_on = hand_on
        receivers._hear(one, ("rows", [row_of(tmp_path / "slot", arrival)], []))
        assert its.receive() == ("indexed", 3)
    ((kept, same),) = handed
    assert (same, same.identity) == (arrival, identity)
    assert (kept.slot, kept.path) == (tmp_path / "slot", path)
    assert (kept.receipt, kept.size, kept.sha256) == (arrival.receipt, arrival.size, arrival.sha256)
    shelf.presence.close()


def test_a_process_that_owes_an_answer_is_asked_once_and_ended_after_a_minute(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, one, its), subprocess.Popen(["sleep", "60"]) as process:
        one.process = process
        receivers.look(100.0)
        receivers.look(130.0)
        assert (one.asked, its.receive()) == (100.0, ("ask",))
        receivers.look(160.0)
        assert process.poll() is None
        receivers._hear(one, ("low",))
        assert one.asked is None, "whatever it says, it is there"
        receivers.look(200.0)
        assert its.receive() == ("ask",), "it is asked anew"
        receivers.look(260.1)
        assert process.wait(10) == -signal.SIGKILL


def test_what_is_wanted_back_is_asked_of_the_process_that_has_it(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, one, its):
        first, second = Layer("a", 0), Layer("b", 0)
        one.lent = {5: first, 6: second}
        receivers.recall(second)
        assert its.receive() == ("recall", 6)
        receivers.recall_lent()
        assert [its.receive(), its.receive()] == [("recall", 5), ("recall", 6)]
        one.lent = {}


def test_the_process_with_the_fewest_associations_gets_the_next(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, busy, _):
        ours, its = socket.socketpair()
        with ours, its:
            idle = _One(Pipe(ours), busy.process, 2, started=0.0, ready=True)
            receivers._ones.append(idle)
            busy.lent = {5: Layer("b", 0)}
            assert receivers.lend(Layer("a", ours.fileno()))
            assert (len(busy.lent), len(idle.lent)) == (1, 1)
            received = Pipe(its)
            assert received.receive() is not None
            os.close(received.descriptor())


def test_a_process_that_is_not_ready_is_lent_nothing(tmp_path: Path) -> None:
    with one_process(tmp_path) as (receivers, one, _):
        one.ready = False
        assert not receivers.lend(Layer("a", one.pipe.connection.fileno()))
        assert not one.lent
