"""Busy associations are received by processes of their own, and nobody can tell but by the speed."""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pynetdicom.dsutils import decode

from node.dicom.status import OUT_OF_RESOURCES, SUCCESS
from node.receive.pdata import COMMAND, LAST, p_data
from node.receive.receivers import _One
from node.receive.session import Phase
from node.spool.presence import Presence
from tests import make
from tests.peers import VERIFICATION, Gone, Instance, Sender
from tests.receive.station import Station, station, until

INSTANCE = Instance.of(make.instance())
CONTEXTS = [(INSTANCE.sop_class, [INSTANCE.transfer_syntax]), (VERIFICATION, ["1.2.840.10008.1.2"])]


def instances(count: int, series: int = 0) -> list[Instance]:
    return [Instance.of(make.instance(number=1000 * series + number)) for number in range(count)]


def warm(node: Station) -> int:
    """Send until a receiver process takes part; what was sent stays. Returns how many."""
    sent = 0
    with Sender(node.port, CONTEXTS) as sender:
        while not node.by:
            assert sender.store(INSTANCE) == SUCCESS
            sent += 1
        sender.release()
    node.until_nobody_is_here()
    return sent


def recall_all_of(node: Station) -> None:
    receivers = node.receivers
    assert receivers is not None
    receivers.recall_lent()
    until(lambda: not any(one.lent for one in receivers._ones), "every association is back")


def test_a_busy_association_is_lent_and_every_instance_of_it_is_kept(tmp_path: Path) -> None:
    sent = instances(40)
    with station(tmp_path, processes=1) as node:
        warm(node)
        before = len(node.arrivals)
        with Sender(node.port, CONTEXTS) as sender:
            assert [sender.store(one) for one in sent] == [SUCCESS] * 40
            assert sender.echo() == SUCCESS
            assert [sender.store(one) for one in sent[:8]] == [SUCCESS] * 8
            sender.release()
        node.until_nobody_is_here()
        until(lambda: len(node.arrivals) == before + 48, "every row is handed on")
        assert node.stored()[before:] == [one.data for one in sent] + [one.data for one in sent[:8]]
        assert len(node.by) > 20
        assert set(node.by) == {"one-r1"}


