"""The wall clock of the node's machine jumps while something waits: it may come earlier or later, and it comes.

PostgreSQL's clock is its server's and stays; SQLite's is the machine's and jumps with it.
"""

from __future__ import annotations

import pytest

from tests import make
from tests.flow.clocks import wall_clock
from tests.flow.nodes import Site, wait_until
from tests.peers import Instance, Recorder, free_port, send

RULES = """
complete: {series: {quiet: $quiet}, at_most: 4h}
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified, retry: {first: 2s, factor: 1}}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""
SERIES = [Instance.of(one) for one in make.ct_series(3)]
JUMPS = pytest.mark.parametrize("hours", [1, -1])


@JUMPS
def test_a_unit_that_is_open_closes_and_is_whole(site: Site, hours: int) -> None:
    """By SQLite's clock an hour of quiet is over at once; what comes later opens the next generation."""
    site = site
    with Recorder() as archive, wall_clock() as clock:
        site.rules(RULES, port=archive.port, quiet="2s")
        with site.running(clock=clock.now) as node:
            assert send(node.port, SERIES[:2]) == [0x0000] * 2
            site.wait(lambda: len(site.rows("SELECT id FROM node_receipt")) == 2)
            clock.jump(hours)
            early = hours > 0 and site.database == "sqlite"
            site.wait(lambda: not early or site.rows("SELECT at FROM node_completion"))
            assert send(node.port, SERIES[2:]) == [0x0000]
            assert site.settled(3) == {"delivered": 3}
        generations = site.rows("SELECT MAX(generation) FROM node_completion")
    assert sorted(one.data for one in archive.received) == sorted(one.data for one in SERIES)
    assert generations == [(2 if early else 1,)]


@pytest.mark.full
def test_a_unit_that_nothing_is_added_to_after_a_jump_back_closes_all_the_same(site: Site) -> None:
    site = site
    with Recorder() as archive, wall_clock() as clock:
        site.rules(RULES, port=archive.port, quiet="2s")
        with site.running(clock=clock.now) as node:
            assert send(node.port, SERIES) == [0x0000] * 3
            site.wait(lambda: len(site.rows("SELECT id FROM node_receipt")) == 3)
            clock.jump(-1)
            assert site.settled(3) == {"delivered": 3}
    assert sorted(one.data for one in archive.received) == sorted(one.data for one in SERIES)


@JUMPS
def test_a_delivery_that_waits_is_sent_once(site: Site, hours: int) -> None:
    site, port = site, free_port()
    with wall_clock() as clock:
        site.rules(RULES, port=port, quiet="500ms")
        with site.running(clock=clock.now) as node:
            assert send(node.port, SERIES) == [0x0000] * 3
            wait_until(lambda: site.rows("SELECT id FROM node_delivery WHERE failures > 0"))
            clock.jump(hours)
            with Recorder(port=port) as archive:
                assert site.settled(3) == {"delivered": 3}
    assert sorted(one.data for one in archive.received) == sorted(one.data for one in SERIES)
