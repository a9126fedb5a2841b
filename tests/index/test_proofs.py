"""What the rows prove of an instance: real jobs and deliveries, and copies that prove nothing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from node.commitment import Facts
from node.index.proofs import Proofs, proofs
from node.index.schema import obligation, parcel, receipt
from node.model import Disclosure
from tests import make
from tests.kit import Kit, changed

RULES = """
destinations: {archive: {dicom: "A@127.0.0.1:104", accepts: ACCEPTS}, share: {folder: ./share, accepts: ACCEPTS}}
routes: [{name: r, when: {Modality: CT}, late: LATE, steps: [{forward: archive}, {forward: share}]}]
"""
CT = make.instance()
INSTANCE = str(CT.SOPInstanceUID)


def known(kit: Kit, instance: str = INSTANCE, called_ae: str = "NODE", askable: tuple[str, ...] = ()) -> Proofs:
    with kit.database.reader.connect() as connection:
        found = proofs(connection, [instance, "1.2.3"], called_ae, kit.config.routed, 0, askable)
    assert "1.2.3" not in found
    return found.get(instance, Proofs())


def rules(kit: Kit, late: str = "rerun") -> None:
    kit.rules(RULES.replace("ACCEPTS", "identified").replace("LATE", late))


def sent(kit: Kit, job: str, destination: str, name: str, receipt_id: str, **how: object) -> None:
    """The whole way of one file: in the outbox, acknowledged, settled."""
    key = kit.put(job, destination, kit.goods(name, receipt_id), **how)  # type: ignore[arg-type]  # names of put
    one, parcels = kit.read(key)
    kit.outbox.delivered(one, parcels)
    kit.outbox.finish(one)


def test_an_instance_that_was_never_received_is_not_known(kit: Kit) -> None:
    assert known(kit) == Proofs()


def test_what_is_open_is_under_way_and_spooled(kit: Kit) -> None:
    rules(kit)
    kit.index(CT)
    assert known(kit).facts == Facts(sop_classes=frozenset({make.CT_IMAGE}), spooled=True, under_way=True)  # type: ignore[arg-type]  # a UID


def test_a_job_and_an_outbox_are_on_the_way_to_the_proof(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    assert known(kit).facts.under_way
    kit.put(job, "archive", kit.goods(INSTANCE, one))
    found = known(kit).facts
    assert found.waiting
    assert not found.delivered


def test_the_original_at_a_destination_is_the_proof(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", INSTANCE, one)
    found = known(kit, askable=("archive",))
    assert found.facts.delivered
    assert found.facts.askable
    assert found.destinations == {"archive"}
    assert not known(kit, askable=("share",)).facts.askable


def test_another_sop_instance_uid_is_no_proof(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", "1.2.3.4", one)
    assert not known(kit).facts.delivered


def test_a_de_identified_copy_is_no_proof_whatever_its_uid(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", INSTANCE, one, disclosure=Disclosure.DEIDENTIFIED)
    assert not known(kit).facts.delivered


def test_a_de_identified_copy_in_an_identified_delivery_is_no_proof(kit: Kit) -> None:
    """Forwarded to one place twice: something as it came, and this instance only after it was de-identified."""
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    kit.put(job, "archive", kit.goods("1.2.9", one), step=0, last=False)
    sent(kit, job, "archive", INSTANCE, one, step=2, disclosure=Disclosure.DEIDENTIFIED)
    assert {p["state"] for p in kit.rows(parcel)} == {"delivered"}
    assert not known(kit).facts.delivered


def test_a_parcel_of_an_older_program_counts_only_with_the_bytes_that_were_received(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", INSTANCE, one)
    kit.write(sa.update(parcel).values(disclosure=""))
    assert not known(kit).facts.delivered
    (row,) = kit.rows(receipt)
    kit.write(sa.update(parcel).values(content=row["sha256"]))
    assert known(kit).facts.delivered


def test_what_is_held_waits_for_a_person(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    key = kit.put(job, "archive", kit.goods(INSTANCE, one))
    kit.outbox.hold(kit.read(key)[0], "gave up")
    kit.write(sa.update(obligation).where(obligation.c.target == "share").values(state="produced"))
    found = known(kit).facts
    assert found.held
    assert not found.waiting
    assert not found.under_way


def test_a_held_copy_that_would_prove_nothing_is_not_waited_for(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    key = kit.put(job, "archive", kit.goods("1.2.3.4", one))
    kit.outbox.hold(kit.read(key)[0], "gave up")
    kit.write(sa.update(obligation).where(obligation.c.target == "share").values(state="produced"))
    assert not known(kit).facts.held


def test_unrouted_is_there_and_not_under_way(kit: Kit) -> None:
    rules(kit)
    mr = make.instance(make.MR_IMAGE)
    kit.index(mr)
    kit.close()
    found = known(kit, str(mr.SOPInstanceUID)).facts
    assert found == Facts(sop_classes=frozenset({make.MR_IMAGE}), spooled=True)  # type: ignore[arg-type]  # a UID


def test_newer_content_under_the_same_uid_needs_its_own_proof(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", INSTANCE, one)
    (newer,) = kit.index(changed(CT, KVP=80))
    assert known(kit).facts.under_way, "it is being compared"
    kit.write(sa.update(receipt).where(receipt.c.id == one).values(state="superseded"))
    kit.write(sa.update(receipt).where(receipt.c.id == newer).values(state="current"))
    assert not known(kit).facts.delivered


def test_a_duplicate_speaks_through_the_one_that_came_first(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", INSTANCE, one)
    kit.index(CT)
    assert known(kit).facts.delivered


def test_what_came_to_the_title_that_was_asked_speaks_before_what_came_to_another(kit: Kit) -> None:
    rules(kit)
    (one,) = kit.index(CT)
    (job,) = kit.close()
    sent(kit, job, "archive", INSTANCE, one)
    assert known(kit, called_ae="RESEARCH").facts.delivered, "nothing came to that one"
    kit.index(CT, called="RESEARCH")
    assert not known(kit, called_ae="RESEARCH").facts.delivered
    assert known(kit, called_ae="NODE").facts.delivered


@pytest.mark.parametrize(("state", "spooled"), [("held", True), ("dropped", False), ("duplicate", True)])
def test_only_what_nobody_gave_up_is_in_the_spool(kit: Kit, state: str, spooled: bool) -> None:
    kit.index(CT)
    kit.write(sa.update(receipt).values(state=state))
    assert known(kit).facts.spooled is spooled
    kit.write(sa.update(receipt).values(path=None))
    assert not known(kit).facts.spooled
