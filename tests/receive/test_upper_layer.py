"""The upper layer sleeps until something happens, and nothing that happens is missed."""

from __future__ import annotations

import gc
import os
import select
import socket
import struct
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from node.receive import goodbye
from node.receive import upper_layer as module
from node.receive.bell import Bell, Ringing
from node.receive.pace import Pace
from node.receive.timer import SteadyTimer
from node.spool import slots
from tests import make
from tests.peers import VERIFICATION, Gone, Instance, Sender
from tests.receive.station import config_of, station, until

INSTANCE = Instance.of(make.instance())
CONTEXTS = [(INSTANCE.sop_class, [INSTANCE.transfer_syntax]), (VERIFICATION, ["1.2.840.10008.1.2"])]


def cpu() -> float:
    """Seconds of processor time of this process."""
    times = os.times()
    return times.user + times.system


def test_idle_associations_cost_nothing(tmp_path: Path) -> None:
    with station(tmp_path, config=config_of("limits: {per_sender: 20}")) as node:
        senders = [Sender(node.port, CONTEXTS).__enter__() for _ in range(20)]
        assert [one.store(make.instance(number=n)) for n, one in enumerate(senders)] == [0] * 20
        before = cpu()
        threading.Event().wait(0.5)
        # Polled a thousand times a second by two threads each, they cost more than a processor can give.
        assert cpu() - before < 0.25
        for one in senders:
            one.release()
        node.until_nobody_is_here()


def test_an_idle_association_is_ended_after_its_time_and_not_before(tmp_path: Path) -> None:
    with station(tmp_path, idle=0.6) as node, Sender(node.port, CONTEXTS) as sender:
        assert sender.store(INSTANCE) == 0
        began = time.monotonic()
        with pytest.raises((Gone, ConnectionError)):
            sender.status()
        assert 0.5 <= time.monotonic() - began < 5
        node.until_nobody_is_here()


def test_who_sends_now_and_then_is_not_idle(tmp_path: Path) -> None:
    with station(tmp_path, idle=0.6) as node, Sender(node.port, CONTEXTS) as sender:
        for _ in range(6):
            threading.Event().wait(0.2)
            assert sender.echo() == 0
        assert node.sessions.count() == 1


def test_who_sends_nothing_but_empty_pdus_is_idle(tmp_path: Path) -> None:
    with station(tmp_path, idle=0.6) as node, Sender(node.port, CONTEXTS) as sender:
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for _ in range(50):
                sender.raw(struct.pack(">BBL", 0x04, 0, 0))
                threading.Event().wait(0.1)
            sender.status()
        assert node.sessions.count() == 0


def test_who_sends_heads_in_pieces_and_nothing_else_is_idle(tmp_path: Path) -> None:
    head = struct.pack(">BBL", 0x04, 0, 0)
    with station(tmp_path, idle=0.6) as node, Sender(node.port, CONTEXTS) as sender:
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for _ in range(25):
                for piece in (head[:3], head[3:]):
                    sender.raw(piece)
                    threading.Event().wait(0.1)
            sender.status()
        assert node.sessions.count() == 0


def test_fragments_with_nothing_in_them_are_no_progress_of_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "Pace", lambda: Pace(window=0.4, least=1000))
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.begin(INSTANCE, only=0)
        empty = sender.p_data(1, 0x00, b"") * 20
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for _ in range(300):
                sender.raw(empty)
                threading.Event().wait(0.02)
            raise AssertionError("it holds its place for ever")
        node.until_nobody_is_here()
        assert node.leftovers() == []
    assert "too slowly" in caplog.text


def test_a_sender_that_drips_loses_its_place_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "Pace", lambda: Pace(window=0.4, least=1000))
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        pdu = sender.p_data(1, 0x00, INSTANCE.data)
        sender.begin(INSTANCE, only=0)
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for byte in pdu:
                sender.raw(bytes([byte]))
                threading.Event().wait(0.02)
        node.until_nobody_is_here()
        assert node.leftovers() == []
    assert "too slowly" in caplog.text


@pytest.mark.parametrize("size", [1, 3])
def test_an_association_request_that_drips_is_ended_when_artim_expires(tmp_path: Path, size: int) -> None:
    with station(tmp_path) as node:
        for server in node.receiver._servers:
            server.ae.acse_timeout = 0.4
        sender = Sender(node.port, CONTEXTS)
        sender.connect()
        request = sender._associate_request()
        began = time.monotonic()
        with pytest.raises((Gone, OSError)):  # noqa: PT012  # which of the sends fails is the network's choice
            for start in range(0, len(request), size):
                sender.raw(request[start : start + size])
                threading.Event().wait(0.05)
        assert time.monotonic() - began < 5
        sender.cut()


