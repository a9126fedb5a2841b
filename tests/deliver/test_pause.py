"""pynetdicom's reactor is stopped for sure before a request is sent, so that it cannot take the answer."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset

from node.deliver.contexts import Context
from node.deliver.dicom import DicomTarget
from node.deliver.pause import Pause
from node.evidence.source import FIND
from tests import make
from tests.archive import Archive


class Reactor(threading.Thread):
    """Goes its rounds as an association of pynetdicom does (Association._run_reactor)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._is_paused = False
        self.checkpoint: threading.Event = Pause(self)
        self.rounds, self.over = 0, False

    def run(self) -> None:
        while not self.over:
            self._is_paused = True
            self.checkpoint.wait()
            self._is_paused = False
            self.rounds += 1

    def stop(self) -> None:
        """As `send_c_find` and others do."""
        self.checkpoint.clear()
        deadline = time.monotonic() + 10
        while not self._is_paused:
            assert time.monotonic() < deadline, "the reactor never paused"
            time.sleep(0.0001)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    one = Reactor()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    one.start()
    try:
        yield one
    finally:
        sys.setswitchinterval(before)
        one.over = True
        one.checkpoint.set()
        one.join(10)
    assert not one.is_alive()


def went_on(reactor: Reactor, times: int) -> int:
    """How often it went on though it had said that it was paused."""
    found = 0
    for _ in range(times):
        reactor.checkpoint.set()
        reactor.stop()
        rounds = reactor.rounds
        time.sleep(0.0002)
        found += reactor.rounds != rounds
    return found


def test_a_reactor_that_says_it_is_paused_does_not_go_on(reactor: Reactor) -> None:
    assert went_on(reactor, 2000) == 0


def test_with_threadings_own_event_it_does(reactor: Reactor) -> None:
    """Else the test above could not fail."""
    pause, reactor.checkpoint = reactor.checkpoint, threading.Event()
    pause.set()
    assert went_on(reactor, 2000) > 0


def test_it_goes_on_when_it_is_let(reactor: Reactor) -> None:
    reactor.stop()
    assert not reactor.checkpoint.is_set()
    rounds = reactor.rounds
    reactor.checkpoint.set()
    deadline = time.monotonic() + 10
    while reactor.rounds == rounds:
        assert time.monotonic() < deadline
        time.sleep(0.0001)


def test_a_wait_may_have_an_end() -> None:
    one = Pause(Reactor())
    assert one.wait(0.001)
    one.clear()
    assert not one.wait(0.001)


def test_every_association_that_we_open_has_one() -> None:
    (instance,) = make.ct_series(1)
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", instance.StudyInstanceUID
    with Archive([instance]) as archive:
        target = DicomTarget(archive.ae_title, "127.0.0.1", archive.port, "NODE")
        with target.associated([Context(FIND, "1.2.840.10008.1.2")]) as association:
            assert isinstance(association._reactor_checkpoint, Pause)
            for _ in range(20):
                assert [status.Status for status, _ in association.send_c_find(asked, FIND)] == [0xFF00, 0x0000]