def test_an_association_is_lent_with_its_first_instance(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        warm(node)
        before = len(node.by)
        for _ in range(3):
            with Sender(node.port, CONTEXTS) as sender:
                assert sender.store(INSTANCE) == SUCCESS
                sender.release()
        node.until_nobody_is_here()
        until(lambda: len(node.by) == before + 3, "all three came to the receiver process")


def test_those_that_are_started_beforehand_take_the_first_busy_association(tmp_path: Path) -> None:
    with station(tmp_path, processes=2) as node:
        assert node.receivers is not None
        assert node.receivers.wait_ready(0)  # none has been begun
        node.receivers.start()
        assert node.receivers.wait_ready(30)
        assert [one.ready for one in node.receivers._ones] == [True, True]
        with Sender(node.port, CONTEXTS) as sender:
            assert [sender.store(one) for one in instances(40)] == [SUCCESS] * 40
            sender.release()
        node.until_nobody_is_here()
        until(lambda: len(node.arrivals) == 40, "every row is handed on")
        assert len(node.by) > 20


def test_one_that_ends_before_it_is_ready_is_not_waited_for(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        assert node.receivers is not None
        node.receivers.start()
        until(lambda: len(node.receivers._ones) == 1, "one is started")
        node.receivers._ones[0].process.kill()
        assert node.receivers.wait_ready(30)
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(INSTANCE) == SUCCESS
            sender.release()


def test_without_a_thread_to_spare_the_node_receives_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def some(self: threading.Thread) -> None:
        if self.name == "receiver":
            raise RuntimeError("can't start new thread")
        start(self)

    start = threading.Thread.start
    with station(tmp_path, processes=1) as node, Sender(node.port, CONTEXTS) as sender:
        with monkeypatch.context() as scarce:
            scarce.setattr(threading.Thread, "start", some)
            assert [sender.store(one) for one in instances(5)] == [SUCCESS] * 5
        assert caplog.text.count("the node receives without it") == 1
        receivers = node.receivers
        assert receivers is not None
        receivers._not_before = 0.0  # a while later
        until(lambda: sender.store(INSTANCE) == SUCCESS and bool(set(node.by) - {"one"}), "a process takes part")


def test_a_process_that_gets_no_thread_gives_the_association_back_and_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path, processes=1) as node:
        warm(node)
        receivers = node.receivers
        assert receivers is not None
        (one,) = receivers._ones
        pid, before = one.process.pid, resource.prlimit(one.process.pid, resource.RLIMIT_AS)
        with Sender(node.port, CONTEXTS) as first, Sender(node.port, CONTEXTS) as sender:
            first.begin(INSTANCE, only=100)  # which has the one thread there is
            until(lambda: len(one.lent) == 1, "it is lent")
            # Less than the stack of a thread more than it has.
            resource.prlimit(pid, resource.RLIMIT_AS, (_address_space(pid) + (4 << 20), before[1]))
            assert [sender.store(each) for each in instances(20)] == [SUCCESS] * 20
            resource.prlimit(pid, resource.RLIMIT_AS, before)
            assert one.process.poll() is None
            one.full_until = 0.0  # a while later
            until(lambda: sender.store(INSTANCE) == SUCCESS and len(one.lent) == 2, "the same process takes part again")
            sender.release()
            first.raw(first.p_data(1, 0x02, INSTANCE.data[100:]))
            assert first.status() == SUCCESS
            first.release()
        assert receivers._ones == [one]
    assert caplog.text.count("takes no more associations for 30 s: can't start new thread") == 1
    assert "ended" not in caplog.text


def _address_space(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def test_several_at_once_are_shared_between_the_processes(tmp_path: Path) -> None:
    with station(tmp_path, processes=2) as node:
        warm(node)
        until(lambda: _together(node) == 2, "both take part", 30)
        node.until_nobody_is_here()


def _together(node: Station) -> int:
    """Four associations at once; how many processes have taken an instance so far."""
    failed: list[BaseException] = []

    def send(series: int) -> None:
        try:
            with Sender(node.port, CONTEXTS) as sender:
                assert [sender.store(one) for one in instances(30, series)] == [SUCCESS] * 30
                sender.release()
        except BaseException as error:  # raised again in the thread of the test
            failed.append(error)

    threads = [threading.Thread(target=send, args=(series,)) for series in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return len(set(node.by))


def test_a_process_that_is_killed_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        warm(node)
        stored = 0
        assert node.receivers is not None
        with Sender(node.port, CONTEXTS) as sender, pytest.raises((Gone, OSError)):  # noqa: PT012  # one of them fails
            for number, one in enumerate(instances(1000)):
                if number == 20:
                    node.receivers._ones[0].process.kill()
                assert sender.store(one) == SUCCESS
                stored += 1
        node.until_nobody_is_here()
        until(lambda: not node.receivers._ones, "its end is noticed")
        dead = Presence(tmp_path / "run", "another")
        assert dead.dead() == ("one-r1",)  # so the sweep of any node takes what it left
        shown, left = len(node.kept()), len(node.spool.slots_of("one-r1"))
        assert shown + left >= stored
        dead.close()
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(INSTANCE) == SUCCESS
            sender.release()


def test_a_process_that_hangs_is_ended_and_its_senders_are_told(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        warm(node)
        assert node.receivers is not None
        (one,) = node.receivers._ones
        with Sender(node.port, CONTEXTS) as sender:
            stored = [sender.store(instance) for instance in instances(10)]
            until(lambda: bool(one.lent), "the association is lent")
            one.process.send_signal(signal.SIGSTOP)
            one.asked = 0.0
            node.receivers.look(60.0)
            assert one.process.poll() is None, "it has a minute"
            for seconds in range(100, 1000, 100):  # what it had said before it hung may be heard in between
                node.receivers.look(seconds)
            with pytest.raises((Gone, OSError)):
                sender.store(INSTANCE)
        until(lambda: one not in node.receivers._ones, "its end is noticed")
        assert stored == [SUCCESS] * 10
        assert len(node.kept()) + len(node.spool.slots_of("one-r1")) >= 10
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(INSTANCE) == SUCCESS
            sender.release()


def test_one_that_is_silent_gets_no_more_and_does_not_keep_the_others_from_being_asked(tmp_path: Path) -> None:
    """It reads nothing either: whoever speaks to it when its pipe is full waits until it is ended."""
    with station(tmp_path, processes=1) as node:
        warm(node)
        receivers = node.receivers
        assert receivers is not None
        (one,) = receivers._ones
        with stopped(one):
            until(lambda: not one.pipe.offer(("recall", -1)), "its pipe is full")
            one.asked = None
            receivers.look(time.monotonic() - 30.0)
            assert (one.asked is not None, one.told) == (True, False)
            assert one.silent(time.monotonic()), "else the sender below would wait until it is ended"
            before = len(node.by)
            with Sender(node.port, CONTEXTS) as sender:
                assert [sender.store(instance) for instance in instances(20)] == [SUCCESS] * 20
                assert not one.lent
                assert set(node.by[before:]) <= {"one"}

        def answered() -> bool:
            receivers.look(time.monotonic() - 30.0)
            return one.told

        until(answered, "it has room for the question")
        until(lambda: one.asked is None, "it has answered")
        assert one.process.poll() is None


@contextmanager
def stopped(one: _One) -> Iterator[None]:
    """It does nothing for a while; also where the test fails, for the station waits for its end."""
    one.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        one.process.send_signal(signal.SIGCONT)


def test_a_process_that_answers_stays(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        warm(node)
        assert node.receivers is not None
        (one,) = node.receivers._ones
        for seconds in (0.0, 100.0, 200.0):
            node.receivers.look(seconds)
            until(lambda: one.asked is None, "it has answered")
        assert one.process.poll() is None
        assert node.receivers._ones == [one]


def test_what_a_process_refuses_has_the_status_and_is_counted(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        warm(node)
        node.largest = 100
        with Sender(node.port, CONTEXTS) as sender:
            statuses = [sender.store(INSTANCE) for _ in range(3)]
            node.largest = 1 << 30
            recall_all_of(node)  # as when the rules have changed
            statuses += [sender.store(one) for one in instances(20)]
            sender.release()
        assert statuses == [OUT_OF_RESOURCES] * 3 + [SUCCESS] * 20
        assert node.refused == [OUT_OF_RESOURCES] * 3


def test_an_association_that_pauses_comes_back_and_is_ended_when_idle(tmp_path: Path) -> None:
    with station(tmp_path, processes=1, idle=1.0) as node:
        warm(node)
        with Sender(node.port, CONTEXTS) as sender:
            for one in instances(20):
                assert sender.store(one) == SUCCESS
            with pytest.raises((Gone, ConnectionError)):
                sender.status()
        node.until_nobody_is_here()


def test_a_stop_answers_what_is_in_flight(tmp_path: Path) -> None:
    with station(tmp_path, processes=1) as node:
        warming = warm(node)
        with Sender(node.port, CONTEXTS) as sender:
            for one in instances(20):
                assert sender.store(one) == SUCCESS
            sender.begin(INSTANCE, only=100)
            stop = threading.Thread(target=node.receiver.stop, args=(10.0,))
            stop.start()
            until(node.receiver._stopping.is_set, "it stops")
            sender.raw(sender.p_data(1, 0x02, INSTANCE.data[100:]))
            assert sender.status() == SUCCESS
            stop.join()
            assert len(node.arrivals) == warming + 21
            assert node.stored()[-1] == INSTANCE.data


def lent(node: Station) -> bool:
    return any(session.phase is Phase.LENT for session in node.sessions._open.values())


def test_what_the_node_has_to_say_waits_for_the_instance_in_flight(tmp_path: Path) -> None:
    report = p_data(3, COMMAND | LAST, b"a report")
    with station(tmp_path, processes=1) as node:
        warm(node)
        with Sender(node.port, CONTEXTS) as sender:
            assert any(_answered_before(node, sender, report) for _ in range(10))
            assert sender.store(INSTANCE) == SUCCESS
            sender.release()
        node.until_nobody_is_here()


def _answered_before(node: Station, sender: Sender, report: bytes) -> bool:
    """Say a report in the middle of an instance; whether the answer to that came before the report.

    On a busy machine our own pause may bring the association back right before the instance begins: then the node
    has both in hand, and may say the report at once.
    """
    for one in instances(20):
        assert sender.store(one) == SUCCESS
    sender.begin(INSTANCE, only=100)
    until(lambda: lent(node), "it is lent")
    (association,) = node.sessions._open
    association.dul.say(report)  # type: ignore[attr-defined]  # any key, here an Acceptance
    sender.raw(sender.p_data(1, 0x02, INSTANCE.data[100:]))
    came = [sender.pdu(), sender.pdu()]
    said = (0x04, report[6:])
    assert came.count(said) == 1
    (kind, answer) = next(pdu for pdu in came if pdu != said)
    assert (kind, int(decode(BytesIO(answer[6:]), True, True).Status)) == (0x04, SUCCESS)
    return came[1] == said


@pytest.mark.parametrize("end", ["abort", "cut"])
def test_a_sender_that_goes_away_in_the_middle_leaves_no_trace(tmp_path: Path, end: str) -> None:
    with station(tmp_path, processes=1) as node:
        warming = warm(node)
        with Sender(node.port, CONTEXTS) as sender:
            for one in instances(20):
                assert sender.store(one) == SUCCESS
            sender.begin(INSTANCE, only=100)
            until(lambda: lent(node), "it is lent")
            getattr(sender, end)()
        node.until_nobody_is_here()
        until(lambda: len(node.kept()) == warming + 20, "every instance is shown")
        until(lambda: node.spool.slots_of("one-r1") == [], "nothing is half written")
