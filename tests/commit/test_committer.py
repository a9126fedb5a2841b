"""The loop of commitment, round by round, against real rows; what it sends is noted here instead of sent."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import sqlalchemy as sa

from node.commit.committer import Committer
from node.commit.peers import PeerAddress, unreachable
from node.commit.spooled import damaged
from node.commitment import Proof
from node.config import Destination, Retry
from node.dicom.commitment import Reference, Report, Request
from node.errors import TryAgain
from node.index import asking
from node.index.asking import Asked
from node.index.commitments import Commitment
from node.index.schema import asked, commitment, commitment_item
from node.model import UID, Disclosure
from node.spool import Presence
from tests import make
from tests.index.test_commitments import CT1, recorded
from tests.kit import Kit

RULES = """
node: {{ae_title: NODE, data: {data}, commitment: {{within: 1h}}}}
peers: {{ct1: {{ae_title: CT1, host: 10.1.2.3, port: 104}}}}
destinations: {{archive: {{dicom: "ARCHIVE@127.0.0.1:104"}}, share: {{folder: ./share}}}}
routes: [{{name: r, when: {{Modality: CT}}, steps: [{{forward: archive}}]}}]
"""
CT = make.instance()
ORIGINAL = Reference(UID(make.CT_IMAGE), UID(str(CT.SOPInstanceUID)))
NEVER = Reference(UID(make.CT_IMAGE), UID("1.2.3"))


@dataclass
class Round:
    """A Committer and what it said; `fails` is raised instead of sending."""

    kit: Kit
    told: list[tuple[Report, PeerAddress | None]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    fails: Exception | None = None
    here: bool = True
    presence: Presence | None = None
    grace: timedelta = timedelta(seconds=30)

    def committer(self) -> Committer:
        return Committer(
            database=self.kit.database, presence=self.presence or self.kit.presence, config=lambda: self.kit.config,
            here=lambda of: self.here, tell=self._tell, ask=self._ask, grace=self.grace,
            damaged=lambda instances: damaged(self.kit.database, self.kit.spool, instances),
            reporting=Retry(first=timedelta(seconds=10), give_up=timedelta(days=7)),
        )  # fmt: skip

    def once(self, seconds: float = 5) -> float:
        """A round in which the first reports are due already, and all that it sends is over."""
        self.kit.write(sa.update(commitment).where(commitment.c.tries == 0).values(next_at=commitment.c.at - seconds))
        one = self.committer()
        wait = one.once()
        assert one.wait_until_sent(10)
        return wait

    def older(self, seconds: float) -> None:
        self.kit.write(sa.update(commitment).values(at=commitment.c.at - seconds))

    def _tell(self, one: Commitment, report: Report, address: PeerAddress | None) -> str:
        if self.fails is not None:
            raise self.fails
        self.told.append((report, address))
        return "there"

    def _ask(self, one: Asked, request: Request, destination: Destination | None) -> None:
        if self.fails is not None:
            raise self.fails
        self.asked.append(request)


@pytest.fixture
def loop(kit: Kit) -> Round:
    kit.rules(RULES.format(data=kit.data))
    return Round(kit)


def delivered(kit: Kit, destination: str = "archive", disclosure: Disclosure = Disclosure.IDENTIFIED) -> None:
    (one,) = kit.index(CT)
    (job,) = kit.close()
    key = kit.put(job, destination, kit.goods(ORIGINAL.sop_instance, one), disclosure=disclosure)
    delivery, parcels = kit.read(key)
    kit.outbox.delivered(delivery, parcels)
    kit.outbox.finish(delivery)


def state(kit: Kit) -> list[str]:
    return [row["state"] for row in kit.rows(commitment)]


# ---- deciding and reporting --------------------------------------------------------------------------------


def test_what_is_proven_is_reported_to_where_the_requester_listens(kit: Kit, loop: Round) -> None:
    delivered(kit)
    recorded(kit, [ORIGINAL])
    loop.once()
    ((report, address),) = loop.told
    assert report.committed == (ORIGINAL,)
    assert address == PeerAddress(ae_title="CT1", host="10.1.2.3", port=104, calling_ae="NODE")
    assert state(kit) == ["answered"]
    loop.once()
    assert len(loop.told) == 1


def test_a_copy_at_the_requester_itself_proves_nothing(kit: Kit, loop: Round) -> None:
    """It deletes what it has: an archive that asks, and to which a route sends the same instance back."""
    kit.rules(RULES.format(data=kit.data).replace("ARCHIVE@", "CT1@"))
    delivered(kit)
    recorded(kit, [ORIGINAL])
    loop.once()
    ((report, _),) = loop.told
    assert report.failed == ((ORIGINAL, 0x0110),)


def test_nothing_is_reported_while_one_item_waits(kit: Kit, loop: Round) -> None:
    delivered(kit)
    recorded(kit, [ORIGINAL, NEVER])
    assert loop.once() <= 1.0
    assert loop.told == []
    loop.older(31)
    loop.once()
    ((report, _),) = loop.told
    assert report.committed == (ORIGINAL,)
    assert report.failed == ((NEVER, 0x0112),)


def test_an_instance_that_the_request_has_overtaken_is_found(kit: Kit, loop: Round) -> None:
    recorded(kit, [ORIGINAL])
    loop.once()
    delivered(kit)
    loop.once()
    ((report, _),) = loop.told
    assert report.event == 1


def test_an_instance_that_stays_held_fails_after_its_time(kit: Kit, loop: Round) -> None:
    (one,) = kit.index(CT)
    (job,) = kit.close()
    key = kit.put(job, "archive", kit.goods(ORIGINAL.sop_instance, one))
    kit.outbox.hold(kit.read(key)[0], "gave up")
    recorded(kit, [ORIGINAL])
    loop.once()
    assert loop.told == []
    loop.older(3601)
    loop.once()
    ((report, _),) = loop.told
    assert report.failed == ((ORIGINAL, 0x0110),)


def test_an_instance_that_no_route_takes_fails(kit: Kit, loop: Round) -> None:
    mr = make.instance(make.MR_IMAGE)
    kit.index(mr)
    kit.close()
    unrouted = Reference(UID(make.MR_IMAGE), UID(str(mr.SOPInstanceUID)))
    recorded(kit, [unrouted])
    loop.once()
    ((report, _),) = loop.told
    assert report.failed == ((unrouted, 0x0110),)
    assert "no route" in kit.rows(commitment_item)[0]["because"]


def test_the_proof_is_the_one_in_force_when_it_was_asked_for(kit: Kit, loop: Round) -> None:
    kit.index(CT)
    recorded(kit, [ORIGINAL], proof=Proof.STORED)
    recorded(kit, [ORIGINAL], transaction="1.10", proof=Proof.DELIVERED)
    loop.once()
    assert [report.transaction for report, _ in loop.told] == ["1.9"]


def test_what_the_spool_has_lost_is_not_committed_from_it(
    kit: Kit, loop: Round, caplog: pytest.LogCaptureFixture
) -> None:
    kit.index(CT)
    (file,) = kit.spool.kept()
    file.unlink()
    recorded(kit, [ORIGINAL], proof=Proof.STORED)
    loop.once()
    ((report, _),) = loop.told
    assert report.failed == ((ORIGINAL, 0x0110),)
    assert "is not committed: its file is gone" in caplog.text


def test_a_request_that_was_decided_is_not_looked_at_again(kit: Kit, loop: Round) -> None:
    """And one that is not, not in every round."""
    recorded(kit, [NEVER])
    one = loop.committer()
    one.once()
    loop.older(31)
    one.once()
    assert loop.told == [], "a second later, not at once"
    one._looked.clear()
    one.once()
    assert one._looked != {}
    one.once()
    assert one._looked == {}


# ---- what does not get through -----------------------------------------------------------------------------


def test_a_report_that_fails_is_tried_again_with_growing_waits_and_given_up(
    kit: Kit, loop: Round, caplog: pytest.LogCaptureFixture
) -> None:
    delivered(kit)
    recorded(kit, [ORIGINAL])
    loop.fails = TryAgain("CT1 did not answer")
    loop.once()
    (row,) = kit.rows(commitment)
    assert (row["tries"], row["reason"], row["claimed"], row["state"]) == (1, "CT1 did not answer", "", "open")
    assert 8 <= row["next_at"] - row["failing_since"] <= 10
    loop.once()
    assert kit.rows(commitment)[0]["tries"] == 1, "not before its time"
    with caplog.at_level(logging.ERROR):
        kit.write(sa.update(commitment).values(next_at=0.0, failing_since=row["failing_since"] - 8 * 86400))
        loop.once()
    assert state(kit) == ["given_up"]
    assert "1.9" in caplog.text
    assert "ask again" in caplog.text


def test_a_peer_that_cannot_be_reached_is_said_once(kit: Kit, loop: Round, caplog: pytest.LogCaptureFixture) -> None:
    kit.rules(RULES.format(data=kit.data).replace(", port: 104}}", "}}"))
    delivered(kit)
    recorded(kit, [ORIGINAL])
    loop.fails = unreachable(CT1)
    for _ in range(3):
        loop.once()
        kit.write(sa.update(commitment).values(next_at=0.0))
    assert kit.rows(commitment)[0]["tries"] == 3
    assert len([r for r in caplog.records if "no entry of peers" in r.getMessage()]) == 1


def test_a_bug_in_sending_leaves_it_to_the_next_round(kit: Kit, loop: Round, caplog: pytest.LogCaptureFixture) -> None:
    delivered(kit)
    recorded(kit, [ORIGINAL])
    loop.fails = RuntimeError("a bug")
    loop.once()
    assert "could not be sent" in caplog.text
    loop.fails = None
    loop.once()
    assert state(kit) == ["answered"]


def test_a_report_without_a_thread_is_sent_when_there_is_one(
    kit: Kit, loop: Round, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    delivered(kit)
    recorded(kit, [ORIGINAL])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        loop.once()
    assert "could not be sent: can't start new thread" in caplog.text
    loop.once()
    assert state(kit) == ["answered"]


# ---- two processes -----------------------------------------------------------------------------------------


def test_of_two_processes_the_one_with_the_association_reports_first(kit: Kit, loop: Round) -> None:
    other = Presence(kit.data / "run", "other")
    try:
        delivered(kit)
        recorded(kit, [ORIGINAL])
        away = Round(kit, presence=other, here=False)
        away.once(seconds=1)
        assert away.told == []
        loop.once(seconds=1)
        assert len(loop.told) == 1
    finally:
        other.close()


def test_a_report_that_the_other_process_has_in_its_hands_is_left_to_it_till_it_dies(kit: Kit, loop: Round) -> None:
    other = Presence(kit.data / "run", "other")
    delivered(kit)
    recorded(kit, [ORIGINAL])
    loop.fails = TryAgain("never mind")
    loop.once()  # decides
    loop.fails = None
    kit.write(sa.update(commitment).values(claimed="other", next_at=0.0))
    loop.once()
    assert loop.told == []
    other.close()
    loop.once()
    assert len(loop.told) == 1


# ---- destinations that are asked themselves ----------------------------------------------------------------


def test_downstream_asks_the_destination_and_believes_its_answer(kit: Kit, loop: Round) -> None:
    delivered(kit)
    recorded(kit, [ORIGINAL], proof=Proof.DOWNSTREAM)
    loop.once()
    (request,) = loop.asked
    assert request.references == (ORIGINAL,)
    assert loop.told == []
    loop.once()
    assert len(loop.asked) == 1, "it may answer yet"
    with kit.database.durable.begin() as connection:
        asking.answer(connection, Report(transaction=request.transaction, committed=(ORIGINAL,)), "ARCHIVE", 0.0)
    loop.once()
    ((report, _),) = loop.told
    assert report.event == 1


def test_a_destination_that_is_away_is_asked_again(kit: Kit, loop: Round) -> None:
    delivered(kit)
    recorded(kit, [ORIGINAL], proof=Proof.DOWNSTREAM)
    loop.fails = TryAgain("nobody there")
    loop.once()
    (row,) = kit.rows(asked)
    assert (row["state"], row["tries"], row["reason"], row["claimed"]) == ("due", 1, "nobody there", "")
    loop.fails = None
    kit.write(sa.update(asked).values(next_at=0.0))
    loop.once()
    assert len(loop.asked) == 1


def test_a_destination_without_the_original_is_not_asked(kit: Kit, loop: Round) -> None:
    delivered(kit, disclosure=Disclosure.DEIDENTIFIED)
    recorded(kit, [ORIGINAL], proof=Proof.DOWNSTREAM)
    loop.once()
    assert loop.asked == []
    ((report, _),) = loop.told
    assert report.failed == ((ORIGINAL, 0x0110),)


def test_a_folder_cannot_be_asked(kit: Kit, loop: Round) -> None:
    kit.rules(RULES.format(data=kit.data).replace("{forward: archive}", "{forward: share}"))
    delivered(kit, "share")
    recorded(kit, [ORIGINAL], proof=Proof.DOWNSTREAM)
    loop.once()
    ((report, _),) = loop.told
    assert report.failed == ((ORIGINAL, 0x0110),)
