"""Reports on the association that asked, beside whatever else goes on there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from node.dicom.commitment import Reference, Report
from node.index import Database
from node.index.schema import commitment
from node.model import UID
from tests import make
from tests.committing import PUSH_MODEL, WELL_KNOWN, information
from tests.receive.serving import Served, associated, served
from tests.receive.store import opened
from tests.receive.test_commitment import rows

REPORT = Report(transaction=UID("1.9"), committed=(Reference(UID(make.CT_IMAGE), UID("1.2.1")),))
LONG = Report(
    transaction=UID("1.9"), committed=tuple(Reference(UID(make.CT_IMAGE), UID(f"1.2.{n}")) for n in range(3000))
)
"""A message of many PDUs."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened("sqlite", tmp_path / "db") as found:
        yield found


@pytest.fixture
def node(tmp_path: Path, database: Database) -> Iterator[Served]:
    with served(tmp_path, database) as one:
        yield one


class Hearing:
    """Handlers of an SCU: what it is reported, and its answer."""

    def __init__(self, status: int = 0x0000) -> None:
        self.status, self.counts = status, list[int]()

    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_EVENT_REPORT, self._heard)]

    def _heard(self, event: Any) -> tuple[int, None]:
        self.counts.append(len(event.event_information.ReferencedSOPSequence))
        return self.status, None


def asked(association: Any, database: Database) -> int:
    answer, _ = association.send_n_action(information("1.9", [(make.CT_IMAGE, "1.2.1")]), 1, PUSH_MODEL, WELL_KNOWN)
    assert answer.Status == 0
    return int(rows(database, commitment)[0].id)


@pytest.mark.parametrize("report", [REPORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("status", [0x0000, 0x0110])
def test_the_answer_to_a_report_comes_back(node: Served, database: Database, report: Report, status: int) -> None:
    hearing = Hearing(status)
    with associated(node.port, PUSH_MODEL, handlers=hearing.handlers()) as association:
        key = asked(association, database)
        assert node.services.commitments.reports.has(key)
        assert node.services.commitments.reports.send(key, report, 10) == status
    assert hearing.counts == [len(report.committed)]


def test_reports_and_instances_do_not_disturb_each_other(node: Served, database: Database) -> None:
    """Many PDUs of a report between many answers to C-STORE: a fragment in the wrong place would end everything."""
    hearing, reports = Hearing(), node.services.commitments.reports
    instances = [make.instance(number=n) for n in range(60)]
    with associated(node.port, PUSH_MODEL, make.CT_IMAGE, handlers=hearing.handlers()) as association:
        key = asked(association, database)
        (line,) = [line for line, _ in reports._lines.values()]
        said: list[int | None] = []

        def report() -> None:
            for _ in range(20):
                reports.remember(key, line, 1)
                said.append(reports.send(key, LONG, 10))

        thread = threading.Thread(target=report)
        thread.start()
        for ds in instances:
            assert association.send_c_store(ds).Status == 0x0000
        thread.join(30)
        assert association.is_established
    assert said == [0x0000] * 20
    assert hearing.counts == [3000] * 20
    assert len(node.station.kept()) == 60


def test_an_association_that_is_over_takes_no_report(node: Served, database: Database) -> None:
    with associated(node.port, PUSH_MODEL) as association:
        key = asked(association, database)
    node.station.until_nobody_is_here()
    reports = node.services.commitments.reports
    assert not reports.has(key)
    assert reports.send(key, REPORT, 10) is None


def test_who_waits_for_an_answer_hears_of_the_end_at_once(node: Served, database: Database) -> None:
    gone = threading.Event()

    def hangs_up(event: Any) -> tuple[int, None]:
        event.assoc.abort()
        gone.set()
        return 0x0000, None

    with associated(node.port, PUSH_MODEL, handlers=[(evt.EVT_N_EVENT_REPORT, hangs_up)]) as association:
        key = asked(association, database)
        began = time.monotonic()
        assert node.services.commitments.reports.send(key, REPORT, 30) is None
        assert time.monotonic() - began < 15
    assert gone.is_set()


def test_a_silent_peer_is_waited_for_only_so_long(node: Served, database: Database) -> None:
    over = threading.Event()

    def silent(event: Any) -> tuple[int, None]:
        over.wait(10)
        return 0x0000, None

    with associated(node.port, PUSH_MODEL, handlers=[(evt.EVT_N_EVENT_REPORT, silent)]) as association:
        key = asked(association, database)
        assert node.services.commitments.reports.send(key, REPORT, 0.2) is None
        assert not node.services.commitments.reports.has(key), "the next try goes another way"
        over.set()
        association.abort()  # a release would wait for ever, where pynetdicom still serves in another thread
