"""A modality that asks for commitment is answered: when the original is safe, and with a reason when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from node.config import Retry
from node.index.overview import overview
from tests import make
from tests.committing import Committing, Modality, ask_on, references
from tests.flow.nodes import Site
from tests.peers import Recorder, free_port, send

ORIGINALS = """
peers: {ct1: {ae_title: CT1, host: 127.0.0.1, port: $modality}}
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$archive", retry: {first: 1s}}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""
TRANSACTION = make.uid("transaction")


def test_what_was_delivered_as_it_came_is_committed_on_a_new_association(site: Site) -> None:
    series = make.ct_series(3)
    with Recorder() as archive, Modality() as ct:
        site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with site.running() as node:
            assert send(node.port, series, calling_ae="CT1") == [0, 0, 0]
            assert ct.ask(node.port, TRANSACTION, references(series)) == 0x0000
            (report,) = ct.wait_for()
    assert report.event == 1
    assert report.transaction == TRANSACTION
    assert report.committed == tuple(str(ds.SOPInstanceUID) for ds in series)
    assert (report.place, report.calling_ae, report.called_ae) == ("new", "NODE", "CT1")
    assert len(archive.received) == 3, "the proof came first"


@pytest.mark.full
def test_it_is_reported_on_the_association_that_asked_while_that_is_open(site: Site) -> None:
    series = make.ct_series(2)
    with Recorder() as archive, Modality() as ct:
        site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            with ct.association(node.port) as association:
                assert ask_on(association, TRANSACTION, references(series)) == 0x0000
                (report,) = ct.wait_for()
                # A release while pynetdicom still answers the report in another thread would end in an abort.
                site.wait(lambda: site.rows("SELECT state FROM node_commitment") == [("answered",)])
    assert (report.event, report.place) == (1, "here")


def test_a_de_identified_copy_proves_nothing(site: Site) -> None:
    series = make.ct_series(2)
    with Recorder() as archive, Modality() as ct:
        site.rules(
            """
            peers: {ct1: {ae_title: CT1, host: 127.0.0.1, port: $modality}}
            destinations: {archive: {dicom: "ARCHIVE@127.0.0.1:$archive", accepts: deidentified}}
            routes: [{name: all, when: always, steps: [{anonymize: {options: [retain_uids]}}, {forward: archive}]}]
            """,
            archive=archive.port, modality=ct.port,
        )  # fmt: skip
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            ct.ask(node.port, TRANSACTION, references(series))
            (report,) = ct.wait_for()
            site.settled(2)
    assert archive.uids == [str(ds.SOPInstanceUID) for ds in series], "even under the same UIDs"
    assert (report.event, report.committed, report.reasons) == (2, (), {0x0110})


@pytest.mark.full
def test_what_is_in_the_spool_is_committed_where_that_is_enough(site: Site) -> None:
    series = make.ct_series(2)
    with Modality() as ct:
        rules = "peers: {ct1: {ae_title: CT1, host: 127.0.0.1, port: $modality}}"
        site.rules(rules, node="commitment: stored", modality=ct.port)
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            ct.ask(node.port, TRANSACTION, references(series))
            (report,) = ct.wait_for()
    assert report.event == 1


@pytest.mark.full
def test_one_instance_of_another_class_fails_and_the_others_are_committed(site: Site) -> None:
    series = make.ct_series(2)
    wanted = [(make.MR_IMAGE, references(series)[0][1]), references(series)[1]]
    with Modality() as ct:
        rules = "peers: {ct1: {ae_title: CT1, host: 127.0.0.1, port: $modality}}"
        site.rules(rules, node="commitment: stored", modality=ct.port)
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            ct.ask(node.port, TRANSACTION, wanted)
            (report,) = ct.wait_for()
            site.wait(lambda: "CT1" in str(site.story(wanted[0][1])["commitments"]))
    assert report.event == 2
    assert report.failed == ((wanted[0][1], 0x0119),)
    assert report.committed == (wanted[1][1],)


@pytest.mark.full
def test_a_kill_between_the_answer_and_the_report_loses_no_report(site: Site) -> None:
    series = make.ct_series(2)
    with Recorder() as archive, Modality() as ct:
        site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with site.process(kill=("commitment report begins", 1)) as node:
            send(node.port, series, calling_ae="CT1")
            assert ct.ask(node.port, TRANSACTION, references(series)) == 0x0000
            node.wait_for_death()
        assert ct.heard == []
        with site.process():
            (report,) = ct.wait_for()
            wait_until_answered(site)
    assert (report.event, len(report.committed)) == (1, 2)
    assert len(ct.heard) == 1


@pytest.mark.full
def test_a_kill_right_behind_the_report_sends_it_once_more_at_most(site: Site) -> None:
    series = make.ct_series(1)
    with Recorder() as archive, Modality() as ct:
        site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with site.process(kill=("commitment report sent", 1)) as node:
            send(node.port, series, calling_ae="CT1")
            ct.ask(node.port, TRANSACTION, references(series))
            node.wait_for_death()
        assert len(ct.wait_for()) == 1
        with site.process():
            reports = ct.wait_for(2)
            wait_until_answered(site)
    assert {(r.transaction, r.event) for r in reports} == {(TRANSACTION, 1)}
    assert len(ct.heard) == 2


