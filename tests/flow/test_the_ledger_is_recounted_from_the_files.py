"""A recount beside a node that works: what is in flight is no discrepancy, and damage is healed by sending again."""

from __future__ import annotations

from tests import make
from tests.cli.command import dicom_node
from tests.flow.nodes import Site
from tests.peers import Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""


def test_it_finds_nothing_while_a_node_receives_and_sends(site: Site) -> None:
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            for round_ in range(3):
                series = make.ct_series(6, rows=64, columns=64, series=f"s{round_}")
                send(node.port, [*series, *series[:2]])
                ran = dicom_node("ledger", "--verify", "--config", site.path)
                assert (ran.code, ran.out.count("discrepancies")) == (0, 1), ran.out
            assert site.settled(24) == {"delivered": 18, "duplicate": 6}
        assert dicom_node("ledger", "--verify", "--config", site.path).code == 0


def test_an_instance_that_is_sent_again_heals_its_file(site: Site) -> None:
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        ds = make.ct_series(1, rows=64, columns=64)
        with site.running() as node:
            send(node.port, ds)
            assert site.settled(1) == {"delivered": 1}
            (path,) = site.opened.spool.kept()
            whole = path.read_bytes()
            path.write_bytes(whole[:-1] + b"?")
            assert dicom_node("ledger", "--verify", "--config", site.path).code == 1
            send(node.port, ds)
            # Before the second is shown, the first is alone too.
            site.wait(lambda: path.read_bytes()[-1:] == whole[-1:], why="the file was not healed")
            site.wait(lambda: set(site.spooled()) == {path.stem}, why="the second file did not go")
        assert dicom_node("ledger", "--verify", "--config", site.path).code == 0
