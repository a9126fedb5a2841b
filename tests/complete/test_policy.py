"""How long to wait for a unit: as long as the slowest of its senders asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from node.complete.policy import goes_by, policy_for, shortest
from node.config import Config, load_text
from node.model import UID, Origin, Unit, UnitKind
from node.steps import STEPS

RULES = """
node: {ae_title: NODE, data: ./data}
complete: {series: {quiet: 60s}, study: {quiet: 10m}, at_most: 4h}
peers:
  slow: {ae_title: SLOW, host: 10.0.0.1, complete: {quiet: 5m, at_most: 8h}}
  quick: {ae_title: QUICK, host: 10.0.0.2, complete: {quiet: 5s, at_most: 1h}}
  plain: {ae_title: PLAIN, host: 10.0.0.3}
"""
ADDRESS = {"SLOW": "10.0.0.1", "QUICK": "10.0.0.2", "PLAIN": "10.0.0.3", "STRANGER": "10.9.9.9"}


def config(folder: Path, more: str = "") -> Config:
    return load_text(RULES + more, STEPS, folder=folder)


def waits(config: Config, *senders: str, kind: UnitKind = UnitKind.SERIES) -> tuple[int, int]:
    """(quiet, at most) in seconds."""
    noon = datetime(2026, 1, 1, tzinfo=UTC)
    origins = tuple(Origin(calling_ae=s, called_ae="NODE", sender=ADDRESS[s]) for s in senders)
    unit = Unit(
        id=1, kind=kind, called_ae="NODE", uid=UID("1"), generation=1, count=1, first=noon, last=noon, senders=origins
    )
    found = policy_for(config, unit)
    return int(found.quiet / timedelta(seconds=1)), int(found.at_most / timedelta(seconds=1))


def test_each_sender_has_its_own(tmp_path: Path) -> None:
    rules = config(tmp_path)
    assert waits(rules, "QUICK") == (5, 3600)
    assert waits(rules, "SLOW") == (300, 8 * 3600)
    assert waits(rules, "PLAIN") == waits(rules, "STRANGER") == waits(rules) == (60, 4 * 3600)


def test_of_several_senders_the_longest_holds(tmp_path: Path) -> None:
    assert waits(config(tmp_path), "QUICK", "SLOW") == (300, 8 * 3600)


def test_a_quick_peer_does_not_hurry_one_that_is_no_peer(tmp_path: Path) -> None:
    assert waits(config(tmp_path), "QUICK", "STRANGER") == (60, 4 * 3600)


def test_the_scan_asks_for_the_shortest(tmp_path: Path) -> None:
    found = shortest(config(tmp_path))
    assert found == {UnitKind.SERIES: (5.0, 3600.0), UnitKind.STUDY: (5.0, 3600.0)}


def test_instances_wait_for_nothing(tmp_path: Path) -> None:
    rules = config(tmp_path, "routes: [{name: each, unit: instance, when: always, steps: [drop]}]")
    assert shortest(rules)[UnitKind.INSTANCE] == (0.0, 0.0)
    assert waits(rules, "SLOW", kind=UnitKind.INSTANCE) == (0, 0)


# ---- evidence ----------------------------------------------------------------------------------------------

CHOSEN = """
node: {ae_title: NODE}
complete: {floor: 7s, evidence: [header]}
peers:
  one: {ae_title: SLOW, host: 10.0.0.1, port: 104, evidence: [find, header], query: {ae_title: PACS}}
  two: {ae_title: QUICK, host: 10.0.0.2, evidence: [mpps, header]}
  none: {ae_title: PLAIN, host: 10.0.0.3, evidence: []}
"""


def sent_by(*senders: str) -> Unit:
    noon = datetime(2026, 1, 1, tzinfo=UTC)
    origins = tuple(Origin(calling_ae=s, called_ae="NODE", sender=ADDRESS.get(s, "10.9.9.9")) for s in senders)
    return Unit(
        id=1, kind=UnitKind.SERIES, called_ae="NODE", uid=UID("1"), generation=1, count=1, first=noon, last=noon,
        senders=origins,
    )  # fmt: skip


def test_only_what_every_sender_goes_by_may_end_the_wait(tmp_path: Path) -> None:
    rules = load_text(CHOSEN, STEPS, folder=tmp_path)

    def chosen(*senders: str) -> set[str]:
        return set(policy_for(rules, sent_by(*senders)).evidence)

    assert policy_for(rules, sent_by("SLOW")).floor == timedelta(seconds=7)
    assert chosen("SLOW") == {"find", "header"}
    assert chosen("SLOW", "QUICK") == chosen("STRANGER") == chosen("SLOW", "STRANGER") == {"header"}
    assert chosen("SLOW", "PLAIN") == set()


def test_the_archive_that_is_asked_stands_for_the_peer(tmp_path: Path) -> None:
    rules = load_text(CHOSEN, STEPS, folder=tmp_path)
    assert policy_for(rules, sent_by("SLOW", "PACS")).evidence == {"find", "header"}
    assert goes_by(rules, sent_by("SLOW", "PACS")) == {"SLOW": {"find", "header"}}


def test_each_sender_is_believed_in_what_was_chosen_for_it(tmp_path: Path) -> None:
    rules = load_text(CHOSEN, STEPS, folder=tmp_path)
    found = goes_by(rules, sent_by("SLOW", "QUICK", "PLAIN", "STRANGER"))
    assert found == {"SLOW": {"find", "header"}, "QUICK": {"mpps", "header"}, "STRANGER": {"header"}}


def test_the_scan_looks_from_the_floor_where_anybody_goes_by_evidence(tmp_path: Path) -> None:
    assert shortest(load_text(CHOSEN, STEPS, folder=tmp_path))[UnitKind.SERIES][0] == 7.0
