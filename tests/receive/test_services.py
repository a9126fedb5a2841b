"""Which services are negotiated in which roles, and what is answered to a message that has no taker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import build_role

from node.commitment import Proof
from node.receive.services import Roles
from tests import make
from tests.committing import PUSH_MODEL, WELL_KNOWN, information
from tests.peers import Sender, send
from tests.receive.serving import Served, associated, served
from tests.receive.store import opened

MPPS = "1.2.840.10008.3.1.2.3.3"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Served]:
    with opened("sqlite", tmp_path / "db") as database, served(tmp_path, database) as one:
        yield one


def test_both_services_are_accepted_beside_storage(node: Served) -> None:
    with associated(node.port, PUSH_MODEL, MPPS, make.CT_IMAGE) as association:
        assert {str(cx.abstract_syntax) for cx in association.accepted_contexts} == {PUSH_MODEL, MPPS, make.CT_IMAGE}


def test_what_is_switched_off_is_not_accepted_and_the_log_says_where(
    node: Served, caplog: pytest.LogCaptureFixture
) -> None:
    node.switches.proof, node.switches.mpps = None, False
    with associated(node.port, PUSH_MODEL, MPPS, make.CT_IMAGE) as association:
        assert [str(cx.abstract_syntax) for cx in association.accepted_contexts] == [make.CT_IMAGE]
    assert "node: commitment is off" in caplog.text
    assert "node: mpps is not set" in caplog.text


@pytest.mark.parametrize(
    ("proposed", "accepted"),
    [
        ([ImplicitVRLittleEndian], ImplicitVRLittleEndian),
        ([ImplicitVRLittleEndian, ExplicitVRLittleEndian], ExplicitVRLittleEndian),
        ([JPEGLosslessSV1, ImplicitVRLittleEndian], ImplicitVRLittleEndian),
    ],
)
def test_data_sets_come_uncompressed(node: Served, proposed: list[str], accepted: str) -> None:
    with associated(node.port, PUSH_MODEL, syntaxes=proposed) as association:
        assert [cx.transfer_syntax for cx in association.accepted_contexts] == [[accepted]]


def test_a_context_without_one_of_them_is_refused(node: Served, caplog: pytest.LogCaptureFixture) -> None:
    with associated(node.port, PUSH_MODEL, syntaxes=[JPEGLosslessSV1]) as association:
        assert not association.is_established
        assert [cx.result for cx in association.rejected_contexts] == [0x04]
    assert "none of these transfer syntaxes" in caplog.text


@pytest.mark.parametrize(
    ("proof", "asked", "granted"),
    [
        (Proof.DELIVERED, None, (True, False)),
        (Proof.DELIVERED, (True, False), (True, False)),
        (Proof.DELIVERED, (False, True), None),
        (Proof.DOWNSTREAM, (False, True), (False, True)),
        (Proof.DOWNSTREAM, (True, True), (True, True)),
        (Proof.DOWNSTREAM, None, (True, False)),
    ],
)
def test_roles_are_granted_as_the_standard_says(
    node: Served, proof: Proof, asked: tuple[bool, bool] | None, granted: tuple[bool, bool] | None
) -> None:
    """PS3.7 D.3.3.4, PS3.4 J.3: who asks is the SCU, who reports on an association of its own is the SCP."""
    node.switches.proof = proof
    roles = [build_role(PUSH_MODEL, scu_role=asked[0], scp_role=asked[1])] if asked else []
    with associated(node.port, PUSH_MODEL, roles=roles) as association:
        found = [(cx.as_scu, cx.as_scp) for cx in association.accepted_contexts]
        assert found == ([granted] if granted else [])


def test_a_procedure_step_has_the_default_roles(node: Served) -> None:
    assert node.services.roles(MPPS) == Roles()
    with associated(node.port, MPPS, roles=[build_role(MPPS, scu_role=True, scp_role=True)]) as association:
        assert [(cx.as_scu, cx.as_scp) for cx in association.accepted_contexts] == [(True, False)]


def test_storage_goes_on_between_two_requests(node: Served) -> None:
    with associated(node.port, PUSH_MODEL, make.CT_IMAGE) as association:
        for number in range(3):
            wanted = information(f"1.2.{number}", [(make.CT_IMAGE, "1.2.3")])
            answer, _ = association.send_n_action(wanted, 1, PUSH_MODEL, WELL_KNOWN)
            assert answer.Status == 0x0000
            assert association.send_c_store(make.instance(number=number)).Status == 0x0000
    assert len(node.station.kept()) == 3


@pytest.mark.parametrize("sop_class", [PUSH_MODEL, MPPS])
def test_an_operation_that_is_not_served_is_answered(node: Served, sop_class: str) -> None:
    with associated(node.port, sop_class) as association:
        answer, _ = association.send_n_get([0x00100010], sop_class, "1.2.3")
        assert answer.Status == 0x0211
        assert association.is_established


def test_a_request_that_is_too_large_ends_its_association_alone(
    node: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("node.receive.conversation._LONGEST_OTHER", 1 << 14)
    wanted = information("1.2.9", [(make.CT_IMAGE, f"1.2.{n}") for n in range(1000)])
    with associated(node.port, PUSH_MODEL) as association:
        answer, _ = association.send_n_action(wanted, 1, PUSH_MODEL, WELL_KNOWN)
        assert "Status" not in answer
    assert "its association is aborted" in caplog.text
    assert send(node.port, [make.instance()]) == [0]


def test_a_database_that_is_away_is_a_status_and_not_an_abort(
    node: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlalchemy as sa

    def away(*_: Any) -> int:
        raise sa.exc.OperationalError("", {}, ConnectionError())

    monkeypatch.setattr("node.index.commitments.record", away)
    with associated(node.port, PUSH_MODEL) as association, caplog.at_level(logging.WARNING):
        wanted = information("1.2.9", [(make.CT_IMAGE, "1.2.3")])
        answer, _ = association.send_n_action(wanted, 1, PUSH_MODEL, WELL_KNOWN)
        assert answer.Status == 0x0110
        monkeypatch.undo()
        answer, _ = association.send_n_action(wanted, 1, PUSH_MODEL, WELL_KNOWN)
        assert answer.Status == 0x0000
    assert "the database is away" in caplog.text


def test_a_response_that_nobody_waits_for_is_let_go(node: Served) -> None:
    """A raw one: pynetdicom's SCU sends none unasked."""
    from node.dicom import command as dimse

    answer = dimse.encode_command(
        {dimse.AFFECTED_SOP_CLASS: PUSH_MODEL, dimse.COMMAND_FIELD: 0x8100, dimse.MESSAGE_ID_RESPONDED_TO: 7,
         dimse.DATA_SET_TYPE: dimse.NO_DATA_SET, dimse.STATUS: 0}
    )  # fmt: skip
    contexts = [(PUSH_MODEL, [ImplicitVRLittleEndian]), ("1.2.840.10008.1.1", [ImplicitVRLittleEndian])]
    with Sender(node.port, contexts) as sender:
        sender.raw(sender.p_data(1, 0x03, answer))
        assert sender.echo() == 0x0000
