"""The end: the instance in flight is answered, then nothing is any more."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import make
from tests.dicom.datasets import EXPLICIT
from tests.peers import Gone, Instance, Rejected, Sender, free_port, send
from tests.receive.station import Station, station, until
from tests.spool.disk import Disk

CONTEXT = [(make.CT_IMAGE, [EXPLICIT])]
ONE, TWO = (Instance.of(make.instance(number=n)) for n in (1, 2))


@contextmanager
def stopping(node: Station, seconds: float = 10.0) -> Iterator[threading.Thread]:
    """`stop` under way in another thread, as far as accepting nothing more; it has to end by itself."""
    thread = threading.Thread(target=node.receiver.stop, args=(seconds,))
    thread.start()
    until(lambda: node.sessions._stopping, "the node stops")
    yield thread
    thread.join(10)
    assert not thread.is_alive()


def finish(sender: Sender, instance: Instance, start: int) -> None:
    sender.raw(sender.p_data(1, 0x02, instance.data[start:]))


def test_the_instance_in_flight_is_answered_and_the_next_one_is_not(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXT) as sender:
        assert sender.store(ONE) == 0
        sender.begin(TWO, only=100)
        until(lambda: node.sessions.receiving(0.0) != set(), "the first fragment is here")
        with stopping(node) as thread:
            assert thread.is_alive()
            finish(sender, TWO, 100)
            assert sender.status() == 0
            with pytest.raises((Gone, ConnectionError)):
                sender.store(ONE)
        assert node.stored() == [ONE.data, TWO.data]


def test_an_instance_that_is_being_written_when_the_node_stops_is_answered(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    with station(tmp_path / "data", files=disk) as node, Sender(node.port, CONTEXT) as sender:
        disk.gates["sync"] = threading.Event()
        sender.begin(ONE)
        until(lambda: "write" in disk.kinds(), "it is being written")
        with stopping(node):
            disk.gates["sync"].set()
            assert sender.status() == 0
            with pytest.raises((Gone, ConnectionError)):
                sender.status()
        assert node.stored() == [ONE.data]


def test_idle_associations_end_at_once_and_new_ones_are_not_accepted(tmp_path: Path) -> None:
    with (
        station(tmp_path) as node,
        Sender(node.port, CONTEXT) as busy,
        Sender(node.port, CONTEXT) as idle,
    ):
        assert busy.store(ONE) == 0
        busy.begin(TWO, only=100)
        until(lambda: node.sessions.receiving(0.0) != set(), "the first fragment is here")
        with stopping(node) as thread:
            with pytest.raises((Gone, ConnectionError)):
                idle.status()
            assert thread.is_alive(), "it waits for the one in flight"
            with pytest.raises((Gone, Rejected, ConnectionError)):
                send(node.port, [ONE])
            finish(busy, TWO, 100)
            assert busy.status() == 0


@pytest.mark.parametrize("where", ["between two fragments", "in the middle of a PDU"])
def test_a_sender_that_stalls_is_cut_when_the_time_is_over(tmp_path: Path, where: str) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXT) as sender:
        assert sender.store(ONE) == 0
        sender.begin(TWO, only=100)
        if where == "in the middle of a PDU":
            sender.raw(sender.p_data(1, 0x02, TWO.data[100:])[:-10])
        until(lambda: node.sessions.receiving(0.0) != set(), "the first fragment is here")
        start = time.monotonic()
        node.receiver.stop(0.3)
        assert time.monotonic() - start < 5
        with pytest.raises((Gone, ConnectionError)):
            sender.status()
        assert node.stored() == [ONE.data]
        assert node.leftovers() == []


def test_no_thread_and_no_connection_is_left(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with station(tmp_path) as node:
        probe = Sender(node.port, CONTEXT)
        probe.connect()
        senders = [Sender(node.port, CONTEXT).__enter__() for _ in range(5)]
        assert [one.store(make.instance(number=n)) for n, one in enumerate(senders)] == [0] * 5
    until(lambda: set(threading.enumerate()) <= before, "every thread of the receiver ended")
    for one in (*senders, probe):
        one.cut()


def test_a_probe_that_only_connects_holds_no_thread(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        before = threading.active_count()
        for _ in range(5):
            probe = Sender(node.port, CONTEXT)
            probe.connect()
            probe.cut()
        until(lambda: threading.active_count() <= before, "their threads are gone")


def test_stop_may_be_called_without_start_and_twice(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        node.receiver.stop()
        node.receiver.stop()


def test_an_address_that_is_taken_is_an_error_and_leaves_none_open(tmp_path: Path) -> None:
    with station(tmp_path / "one") as one, station(tmp_path / "two") as two:
        two.receiver.stop()
        with pytest.raises(OSError, match="in use"):
            two.receiver.start([("127.0.0.1", two.port), ("127.0.0.1", one.port)])
        assert two.receiver.start([("127.0.0.1", two.port)]) == [("127.0.0.1", two.port)]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_who_names_both_kinds_of_any_address_is_told_that_one_is_enough(tmp_path: Path) -> None:
    port = free_port()
    with station(tmp_path) as node:
        node.receiver.stop()
        for addresses in ([("::", port), ("0.0.0.0", port)], [("0.0.0.0", port), ("::", port)]):
            with pytest.raises(OSError, match=r"in use; \[::\] takes IPv4 too, so leave 0.0.0.0 out"):
                node.receiver.start(addresses)


def test_a_connection_that_was_accepted_this_very_moment_does_not_disturb_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXT) as sender:
        assert sender.store(ONE) == 0
        (server,) = node.receiver._servers
        (association,) = server.active_associations

        class NotBegun(threading.Thread):
            """Its thread is made and not started."""

            is_established, dul = False, association.dul

        monkeypatch.setattr(type(server), "active_associations", [NotBegun()])
        began = time.monotonic()
        node.receiver.stop(2.0)
        assert time.monotonic() - began < 10
