"""rules.yaml changes under a running node: good rules come into force, broken ones do not."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from pydicom.dataset import FileDataset

from tests import make
from tests.flow.nodes import PATIENCE, Site, wait_until
from tests.peers import Recorder, send

ONE = """
destinations:
  first: {dicom: "FIRST@127.0.0.1:$one", accepts: deidentified}
routes:
  - {name: all, when: always, steps: [anonymize, {forward: first}]}
"""
BOTH = """
destinations:
  first: {dicom: "FIRST@127.0.0.1:$one", accepts: deidentified}
  second: {dicom: "SECOND@127.0.0.1:$two", accepts: deidentified, concurrent: 3}
routes:
  - {name: all, when: always, steps: [anonymize, {forward: second}]}
"""


def test_good_rules_are_taken_up_and_broken_ones_are_not(sqlite_site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site = sqlite_site
    with Recorder() as first, Recorder() as second:
        site.rules(ONE, one=first.port)
        with site.running() as node:
            rules = node.service.rules
            send(node.port, [study(1)])
            first.wait_for(1)

            site.path.write_text(site.path.read_text().replace("anonymize", "anonymise"))
            wait_until(lambda: rules.broken)
            assert 'Did you mean "anonymize"?' in rules.broken
            assert "the old rules stay" in caplog.text
            send(node.port, [study(2)])
            first.wait_for(2)

            # The destination is new, and so is its limit, for which the engine needs a queue of its own.
            site.rules(BOTH, one=first.port, two=second.port)
            wait_until(lambda: rules.reloads == 1)
            assert rules.broken == ""
            send(node.port, [study(3)])
            second.wait_for(1)
            assert site.settled(3) == {"delivered": 3}
    assert (len(first.uids), len(second.uids)) == (2, 1)


def test_a_running_job_keeps_its_plan(sqlite_site: Site) -> None:
    site, begun, go_on = sqlite_site, threading.Event(), threading.Event()

    def wait_in_the_first_step(point: str) -> None:
        if point == "step 0 begins" and not begun.is_set():
            begun.set()
            assert go_on.wait(PATIENCE)

    with Recorder() as first, Recorder() as second:
        site.rules(BOTH, one=first.port, two=second.port)
        with site.running(reach=wait_in_the_first_step) as node:
            send(node.port, [study(1)])
            assert begun.wait(PATIENCE)
            site.rules(BOTH.replace("forward: second", "forward: first"), one=first.port, two=second.port)
            wait_until(lambda: node.service.rules.reloads == 1)
            go_on.set()
            second.wait_for(1)
            send(node.port, [study(2)])
            first.wait_for(1)
            assert site.settled(2) == {"delivered": 2}
    assert (len(first.uids), len(second.uids)) == (1, 1)


def test_a_node_does_not_start_with_broken_rules(sqlite_site: Site) -> None:
    path = sqlite_site.rules(ONE.replace("anonymize", "anonymise"), one=104)
    done = subprocess.run(
        [sys.executable, "-m", "node", "serve", "--config", str(path)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert 'routes[0].steps[0]: unknown step "anonymise". Did you mean "anonymize"?' in done.stderr
    assert "Traceback" not in done.stderr


def study(number: int) -> FileDataset:
    return make.ct_series(1, rows=64, columns=64, study=f"study {number}")[0]
