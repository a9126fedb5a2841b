"""Requests for commitment over real sockets: recorded before they are answered, refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pynetdicom import build_role

from node.commitment import Proof
from node.dicom.commitment import Reference
from node.index import Database, asking
from node.index.schema import asked_item, commitment, commitment_item
from node.model import UID
from tests import make
from tests.committing import PUSH_MODEL, WELL_KNOWN, information
from tests.receive.serving import Served, associated, served
from tests.receive.store import opened

WANTED = [(make.CT_IMAGE, "1.2.1"), (make.MR_IMAGE, "1.2.2")]


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    with opened(database_url, tmp_path / "db") as found:
        yield found


@pytest.fixture
def node(tmp_path: Path, database: Database) -> Iterator[Served]:
    with served(tmp_path, database) as one:
        yield one


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.reader.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key)))


def action(node: Served, data: Dataset | None, *, action_type: int = 1, instance: str = WELL_KNOWN) -> int | None:
    with associated(node.port, PUSH_MODEL) as association:
        answer, _ = association.send_n_action(data, action_type, PUSH_MODEL, instance)
        assert association.is_established, "whatever was asked"
        status: int | None = answer.get("Status")
        return status


def test_a_request_is_on_the_disk_when_it_is_answered(node: Served, database: Database) -> None:
    assert action(node, information("1.9", WANTED)) == 0x0000
    (one,) = rows(database, commitment)
    assert (one.transaction, one.calling_ae, one.called_ae, one.sender) == ("1.9", "CT1", "NODE", "127.0.0.1")
    assert (one.proof, one.state) == ("delivered", "open")
    assert [(i.number, i.sop_class, i.sop_instance, i.state) for i in rows(database, commitment_item)] == [
        (1, make.CT_IMAGE, "1.2.1", "waiting"), (2, make.MR_IMAGE, "1.2.2", "waiting"),
    ]  # fmt: skip
    assert node.switches.woken.is_set()


def without(keyword: str) -> Dataset:
    ds = information("1.9", WANTED)
    delattr(ds, keyword)
    return ds


@pytest.mark.parametrize(
    ("data", "how", "status"),
    [
        (information("1.9", WANTED), {"instance": "1.2.3"}, 0x0112),
        (information("1.9", WANTED), {"action_type": 2}, 0x0123),
        (without("TransactionUID"), {}, 0x0115),
        (without("ReferencedSOPSequence"), {}, 0x0115),
        (information("1.9", []), {}, 0x0115),
        (None, {}, 0x0115),
    ],
    ids=["instance", "action", "no transaction", "no sequence", "nothing", "no data set"],
)
def test_what_is_no_request_is_refused_by_name_and_leaves_nothing(
    node: Served, database: Database, data: Dataset | None, how: dict[str, Any], status: int
) -> None:
    assert action(node, data, **how) == status
    assert rows(database, commitment) == []


def test_switched_off_meanwhile_it_is_refused(node: Served, database: Database) -> None:
    with associated(node.port, PUSH_MODEL) as association:
        node.switches.proof = None
        answer, _ = association.send_n_action(information("1.9", WANTED), 1, PUSH_MODEL, WELL_KNOWN)
    assert answer.Status == 0x0124
    assert rows(database, commitment) == []


# ---- what destinations say ---------------------------------------------------------------------------------


def asked_of_the_archive(database: Database, node: Served) -> str:
    """A transaction of ours that ARCHIVE was asked in."""
    node.switches.proof = Proof.DOWNSTREAM
    action(node, information("1.9", WANTED))
    (one,) = rows(database, commitment)
    references = [Reference(UID(c), UID(i)) for c, i in WANTED]
    with database.durable.begin() as connection:
        asking.ask(connection, one.id, {"archive": references}, {"archive": "ARCHIVE"}, 1.0)
    with database.reader.connect() as connection:
        (question,) = asking.due(connection, 1e10)
    return question.transaction


def report(node: Served, transaction: str, ae_title: str = "ARCHIVE", event: int = 1) -> int | None:
    roles = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)]
    with associated(node.port, PUSH_MODEL, ae_title=ae_title, roles=roles) as association:
        answer, _ = association.send_n_event_report(information(transaction, WANTED), event, PUSH_MODEL, WELL_KNOWN)
        status: int | None = answer.get("Status")
        return status


def test_the_report_of_a_destination_is_on_the_disk_when_it_is_answered(node: Served, database: Database) -> None:
    transaction = asked_of_the_archive(database, node)
    node.switches.woken.clear()
    assert report(node, transaction) == 0x0000
    assert {i.state for i in rows(database, asked_item)} == {"committed"}
    assert node.switches.woken.is_set()


@pytest.mark.parametrize(
    ("transaction", "how", "status"),
    [("1.2.3", {}, 0x0115), ("", {"ae_title": "STRANGER"}, 0x0115), ("", {"event": 3}, 0x0113)],
)
def test_a_report_that_was_not_asked_for_is_not_believed(
    node: Served, database: Database, transaction: str, how: dict[str, Any], status: int
) -> None:
    ours = asked_of_the_archive(database, node)
    assert report(node, transaction or ours, **how) == status
    assert {i.state for i in rows(database, asked_item)} == {"waiting"}
