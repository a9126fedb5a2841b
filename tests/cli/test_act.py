from __future__ import annotations

import json

from node.service import build
from tests.cli.command import dicom_node
from tests.cli.conftest import Left
from tests.peers import Recorder


def counts(left: Left) -> dict[str, int]:
    facts = dicom_node("ledger", "--config", left.rules, "--json").json
    return {key: n for key, n in facts.items() if n and key not in ("acknowledged", "balanced")}


def test_retry_sends_what_waits_at_the_next_moment(left: Left) -> None:
    assert dicom_node("retry", "archive", "--config", left.rules).code == 0
    with Recorder(port=left.port) as archive:
        service = build(left.rules)
        service.start()
        try:
            assert len(archive.wait_for(1, deadline=30)) == 1
        finally:
            service.stop()


def test_drop_gives_up_what_is_held_and_what_waits(left: Left) -> None:
    ran = dicom_node("drop", left.capture, "--config", left.rules, "--json")
    assert ran.code == 0
    assert ran.json["done"]
    assert dicom_node("drop", "archive", "--config", left.rules).code == 0
    assert counts(left) == {"delivered": 3, "dropped": 2, "unrouted": 1}
    assert dicom_node("status", "--config", left.rules).code == 0


def test_retry_of_what_is_held_puts_it_in_again(left: Left) -> None:
    ran = dicom_node("retry", "captures", "--config", left.rules)
    assert ran.code == 0, ran.err
    assert "runs again" in ran.out
    assert counts(left)["in_job"] == 1


def test_release_needs_something_that_is_held(left: Left) -> None:
    ran = dicom_node("release", left.ct, "--config", left.rules)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"nothing of {left.ct} is held or waits\n"
    assert json.loads(dicom_node("release", left.ct, "--config", left.rules, "--json").out) == {"done": []}
