"""Performed procedure steps over real sockets: N-CREATE, N-SET, and what may not be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import evt

from node.index import Database
from node.index.schema import expected, procedure_step
from tests import make
from tests.receive.serving import Served, associated, served
from tests.receive.store import opened

MPPS = "1.2.840.10008.3.1.2.3.3"
SERIES = [("1.2", ["1.2.1", "1.2.2"], ["1.2.3"]), ("1.3", [], [])]


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    with opened(database_url, tmp_path / "db") as found:
        yield found


@pytest.fixture
def node(tmp_path: Path, database: Database) -> Iterator[Served]:
    with served(tmp_path, database) as one:
        yield one


def begun(*studies: str) -> Dataset:
    """An Attribute List of N-CREATE as a modality sends it, with what is the patient's among it."""
    ds = Dataset()
    ds.PatientName, ds.PatientID = "Müster^Invented", "T-0001"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PerformedProcedureStepStatus, ds.Modality = "IN PROGRESS", "CT"
    steps = []
    for study in studies:
        step = Dataset()
        step.StudyInstanceUID, step.AccessionNumber = study, "A0001"
        steps.append(step)
    ds.ScheduledStepAttributesSequence = Items(steps)
    ds.PerformedSeriesSequence = Items([])
    return ds


def ended(
    status: str | None = "COMPLETED", series: Sequence[tuple[str, list[str], list[str]]] | None = SERIES
) -> Dataset:
    """A Modification List of N-SET."""
    ds = Dataset()
    if status is not None:
        ds.PerformedProcedureStepStatus = status
    if series is not None:
        ds.PerformedSeriesSequence = Items([_series(*one) for one in series])
    return ds


def _series(uid: str, images: list[str], others: list[str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID, item.PerformingPhysicianName = uid, "Nobody^Real"
    for keyword, instances in (
        ("ReferencedImageSequence", images), ("ReferencedNonImageCompositeSOPInstanceSequence", others),
    ):  # fmt: skip
        references = []
        for instance in instances:
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = make.CT_IMAGE, instance
            references.append(reference)
        setattr(item, keyword, Items(references))
    return item


def create(node: Served, ds: Dataset, uid: str | None = "1.9", ae_title: str = "CT1") -> Any:
    with associated(node.port, MPPS, ae_title=ae_title) as association:
        answer, _ = association.send_n_create(ds, MPPS, uid)
        assert association.is_established
        return answer


def change(node: Served, ds: Dataset, uid: str = "1.9", ae_title: str = "CT1") -> Any:
    with associated(node.port, MPPS, ae_title=ae_title) as association:
        answer, _ = association.send_n_set(ds, MPPS, uid)
        assert association.is_established
        return answer


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.reader.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key)))


def expectations(database: Database) -> list[tuple[str, str, list[str]]]:
    return [(r.study, r.series, json.loads(r.instances)) for r in rows(database, expected)]


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
def test_a_step_that_is_over_says_what_its_series_have(node: Served, database: Database, status: str) -> None:
    assert create(node, begun("1.1")).Status == 0x0000
    assert expectations(database) == []
    assert change(node, ended(status)).Status == 0x0000
    assert expectations(database) == [("1.1", "1.2", ["1.2.1", "1.2.2", "1.2.3"]), ("1.1", "1.3", [])]
    (one, _) = rows(database, expected)
    assert (one.source, one.peer, one.called_ae, one.reference, one._mapping["count"]) == (
        "mpps", "CT1", "NODE", "1.9", 3,
    )  # fmt: skip
    assert node.switches.woken.is_set()


def test_series_that_an_earlier_set_named_count_when_the_last_one_names_none(node: Served, database: Database) -> None:
    create(node, begun("1.1"))
    assert change(node, ended(None)).Status == 0x0000
    assert change(node, ended("COMPLETED", None)).Status == 0x0000
    assert [series for _, series, _ in expectations(database)] == ["1.2", "1.3"]


def test_a_step_of_several_studies_says_of_no_series_whose_it_is(node: Served, database: Database) -> None:
    create(node, begun("1.1", "1.7"))
    change(node, ended())
    assert {study for study, _, _ in expectations(database)} == {""}


def test_a_step_that_is_over_may_not_be_changed_any_more(node: Served, database: Database) -> None:
    create(node, begun("1.1"))
    change(node, ended())
    answer = change(node, ended("COMPLETED", [("1.2", ["1.2.9"], [])]))
    assert (answer.Status, answer.ErrorID) == (0x0110, 0xA506)
    assert len(expectations(database)) == 2


def test_a_step_without_a_uid_gets_one(node: Served, database: Database) -> None:
    answered: list[str] = []
    hear = (evt.EVT_DIMSE_RECV, lambda event: answered.append(str(event.message.command_set.AffectedSOPInstanceUID)))
    with associated(node.port, MPPS, handlers=[hear]) as association:
        answer, _ = association.send_n_create(begun("1.1"), MPPS, None)
    assert answer.Status == 0x0000
    (one,) = rows(database, procedure_step)
    assert answered == [one.sop_instance] == ["2.25.1"]


def test_a_uid_is_used_once(node: Served, database: Database) -> None:
    create(node, begun("1.1"))
    assert create(node, begun("1.7")).Status == 0x0111
    (one,) = rows(database, procedure_step)
    assert one.study == "1.1"


@pytest.mark.parametrize(("uid", "ae_title"), [("1.8", "CT1"), ("1.9", "CT2")])
def test_a_step_that_this_sender_did_not_create_is_not_there(node: Served, uid: str, ae_title: str) -> None:
    create(node, begun("1.1"))
    assert change(node, ended(), uid, ae_title).Status == 0x0112


def test_a_step_begins_in_progress(node: Served, database: Database) -> None:
    ds = begun("1.1")
    ds.PerformedProcedureStepStatus = "COMPLETED"
    assert create(node, ds).Status == 0x0106
    del ds.PerformedProcedureStepStatus
    assert create(node, ds).Status == 0x0120
    assert rows(database, procedure_step) == []


def test_a_status_that_there_is_not_changes_nothing(node: Served, database: Database) -> None:
    create(node, begun("1.1"))
    assert change(node, ended("FINISHED")).Status == 0x0106
    (one,) = rows(database, procedure_step)
    assert one.state == "IN PROGRESS"


def test_a_series_without_a_uid_is_refused_as_a_whole(node: Served, database: Database) -> None:
    create(node, begun("1.1"))
    assert change(node, ended("COMPLETED", [("", ["1.2.1"], [])])).Status == 0x0115
    assert expectations(database) == []


def test_switched_off_meanwhile_it_is_refused(node: Served, database: Database) -> None:
    with associated(node.port, MPPS) as association:
        node.switches.mpps = False
        answer, _ = association.send_n_create(begun("1.1"), MPPS, "1.9")
    assert answer.Status == 0x0124
    assert rows(database, procedure_step) == []


def test_nothing_of_the_patient_is_kept_or_logged(
    node: Served, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    create(node, begun("1.1"))
    change(node, ended())
    kept = f"{rows(database, procedure_step)}{rows(database, expected)}{caplog.text}"
    assert not [word for word in ("Müster", "T-0001", "A0001", "Nobody") if word in kept]