def test_what_comes_in_one_packet_with_a_release_is_answered_before_it(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        recorded: list[bytes] = []
        sender.raw = recorded.append  # type: ignore[method-assign]  # to send it all in one piece below
        sender.begin(INSTANCE)
        del sender.raw  # type: ignore[method-assign]  # back to the socket
        sender.raw(b"".join(recorded) + struct.pack(">BBLL", 0x05, 0, 4, 0))
        assert sender.status() == 0
        assert sender.pdu()[0] == 0x06
        sender.cut()
        assert node.stored() == [INSTANCE.data]


def test_a_message_behind_a_release_is_no_part_of_the_association(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        recorded: list[bytes] = []
        sender.raw = recorded.append  # type: ignore[method-assign]  # as above
        sender.begin(INSTANCE)
        del sender.raw  # type: ignore[method-assign]  # as above
        sender.raw(struct.pack(">BBLL", 0x05, 0, 4, 0) + b"".join(recorded))
        node.until_nobody_is_here()
        sender.cut()
        assert node.kept() == []


def test_a_timer_knows_no_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = SteadyTimer(60)
    assert not timer.running
    timer.start()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert timer.running
    assert not timer.expired
    assert 59 < timer.remaining <= 60
    timer.stop()
    assert not timer.running
    assert SteadyTimer(None).remaining == 1


def test_a_queue_rings_after_each_thing_that_is_put_into_it() -> None:
    rung: list[int] = []
    queue = Ringing(lambda: rung.append(queue.qsize()))
    queue.put("a")
    queue.put("b")
    assert rung == [1, 2]


def test_a_bell_wakes_who_waits_and_may_be_rung_when_nobody_does() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert select.select([bell.descriptor], [], [], 0)[0]
    bell.heard()
    assert not select.select([bell.descriptor], [], [], 0)[0]
    bell.heard()
    bell.close()
    bell.ring()
    bell.close()


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(INSTANCE) == 0
        node.until_nobody_is_here()

        def used() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        before = used()
        for number in range(20):
            with Sender(node.port, CONTEXTS) as sender:
                assert sender.store(make.instance(number=number)) == 0
            broken = Sender(node.port, CONTEXTS)
            broken.connect()
            broken.associate()
            broken.begin(INSTANCE, only=50)
            broken.cut()
        until(lambda: used() <= before + slots._MOST + slots._FEW, "only slots may be more")
        node.until_nobody_is_here()


def test_what_stands_behind_an_association_request_does_not_keep_its_answer_back(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        sender = Sender(node.port, CONTEXTS)
        sender.connect()
        sender.raw(sender._associate_request() + b"\x07\0\0\0")
        assert sender.pdu()[0] == 0x02
        sender.cut()
        node.until_nobody_is_here()


def test_what_stands_behind_a_release_does_not_keep_its_answer_back(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        sender = Sender(node.port, CONTEXTS)
        sender.connect()
        sender.associate()
        sender.raw(struct.pack(">BBLL", 0x05, 0, 4, 0) + b"\x04\0\0")
        assert sender.pdu()[0] == 0x06
        node.until_nobody_is_here()
        sender.cut()


def test_a_stream_without_end_behind_what_is_no_pdu_is_answered_with_one_abort(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        sender = Sender(node.port, CONTEXTS)
        sender.connect()
        sender.associate()
        sender.raw(b"\xff" * 50)
        assert sender.pdu()[0] == 0x07
        with pytest.raises(Gone):
            sender.pdu()
        node.until_nobody_is_here()
        sender.cut()


def test_a_message_that_pynetdicom_cannot_read_is_answered_with_an_abort(tmp_path: Path) -> None:
    no_command_field = struct.pack("<HHLH", 0, 0x0110, 2, 1)
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, no_command_field))
        assert sender.pdu()[0] == 0x07
        node.until_nobody_is_here()


@pytest.mark.parametrize("end", ["release", "abort"])
def test_a_peer_that_still_sends_reads_our_last_pdu_and_the_end_without_a_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(goodbye, "GOODBYE", 30.0)
    pdu, answer = {"release": (0x05, 0x06), "abort": (0x7F, 0x07)}[end]
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(struct.pack(">BBLL", pdu, 0, 4, 0))
        until_readable(sender)
        for _ in range(64):
            sender.raw(bytes(1 << 16))
        assert sender.pdu()[0] == answer
        assert sender._socket.recv(1) == b""
        sender.raw(bytes(1 << 16))
        sender._socket.shutdown(socket.SHUT_WR)
        assert sender._socket.recv(1) == b""
        node.until_nobody_is_here()
        assert sender._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_a_peer_that_does_not_close_after_the_end_loses_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goodbye, "GOODBYE", 0.1)
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(struct.pack(">BBLL", 0x05, 0, 4, 0))
        assert sender.pdu()[0] == 0x06
        node.until_nobody_is_here()
        sender.cut()


def until_readable(sender: Sender) -> None:
    """The node has answered; the answer is left unread."""
    assert select.select([sender._socket], [], [], 10)[0]


def test_an_acceptor_that_sleeps_hears_of_a_release_of_its_own_and_of_a_new_time_out(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender, Sender(node.port, CONTEXTS) as idle:
        assert [sender.echo(), idle.echo()] == [0, 0]
        first, second = (one for server in node.receiver._servers for one in server.active_associations)
        releasing = threading.Thread(target=first.release)
        releasing.start()
        second.network_timeout = 0.1
        assert sender.pdu()[0] == 0x05
        sender.raw(struct.pack(">BBLL", 0x06, 0, 4, 0))
        releasing.join(10)
        assert first.is_released
        assert idle.pdu()[0] == 0x07
        sender.cut()
        idle.cut()
        node.until_nobody_is_here()


def test_an_association_that_is_over_holds_no_buffer_until_the_garbage_collector_comes(tmp_path: Path) -> None:
    """They are rings of objects. With their buffers, many short ones would make the node grow by some 100 MB."""
    with station(tmp_path, processes=0) as node:

        def associate(times: int) -> None:
            for _ in range(times):
                with Sender(node.port, [(VERIFICATION, ["1.2.840.10008.1.2"])]) as sender:
                    assert sender.echo() == 0
                    sender.release()
            node.until_nobody_is_here()

        associate(5)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            associate(20)
            more, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
    assert more / 20 < 128 << 10
