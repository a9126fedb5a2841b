"""SIGTERM while PostgreSQL takes no connection: the process ends, and what it received meanwhile is there."""

from __future__ import annotations

from hashlib import sha256

from tests import make
from tests.flow.faults import let_back, send_away
from tests.flow.nodes import Site
from tests.flow.serving import serving
from tests.peers import Instance, Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
routes:
  - {name: all, when: always, steps: [{forward: archive}]}
"""


def test_a_node_stops_while_its_database_is_away(postgresql_site: Site) -> None:
    site, series = postgresql_site, [Instance.of(one) for one in make.ct_series(3)]
    with Recorder() as archive:
        rules = site.rules(RULES, port=archive.port)
        with serving(rules) as node:
            send_away(site.database)
            assert send(node.port, series) == [0x0000] * 3
            assert node.terminate() == 0
        let_back(site.database)
        with site.running():
            assert site.settled(3) == {"delivered": 3}
    assert {sha256(one.data).hexdigest() for one in archive.received} == {
        sha256(one.data).hexdigest() for one in series
    }
