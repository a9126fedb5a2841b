"""A node that receives with several processes, as it ships: kill one or all, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.processes import family
from tests import make
from tests.flow.nodes import Site, send_until_cut, wait_until
from tests.flow.serving import Serving, serving
from tests.peers import Instance

RULES = """
complete: {series: {quiet: 1h}, study: {quiet: 1h}}
routes:
  - {name: none, when: {Modality: NONE}, steps: [drop]}
"""
SENDERS = 4


def receivers(node: Serving) -> list[int]:
    """Process ids of the receiver processes of a node."""
    return [one for one in family(node.process.pid) if "node.receive.process" in command(one)]


def command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def series(number: int, count: int) -> list[Instance]:
    made = make.ct_series(count, rows=64, columns=64, study=f"study {number}", series=f"series {number}")
    return [Instance.of(one) for one in made]


@contextmanager
def under_fire(node: Serving, count: int) -> Iterator[list[str]]:
    """Senders that send all the time, again where they are cut off, until the block ends; what was acknowledged, one
    UID for each answer."""
    acknowledged: list[str] = []
    over = threading.Event()

    def fire(number: int) -> None:
        sent = series(number, count)
        while not over.is_set():
            acknowledged.extend(one.sop_instance for one in send_until_cut(node.port, sent))

    threads = [threading.Thread(target=fire, args=(number,), daemon=True) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(receivers(node)) == 2, why=lambda: "two receiver processes are there")
        wait_until(lambda: len(acknowledged) >= SENDERS * count, why=lambda: "senders are served")
        yield acknowledged
    finally:
        over.set()
        for thread in threads:
            thread.join()


def kept(site: Site) -> dict[str, int]:
    return dict(site.rows("SELECT sop_instance, count(*) FROM node_receipt GROUP BY sop_instance"))


def assert_nothing_is_lost(site: Site, acknowledged: list[str], count: int = 10) -> None:
    """As many receipts as answers, for each instance; one more for each whose answer was on its way to a sender that
    was cut off, or that was answered by a process that died. And its bytes, once at least, as they were sent."""
    rows = kept(site)
    for uid in set(acknowledged):
        assert rows.get(uid, 0) >= acknowledged.count(uid), uid
    sent = {one.sop_instance: one.data for number in range(SENDERS) for one in series(number, count)}
    spooled = set(site.spooled().values())
    assert {sent[uid] for uid in acknowledged} <= spooled <= set(sent.values())


@pytest.fixture
def busy_site(sqlite_site: Site) -> Site:
    sqlite_site.rules(RULES, node="receivers: 2\nlimits: {keep_free: 1MiB}")
    return sqlite_site


@pytest.mark.full
def test_a_receiver_process_that_is_killed_is_replaced_and_what_it_acknowledged_is_indexed(busy_site: Site) -> None:
    site = busy_site
    with serving(site.path) as node:
        with under_fire(node, 10) as acknowledged:
            before = len(acknowledged)
            os.kill(receivers(node)[0], signal.SIGKILL)
            wait_until(lambda: len(acknowledged) > before + 40, why=lambda: "senders are served again")
        site.wait(lambda: site.ledger().balanced, why="what it left is not indexed")
        assert_nothing_is_lost(site, acknowledged)
        assert node.terminate() == 0
    assert site.ledger().balanced


def test_the_node_that_is_killed_takes_them_with_it_and_its_next_start_finds_everything(busy_site: Site) -> None:
    site = busy_site
    with serving(site.path) as node:
        with under_fire(node, 10) as acknowledged:
            before = len(acknowledged)
            wait_until(lambda: len(acknowledged) > before + 40, why=lambda: "senders are served")
            processes = receivers(node)
            node.process.kill()
        wait_until(lambda: not any(command(one) for one in processes), why=lambda: "they end by themselves")
    with serving(site.path) as node:
        assert_nothing_is_lost(site, acknowledged)
        assert node.terminate() == 0
    assert site.ledger().balanced
    assert list((site.data / "run").glob("*.mark")) == []


def test_a_stop_under_load_ends_in_order(busy_site: Site) -> None:
    site = busy_site
    with serving(site.path) as node:
        with under_fire(node, 10) as acknowledged:
            assert node.terminate() == 0
        assert_nothing_is_lost(site, acknowledged)
    assert list((site.data / "run").glob("*.mark")) == []
    assert site.ledger().unindexed == 0
