"""The source of a study is asked what it has: that closes the study early, and brings what got lost on its way."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests import make
from tests.archive import Archive
from tests.flow.nodes import Site
from tests.flow.test_real_peers import Orthanc, installed
from tests.peers import Recorder, free_port, send

RULES = """
complete: {series: {quiet: $quiet}, study: {quiet: $quiet}, at_most: 1h, floor: 200ms}
peers:
  ct1: {ae_title: CT1, host: 127.0.0.1, port: $port, evidence: find, $more query: {ae_title: $title}}
destinations:
  archive: {dicom: "DEST@127.0.0.1:$to", accepts: deidentified}
routes:
  - {name: all, unit: study, when: always, steps: [anonymize, {forward: archive}]}
"""
STUDY = make.uid("study")
SENT = make.ct_series(4, rows=16, columns=16)
EVIDENCE = "find: 4 instances, as many as CT1 counted twice (C-FIND)"


def evidence(site: Site) -> list[str]:
    study = next(u for u in site.story(STUDY)["units"] if u["kind"] == "study")
    return [c["evidence"] for c in study["completions"]]


def test_a_whole_study_is_on_its_way_long_before_its_quiet_time(site: Site) -> None:
    site = site
    with Recorder(ae_title="DEST") as to, Archive(SENT) as source:
        site.rules(RULES, port=source.port, to=to.port, quiet="10m", more="", title="ARCHIVE")
        with site.running() as node:
            began = time.monotonic()
            send(node.port, SENT, calling_ae="CT1")
            assert site.settled(4) == {"delivered": 4}
            assert time.monotonic() - began < 25
    assert evidence(site) == [EVIDENCE]
    assert source.most_at_once == 1


@pytest.mark.parametrize("how", [pytest.param("move", marks=pytest.mark.full), "get"])
@pytest.mark.full
def test_what_got_lost_is_pulled(sqlite_site: Site, how: str) -> None:
    site = sqlite_site
    with Recorder(ae_title="DEST") as to, Archive(SENT) as source:
        site.rules(RULES, port=source.port, to=to.port, quiet="4s", more=f"pull: {how},", title="ARCHIVE")
        with site.running() as node:
            source.to = node.port
            send(node.port, SENT[:3], calling_ae="CT1")
            assert site.settled(4) == {"delivered": 4}
    assert evidence(site) == ["find: 4 instances, as many as CT1 counted twice (C-FIND)"]
    story = site.story(STUDY)
    (pull,) = next(u for u in story["units"] if u["kind"] == "study")["pulls"]
    assert (pull["how"], pull["missing"], pull["came"]) == (f"C-{how.upper()}", 1, 1)
    pulled = next(i for i in story["instances"] if i["sop_instance"] == SENT[3].SOPInstanceUID)
    assert (pulled["calling_ae"], pulled["called_ae"], pulled["sender"]) == ("ARCHIVE", "NODE", "127.0.0.1")


@pytest.mark.full
def test_a_study_over_associations_senders_and_processes_is_one_unit(postgresql_site: Site) -> None:
    """Two processes on one database: the source is asked by either, each question once, and one job is made."""
    site, other = postgresql_site, make.report()
    with Recorder(ae_title="DEST") as to, Archive([*SENT, other]) as source:
        site.rules(
            RULES.replace("anonymize, ", "").replace("accepts: deidentified", "accepts: identified").replace(
                "destinations:", "  ws: {ae_title: WS, host: 127.0.0.1, port: $port, evidence: find}\ndestinations:"
            ),
            port=source.port, to=to.port, quiet="10m", more="", title="ARCHIVE",
        )  # fmt: skip
        with site.process() as one, site.process() as two:
            for number, instance in enumerate(SENT):
                send((one, two)[number % 2].port, [instance], calling_ae="CT1")
            send(two.port, [other], calling_ae="WS")
            assert site.settled(5) == {"delivered": 5}
    study = next(u for u in site.story(STUDY)["units"] if u["kind"] == "study")
    assert [c["count"] for c in study["completions"]] == [5]
    assert study["completions"][0]["evidence"] == "find: 5 instances, as many as CT1, WS counted twice (C-FIND)"
    assert len(study["jobs"]) == 1
    assert len(to.uids) == len(set(to.uids)) == 5
    readings = [(r["peer"], r["at"]) for r in study["readings"]]
    assert len(readings) == len(set(readings))
    assert sum(level == "STUDY" for level, _ in source.asked) == len(readings)


@pytest.mark.full
def test_what_a_process_was_asking_when_it_was_killed_the_other_asks_within_seconds(postgresql_site: Site) -> None:
    site = postgresql_site
    with Recorder(ae_title="DEST") as to, Archive(SENT, hang=True) as source:
        site.rules(RULES, port=source.port, to=to.port, quiet="10m", more="", title="ARCHIVE")
        with site.process() as dying:
            send(dying.port, SENT, calling_ae="CT1")
            source.wait_until_asked()
            with site.process() as living:
                source.hang = False
                began = time.monotonic()
                dying.kill()
                assert site.settled(4) == {"delivered": 4}
                assert time.monotonic() - began < 25, "and not after a lease of ten minutes"
                assert living.lives
    assert evidence(site) == [EVIDENCE]


@pytest.mark.parametrize("how", [pytest.param("move", marks=pytest.mark.full), "get"])
def test_orthanc_counts_and_heals(sqlite_site: Site, tmp_path: Path, how: str) -> None:
    installed("Orthanc")
    site, port = sqlite_site, free_port()
    with Recorder(ae_title="DEST") as to, Orthanc(tmp_path, port) as orthanc:
        for path in make.write_all(SENT, tmp_path / "ct"):
            orthanc.ask("/instances", path.read_bytes())
        site.rules(
            RULES, node=json.dumps({"listen": f"127.0.0.1:{port}"}), port=orthanc.dicom, to=to.port, quiet="4s",
            more=f"pull: {how},", title="ORTHANC",
        )  # fmt: skip
        with site.running() as node:
            send(node.port, SENT[1:], calling_ae="CT1")
            assert site.settled(4) == {"delivered": 4}
    assert evidence(site) == [EVIDENCE]
    (pull,) = next(u for u in site.story(STUDY)["units"] if u["kind"] == "study")["pulls"]
    assert (pull["how"], pull["missing"], pull["came"]) == (f"C-{how.upper()}", 1, 1)
