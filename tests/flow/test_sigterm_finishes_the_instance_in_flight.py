"""SIGTERM in the middle of an instance: it is taken to its end and answered, then the process ends with 0."""

from __future__ import annotations

import re
from contextlib import suppress

from tests import make
from tests.flow.nodes import Site, wait_until
from tests.flow.serving import serving
from tests.peers import Gone, Instance, Recorder, Rejected, Sender, send

RULES = """
complete: {series: {quiet: $quiet}, study: {quiet: $quiet}}
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
routes:
  - {name: all, when: always, steps: [anonymize, {forward: archive}]}
"""


def test_sigterm_finishes_the_instance_in_flight(sqlite_site: Site) -> None:
    site, series = sqlite_site, [Instance.of(one) for one in make.ct_series(3, rows=64, columns=64)]
    kept = series[:2]
    with Recorder() as archive:
        # The first process does not live to see the series complete.
        site.rules(RULES, port=archive.port, quiet="1h")
        with (
            serving(site.path) as node,
            Sender(node.port, [(series[0].sop_class, [series[0].transfer_syntax])]) as sender,
        ):
            assert sender.store(series[0]) == 0x0000
            half = len(series[1].data) // 2
            sender.begin(series[1], only=half)
            wait_until(lambda: is_receiving(site))
            node.process.terminate()
            wait_until(lambda: refuses(node.port))
            sender.raw(sender.p_data(1, 0x02, series[1].data[half:]))
            assert sender.status() == 0x0000
            # One more is not answered any more; if it was quick enough to be, it is kept too.
            with suppress(Gone, OSError):
                kept = series if sender.store(series[2]) == 0x0000 else kept
            assert node.process.wait(20) == 0
        log = site.path.with_suffix(".log").read_text()
        # Who asked whether new ones are refused may be one of the open ones.
        assert re.search("stopping: [12] associations are open, 1 of them with an instance on its way", log)
        assert f"stopped: {len(kept)} instances received since the start; left for the next start: 1 open units" in log
        assert sorted(site.spooled().values()) == sorted(one.data for one in kept)
        assert list((site.data / "spool" / "incoming").rglob("*.part")) == []

        site.rules(RULES, port=archive.port, quiet="1s")
        with serving(site.path) as node:
            rest = [one for one in series if one not in kept]
            assert not rest or send(node.port, rest) == [0x0000]
            assert site.settled(3) == {"delivered": 3}
            assert node.terminate() == 0
    assert len(archive.uids) == len(set(archive.uids)) == 3


def is_receiving(site: Site) -> bool:
    """Whether a live process publishes that it is in the middle of an instance."""
    return any(make.uid("study", "series").encode() in mark.read_bytes() for mark in (site.data / "run").glob("*.mark"))


def refuses(port: int) -> bool:
    """Whether no association is taken any more."""
    try:
        with Sender(port):
            return False
    except (OSError, Gone, Rejected):
        return True
