"""The doubles themselves: what the other tests rely on."""

from __future__ import annotations

import threading

import pytest

from tests import make
from tests.peers import VERIFICATION, Gone, Instance, Recorder, Rejected, Sender, send

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def test_what_the_sender_sends_the_recorder_has() -> None:
    series = make.ct_series(3)
    with Recorder() as archive:
        assert send(archive.port, series, called_ae="ARCHIVE") == [0, 0, 0]
        received = archive.wait_for(3)
    assert [one.dataset() for one in received] == list(series)
    assert {one.calling_ae for one in received} == {"SENDER"}


def test_knobs_of_the_recorder() -> None:
    series = make.ct_series(3)
    with Recorder(refuse=0xC000, refuse_when=lambda one: one.sop_instance == series[1].SOPInstanceUID) as archive:
        assert send(archive.port, series) == [0, 0xC000, 0]
    with Recorder(abort_after=1) as archive, pytest.raises(Gone):
        send(archive.port, series)
    with Recorder(only_callers=["X"]) as archive, pytest.raises(Rejected) as caught:
        send(archive.port, series)
    assert caught.value.codes == (1, 1, 3)


def test_several_transfer_syntaxes_can_be_proposed_in_one_context() -> None:
    contexts = [(make.CT_IMAGE, [IMPLICIT, EXPLICIT]), (VERIFICATION, [IMPLICIT])]
    with Recorder(accept=[EXPLICIT]) as archive, Sender(archive.port, contexts) as sender:
        assert sender.accepted == {1: (make.CT_IMAGE, EXPLICIT), 3: (VERIFICATION, IMPLICIT)}
        assert sender.echo() == 0


def test_a_sender_can_stop_midway_and_leave_without_a_word() -> None:
    (ds,) = make.ct_series(1)
    with Recorder() as archive:
        for leave in (Sender.abort, Sender.cut):
            with Sender(archive.port, [(make.CT_IMAGE, [EXPLICIT])]) as sender:
                sender.begin(ds, only=200)
                leave(sender)
        assert send(archive.port, [ds]) == [0]
        assert len(archive.received) == 1


def test_a_sender_can_lie_in_the_command() -> None:
    true = Instance.of(make.ct_series(1)[0])
    lie = Instance(sop_class=true.sop_class, sop_instance="1.2.3", transfer_syntax=true.transfer_syntax, data=true.data)
    with Recorder() as archive:
        send(archive.port, [lie])
        assert archive.uids == ["1.2.3"]
        assert archive.received[0].dataset().SOPInstanceUID != "1.2.3"


def test_wait_for_gives_up_after_its_deadline() -> None:
    with Recorder() as archive, pytest.raises(AssertionError, match=r"0 of 1 instances within 0\.05 s"):
        archive.wait_for(1, deadline=0.05)


def test_threads_end_with_the_recorder_even_while_it_delays() -> None:
    before = set(threading.enumerate())
    (ds,) = make.ct_series(1)
    with Recorder(delay=60) as archive, Sender(archive.port, [(make.CT_IMAGE, [EXPLICIT])]) as sender:
        sender.begin(ds)
        sender.cut()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