@pytest.mark.full
def test_a_kill_before_the_answer_leaves_a_request_that_is_reported_all_the_same(site: Site) -> None:
    series = make.ct_series(1)
    with Recorder() as archive, Modality() as ct:
        site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with site.process(kill=("commitment recorded", 1)) as node:
            send(node.port, series, calling_ae="CT1")
            with ct.association(node.port) as association:
                assert ask_on(association, TRANSACTION, references(series)) is None
            node.wait_for_death()
        with site.process():
            (report,) = ct.wait_for()
    assert report.event == 1


@pytest.mark.full
def test_a_modality_that_is_away_is_told_when_it_is_back(site: Site) -> None:
    series = make.ct_series(1)
    port = free_port()
    with Recorder() as archive, fast_reports():
        site.rules(ORIGINALS, archive=archive.port, modality=port)
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            away = Modality()
            assert away.ask(node.port, TRANSACTION, references(series)) == 0x0000
            site.wait(lambda: any(c["tries"] for c in overview_of(site)))
            with Modality(port=port, answer=[0x0110]) as ct:
                (report,) = ct.wait_for()
    assert report.event == 1


@pytest.mark.full
def test_two_nodes_on_one_database_send_one_report(postgresql_site: Site) -> None:
    series = make.ct_series(1)
    with Recorder() as archive, Modality() as ct:
        postgresql_site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with postgresql_site.running() as one, postgresql_site.process():
            send(one.port, series, calling_ae="CT1")
            for number in range(5):
                assert ct.ask(one.port, make.uid("transaction", number), references(series)) == 0x0000
            reports = ct.wait_for(5)
            wait_until_answered(postgresql_site, 5)
    assert len({r.transaction for r in reports}) == len(ct.heard) == 5


@pytest.mark.full
def test_a_node_answers_for_what_another_one_received_that_was_killed(postgresql_site: Site) -> None:
    series = make.ct_series(3)
    with Recorder() as archive, Modality() as ct:
        postgresql_site.rules(ORIGINALS, archive=archive.port, modality=ct.port)
        with postgresql_site.process() as dying, postgresql_site.process() as living:
            send(dying.port, series, calling_ae="CT1")
            dying.kill()
            assert ct.ask(living.port, TRANSACTION, references(series)) == 0x0000
            (report,) = ct.wait_for()
            wait_until_answered(postgresql_site)
    assert (report.event, len(report.committed)) == (1, 3)
    assert len(ct.heard) == 1


def test_a_peer_without_a_port_is_named_once_in_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    series = make.ct_series(1)
    with Recorder() as archive, fast_reports():
        site.rules(ORIGINALS.replace(", port: $modality", ""), archive=archive.port)
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            Modality().ask(node.port, TRANSACTION, references(series))
            site.wait(lambda: any(c["tries"] >= 3 for c in overview_of(site)))
    lines = [r.getMessage() for r in caplog.records if "no entry of peers" in r.getMessage()]
    assert len(lines) == 1
    assert TRANSACTION in lines[0]
    assert "CT1 at 127.0.0.1" in lines[0]


# ---- downstream --------------------------------------------------------------------------------------------

DOWNSTREAM = ORIGINALS.replace("peers: {", "peers: {archive: {ae_title: ARCHIVE, host: 127.0.0.1}, ")


@pytest.mark.parametrize("where", ["new", pytest.param("here", marks=pytest.mark.full)])
def test_downstream_waits_for_the_word_of_the_archive(site: Site, where: str) -> None:
    series = make.ct_series(2)
    uids = [str(ds.SOPInstanceUID) for ds in series]
    committing = Committing(where=where)
    with committing.archive() as archive, Modality() as ct:
        site.rules(DOWNSTREAM, node="commitment: downstream", archive=archive.port, modality=ct.port)
        with site.running() as node:
            committing.node_port = node.port
            send(node.port, series, calling_ae="CT1")
            ct.ask(node.port, TRANSACTION, references(series))
            (report,) = ct.wait_for()
    (asked,) = committing.asked
    assert sorted(str(i.ReferencedSOPInstanceUID) for i in asked.ReferencedSOPSequence) == sorted(uids)
    assert str(asked.TransactionUID) != TRANSACTION
    assert committing.statuses == [0x0000]
    assert (report.event, report.committed) == (1, tuple(uids))


@pytest.mark.full
def test_what_the_archive_never_commits_is_failed_in_the_end(site: Site) -> None:
    series = make.ct_series(2)
    good = str(series[0].SOPInstanceUID)
    committing = Committing(where="here", decide=lambda uid: None if uid == good else 0x0112)
    with committing.archive() as archive, Modality() as ct:
        site.rules(
            DOWNSTREAM, node="commitment: {proof: downstream, within: 12s}", archive=archive.port, modality=ct.port
        )
        with site.running() as node:
            send(node.port, series, calling_ae="CT1")
            ct.ask(node.port, TRANSACTION, references(series))
            (report,) = ct.wait_for()
    assert report.committed == (good,)
    assert report.reasons == {0x0213}


# ---- looking -----------------------------------------------------------------------------------------------


def overview_of(site: Site) -> list[dict[str, Any]]:
    with site.opened.database.reader.connect() as connection:
        return list(overview(connection, site.opened.config.routed)["commitments"])


def wait_until_answered(site: Site, count: int = 1) -> None:
    site.wait(lambda: site.rows("SELECT count(*) FROM node_commitment WHERE state = 'answered'") == [(count,)])


@contextmanager
def fast_reports() -> Iterator[None]:
    """Reports are tried again at once, for what comes after a failure."""
    retry = Retry(first=timedelta(milliseconds=100), factor=1, at_most=timedelta(milliseconds=100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.service.REPORTING", retry)
        yield
