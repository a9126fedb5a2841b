"""Reports and requests on associations of our own, with a peer that takes them, refuses them or is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.deliver.commitment import send_report, send_request
from node.deliver.dicom import DicomTarget
from node.deliver.sender import Timeouts
from node.dicom.commitment import Reference, Report, Request, read_report
from node.dicom.encoding import Malformed
from node.dicom.status import INVALID_ARGUMENT_VALUE
from node.errors import Refused, TryAgain
from node.model import UID
from tests import make
from tests.committing import Committing, Modality
from tests.peers import Recorder, free_port, silent_listener

A, B = (Reference(UID(make.CT_IMAGE), UID(f"1.2.{n}")) for n in (1, 2))
REPORT = Report(transaction=UID("1.9"), committed=(A,), failed=((B, 0x0112),))
REQUEST = Request(transaction=UID("1.9"), references=(A, B))


def target(port: int, ae_title: str = "CT1", associate: float = 10) -> DicomTarget:
    return DicomTarget(ae_title, "127.0.0.1", port, "NODE", Timeouts(associate=associate, answer=10))


@contextmanager
def archive(where: str = "here") -> Iterator[tuple[Committing, Recorder]]:
    committing = Committing(where=where)
    with committing.archive() as recorder:
        yield committing, recorder


def no_word(data: bytes, transfer_syntax: str) -> None:
    raise AssertionError("nothing was reported")


def test_a_report_arrives_whole_with_the_role_of_an_scp() -> None:
    """The Modality accepts us as SCP only: without the role there would be no context."""
    with Modality() as ct:
        send_report(target(ct.port), REPORT)
    (heard,) = ct.heard
    assert (heard.transaction, heard.event, heard.committed) == ("1.9", 2, ("1.2.1",))
    assert heard.failed == (("1.2.2", 0x0112),)
    assert (heard.calling_ae, heard.called_ae, heard.place) == ("NODE", "CT1", "new")


def test_a_report_that_is_refused_is_tried_again_later() -> None:
    with Modality(answer=[0x0110]) as ct, pytest.raises(TryAgain, match="0x0110"):
        send_report(target(ct.port), REPORT)


def test_a_peer_without_the_service_is_named() -> None:
    with Recorder() as recorder, pytest.raises(TryAgain, match="Storage Commitment"):
        send_report(target(recorder.port, "ARCHIVE"), REPORT)


def test_nobody_there_and_nobody_who_answers() -> None:
    with pytest.raises(TryAgain, match="cannot be reached"):
        send_report(target(free_port()), REPORT)
    with silent_listener() as port, pytest.raises(TryAgain, match="did not answer"):
        send_report(target(port, associate=0.5), REPORT)


def test_a_request_is_heard_and_its_answer_on_the_same_association_too() -> None:
    reports: list[Report] = []
    with archive() as (committing, recorder):
        send_request(target(recorder.port, "ARCHIVE"), REQUEST, lambda d, ts: reports.append(read_report(d, ts)))
        (asked,) = committing.asked
    assert str(asked.TransactionUID) == "1.9"
    assert reports == [Report(transaction=UID("1.9"), committed=(A, B))]


def test_a_request_that_is_answered_elsewhere_is_asked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.deliver.commitment._STAY", 0.1)
    with archive("nowhere") as (committing, recorder):
        send_request(target(recorder.port, "ARCHIVE"), REQUEST, no_word)
    assert len(committing.asked) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(Refused(INVALID_ARGUMENT_VALUE, "not asked"), INVALID_ARGUMENT_VALUE), (Malformed(0, "no report"), 0x0110)],
)
def test_an_answer_that_cannot_be_taken_is_refused(error: Exception, status: int) -> None:
    def heard(data: bytes, transfer_syntax: str) -> None:
        raise error

    with archive() as (committing, recorder):
        send_request(target(recorder.port, "ARCHIVE"), REQUEST, heard)
        committing.wait_for_statuses(1)
    assert committing.statuses == [status]


def test_an_archive_without_the_service_is_named() -> None:
    with Recorder() as recorder, pytest.raises(TryAgain, match="Storage Commitment"):
        send_request(target(recorder.port, "ARCHIVE"), REQUEST, no_word)
