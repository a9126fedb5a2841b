from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.rules import Rules, RulesWatch, stamp
from node.steps import STEPS

ONE = "node: {ae_title: NODE}\n"
TWO = "node: {ae_title: NODE, senders: peers}\n"
BROKEN = "node: {ae_titel: NODE}\n"
PATIENCE = 15.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(ONE)
    return path


@pytest.fixture
def rules(path: Path) -> Rules:
    return Rules(path, STEPS)


@pytest.fixture
def changed(rules: Rules) -> Iterator[threading.Event]:
    """Set each time when other rules came into force."""
    event = threading.Event()
    watch = RulesWatch(rules, event.set, look=0.1)
    watch.start()
    yield event
    watch.stop()


def test_good_rules_come_into_force(rules: Rules, path: Path) -> None:
    path.write_text(TWO)
    assert rules.reload()
    assert (rules.current().node.senders, rules.reloads, rules.broken) == ("peers", 1, "")


def test_broken_rules_are_said_and_the_old_ones_stay(
    rules: Rules, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = rules.current()
    path.write_text(BROKEN)
    assert not rules.reload()
    assert rules.current() is before
    assert 'Did you mean "ae_title"?' in rules.broken
    assert "the old rules stay" in caplog.text
    path.write_text(TWO)
    assert rules.reload()
    assert rules.broken == ""


def test_a_file_that_went_away_leaves_the_old_rules(rules: Rules, path: Path) -> None:
    path.unlink()
    assert not rules.reload()
    assert rules.current().node.ae_title == ("NODE",)


def test_the_same_rules_in_other_words_are_no_change(rules: Rules, path: Path) -> None:
    path.write_text("# a comment\n" + ONE)
    assert rules.reload()
    assert rules.reloads == 0


def test_what_is_read_at_start_only_waits_for_it(rules: Rules, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("node: {ae_title: OTHER, senders: peers}\n")
    with caplog.at_level(logging.WARNING):
        assert rules.reload()
    assert rules.current().node.ae_title == ("NODE",)
    assert rules.current().node.senders == "peers"
    assert "takes effect at the next start" in caplog.text


def test_a_changed_file_is_taken_up(rules: Rules, path: Path, changed: threading.Event) -> None:
    path.write_text(TWO)
    assert changed.wait(PATIENCE)
    assert rules.current().node.senders == "peers"


def test_a_file_that_an_editor_puts_in_its_place_is_taken_up(
    rules: Rules, path: Path, changed: threading.Event
) -> None:
    other = path.with_name("rules.yaml.swap")
    other.write_text(TWO)
    other.rename(path)
    assert changed.wait(PATIENCE)
    assert rules.current().node.senders == "peers"


def test_a_link_that_leads_elsewhere_is_taken_up(tmp_path: Path) -> None:
    """As Kubernetes changes a ConfigMap: not the file but a folder on the way to it is replaced."""
    for name, text in (("one", ONE), ("two", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yaml").write_text(text)
    (tmp_path / "now").symlink_to("one")
    (tmp_path / "rules.yaml").symlink_to("now/rules.yaml")
    rules, changed = Rules(tmp_path / "rules.yaml", STEPS), threading.Event()
    watch = RulesWatch(rules, changed.set, look=0.1)
    watch.start()
    try:
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "now")
        assert changed.wait(PATIENCE)
    finally:
        watch.stop()
    assert rules.current().node.senders == "peers"


def test_a_stamp_is_the_same_until_something_changes(path: Path, tmp_path: Path) -> None:
    first = stamp(path)
    assert first == stamp(path)
    path.write_text(TWO)
    assert stamp(path) != first
    assert stamp(tmp_path / "nothing") is None
