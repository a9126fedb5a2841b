"""The same instances at the same moment, from several senders, to several processes: processed once, stored once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom.dataset import FileDataset

from tests import make
from tests.flow.nodes import Site
from tests.peers import Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
  share: {folder: ./out, accepts: identified, layout: all}
routes:
  - {name: all, when: always, steps: [{forward: archive}, {forward: share}]}
"""


def together(*sent: tuple[int, Sequence[FileDataset], str]) -> None:
    """(port, instances, calling AE title) of each sender, all at once; each is answered success."""
    with ThreadPoolExecutor(len(sent)) as senders:
        for statuses in senders.map(lambda one: send(one[0], one[1], calling_ae=one[2]), sent):
            assert set(statuses) == {0x0000}


def test_two_senders_at_once(site: Site) -> None:
    series = make.ct_series(8, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            together((node.port, series, "CT1"), (node.port, series[::-1], "CT2"), (node.port, series, "CT3"))
            assert site.settled(24) == {"delivered": 8, "duplicate": 16}
            site.wait(lambda: len(site.spooled()) == 8, why="it is stored once")
    assert sorted(archive.uids) == sorted(str(one.SOPInstanceUID) for one in series)
    assert len(list((site.folder / "out" / "all").iterdir())) == 8


@pytest.mark.full
def test_twice_in_one_association(site: Site) -> None:
    (one,) = make.ct_series(1, rows=64, columns=64)
    other = copy.deepcopy(one)
    other.KVP = 80
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            assert send(node.port, [one, one, other, one]) == [0x0000] * 4
            # The last one sent has the first one's content again: that is the newest.
            counts = site.settled(4)
    assert counts == {"delivered": 1, "superseded": 2, "duplicate": 1}
    assert archive.received[-1].dataset().KVP == 120
    sent = [(one.sop_instance, one.data) for one in archive.received]
    assert len(sent) == len(set(sent))


@pytest.mark.full
def test_two_processes_at_once(postgresql_site: Site) -> None:
    site, series = postgresql_site, make.ct_series(8, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.process() as one, site.process() as other:
            together((one.port, series, "CT1"), (other.port, series, "CT2"))
            assert site.settled(16) == {"delivered": 8, "duplicate": 8}
            site.wait(lambda: len(site.spooled()) == 8, why="it is stored once")
    assert len(archive.uids) == len(set(archive.uids)) == 8


def test_a_kill_before_the_file_of_a_duplicate_goes_leaves_it_to_the_next_start(site: Site) -> None:
    series = make.ct_series(3, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.process(kill=("duplicate forgot", 2)) as dying:
            send(dying.port, [*series, *series])
            dying.wait_for_death()
        assert len(site.spooled()) >= 3
        with site.running() as node:
            assert site.settled(6) == {"delivered": 3, "duplicate": 3}
            node.service.retention.once()  # its own time comes after five minutes
            site.wait(lambda: len(site.spooled()) == 3, why="it is stored once")
    assert {row[0] for row in site.rows("SELECT count(*) FROM node_receipt WHERE path IS NOT NULL")} == {3}
