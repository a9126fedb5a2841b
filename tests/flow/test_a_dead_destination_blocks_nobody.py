"""Destinations that are down, unknown, hang or refuse: what is for others goes on, what is for them waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli.act import act
from tests import make
from tests.flow.nodes import PATIENCE, Site, wait_until
from tests.peers import Recorder, free_port, send, silent_listener

RULES = """
destinations:
  down: {dicom: "DOWN@127.0.0.1:$down", accepts: deidentified, retry: {first: 1s, factor: 1}}
  unknown: {dicom: "UNKNOWN@no-such-host.invalid:104", accepts: deidentified, retry: {first: 1s, factor: 1}}
  hanging: {dicom: "HANGS@127.0.0.1:$hangs", accepts: deidentified, timeout: 1s, retry: {first: 1s, factor: 1}}
  refusing: {dicom: "FULL@127.0.0.1:$full", accepts: deidentified, retry: {first: 1s, factor: 1}}
  archive: {dicom: "ARCHIVE@127.0.0.1:$archive", accepts: deidentified}
routes:
  - name: to-everybody
    when: always
    steps:
      - anonymize
      - forward: down
      - forward: unknown
      - forward: hanging
      - forward: refusing
      - forward: archive
"""


@pytest.mark.full
def test_a_dead_destination_blocks_nobody(site: Site) -> None:
    series, port = make.ct_series(3, rows=64, columns=64), free_port()
    with silent_listener() as hangs, Recorder(refuse=0xA700) as full, Recorder() as archive:
        site.rules(RULES, down=port, hangs=hangs, full=full.port, archive=archive.port)
        with site.running() as node:
            send(node.port, series)
            archive.wait_for(3, PATIENCE)
            # Each dead one has its own reason, and the instances are still on their way.
            wait_until(lambda: set(reasons(site)) == {"down", "unknown", "hanging", "refusing"})
            assert site.counts() == {"waiting": 3}
            assert "0xA700" in reasons(site)["refusing"]

            # What comes up again gets everything, and nobody has to say so.
            full.refuse = None
            with Recorder(port=port) as up:
                up.wait_for(3, PATIENCE)
                full.wait_for(3, PATIENCE)
                wait_until(lambda: set(reasons(site)) == {"unknown", "hanging"})
                # Its answers are in the books before it goes away again: three destinations have all three.
                wait_until(lambda: site.ledger().obligations.get("delivered") == 9)
            assert sorted(up.uids) == sorted(full.uids) == sorted(archive.uids)

            # The others are given up by a person; the ledger says so, and what was delivered stays delivered.
            for name in ("unknown", "hanging"):
                assert act("drop", name, site.path, as_json=False) == 0
            assert site.settled(3) == {"delivered": 3}


def reasons(site: Site) -> dict[str, str]:
    """Destination -> why the last try failed, of what waits and has failed."""
    return dict(site.rows("SELECT destination, reason FROM node_delivery WHERE state = 'waiting' AND failures > 0"))


ONE = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$archive", accepts: identified, retry: {first: 1s, factor: 1, give_up: 2s}}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""


def test_a_delivery_that_is_cut_in_the_middle_goes_on_behind_what_was_answered(site: Site) -> None:
    series = make.ct_series(6, rows=64, columns=64)
    with Recorder(abort_after=3) as archive:
        site.rules(ONE, archive=archive.port)
        with site.running() as node:
            send(node.port, series)
            wait_until(lambda: "archive" in reasons(site))
            assert len(archive.uids) == 3
            archive.abort_after = None
            assert site.settled(6) == {"delivered": 6}
    assert sorted(archive.uids) == sorted(one.SOPInstanceUID for one in series)


@pytest.mark.full
def test_what_is_given_up_is_held_and_a_person_sends_it_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    series, port = make.ct_series(2, rows=64, columns=64), free_port()
    site.rules(ONE, archive=port)
    with site.running() as node:
        send(node.port, series)
        assert site.settled(2) == {"held": 2}
        assert "gave up after" in site.held()[0]["reason"]
        with Recorder(port=port) as archive:
            assert act("retry", make.uid("study", "series"), site.path, as_json=False) == 0
            archive.wait_for(2, PATIENCE)
            assert site.settled(2) == {"delivered": 2}
    assert "is sent again" in capsys.readouterr().out


def test_an_instance_that_is_refused_for_good_is_held_alone(sqlite_site: Site, tmp_path: Path) -> None:
    series = make.ct_series(3, rows=64, columns=64)
    bad = series[1].SOPInstanceUID
    with Recorder(refuse=0xC000, refuse_when=lambda one: one.sop_instance == bad) as archive:
        sqlite_site.rules(ONE, archive=archive.port)
        with sqlite_site.running() as node:
            send(node.port, series)
            assert sqlite_site.settled(3) == {"delivered": 2, "held": 1}
            assert sqlite_site.story(bad)["instances"][0]["state"] == "held"
            assert "0xC000" in sqlite_site.held()[0]["reason"]
