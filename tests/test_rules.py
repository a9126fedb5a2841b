"""rules.yaml is taken up while the node runs; a broken one is reported, and the old rules stay."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.errors import ConfigurationError
from node.rules import Rules, RulesWatch, stamp
from node.steps import STEPS

TEXT = "node: {{ae_title: NODE, data: ./data}}\nroutes: [{{name: {name}, when: always, steps: [drop]}}]\n"


def text(name: str) -> str:
    return TEXT.format(name=name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "rules.yaml"
    found.write_text(text("one"))
    return found


def names(rules: Rules) -> list[str]:
    return [route.name for route in rules.current().routes]


# ---- reading it again --------------------------------------------------------------------------------------


def test_a_changed_file_is_in_force(path: Path) -> None:
    rules = Rules(path, STEPS)
    path.write_text(text("two"))
    assert rules.reload()
    assert names(rules) == ["two"]
    assert rules.reloads == 1


def test_a_file_that_says_the_same_changes_nothing(path: Path) -> None:
    rules = Rules(path, STEPS)
    before = rules.current()
    path.write_text(f"# a comment\n{text('one')}")
    assert rules.reload()
    assert rules.current() is before
    assert rules.reloads == 0


def test_a_broken_file_is_reported_and_the_old_rules_stay(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = Rules(path, STEPS)
    path.write_text("node: {ae_title: NODE}\nroutes: [{name: x, when: always, steps: [anonymise]}]")
    with caplog.at_level(logging.ERROR):
        assert not rules.reload()
    assert names(rules) == ["one"]
    assert "anonymize" in rules.broken
    assert "the old rules stay" in caplog.text
    path.write_text(text("mended"))
    assert rules.reload()
    assert (rules.broken, names(rules)) == ("", ["mended"])


@pytest.mark.parametrize("mistake", ["routes: what", text("one").replace("ae_title: NODE", "ae_title: OTHER")])
def test_a_mistake_that_is_undone_ends_what_the_log_said_of_it(
    path: Path, caplog: pytest.LogCaptureFixture, mistake: str
) -> None:
    rules = Rules(path, STEPS)
    path.write_text(mistake)
    rules.reload()
    path.write_text(text("one"))
    with caplog.at_level(logging.INFO):
        assert rules.reload()
        assert rules.reload()
    assert caplog.messages[-1] == "rules.yaml says again what is in force"
    assert caplog.messages.count(caplog.messages[-1]) == 1


def test_a_broken_file_at_the_start_is_refused(path: Path) -> None:
    path.write_text("routes: what")
    with pytest.raises(ConfigurationError):
        Rules(path, STEPS)


def test_what_is_read_at_start_only_stays_as_it_was(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = Rules(path, STEPS)
    path.write_text(text("two").replace("ae_title: NODE", "ae_title: OTHER").replace("./data", "./elsewhere"))
    with caplog.at_level(logging.WARNING):
        assert rules.reload()
    assert names(rules) == ["two"]
    assert list(rules.current().node.ae_title) == ["NODE"]
    assert rules.current().node.data == path.parent / "data"
    assert "ae_title, data changed in rules.yaml; that takes effect at the next start" in caplog.text


# ---- watching it -------------------------------------------------------------------------------------------


class Watched:
    def __init__(self, path: Path, look: float = 3600) -> None:
        self.rules = Rules(path, STEPS)
        self._changed = threading.Semaphore(0)
        self.watch = RulesWatch(self.rules, self._changed.release, look=look)

    def taken_up(self, seconds: float = 10) -> bool:
        return self._changed.acquire(timeout=seconds)


@contextmanager
def watched(path: Path, look: float = 3600) -> Iterator[Watched]:
    found = Watched(path, look)
    found.watch.start()
    try:
        yield found
    finally:
        found.watch.stop()


def test_a_file_written_in_place_is_taken_up(path: Path) -> None:
    with watched(path) as node:
        path.write_text(text("two"))
        assert node.taken_up()
        assert names(node.rules) == ["two"]


def test_a_file_replaced_by_rename_is_taken_up(path: Path) -> None:
    """As most editors and configuration tools do."""
    with watched(path) as node:
        new = path.with_suffix(".new")
        new.write_text(text("two"))
        new.rename(path)
        assert node.taken_up()
        assert names(node.rules) == ["two"]


def test_a_link_that_leads_elsewhere_is_taken_up(tmp_path: Path) -> None:
    """As Kubernetes does with a ConfigMap: rules.yaml -> ..data/rules.yaml, and ..data is replaced."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yaml").write_text(text(name))
    (tmp_path / "..data").symlink_to("first")
    path = tmp_path / "rules.yaml"
    path.symlink_to("..data/rules.yaml")
    with watched(path) as node:
        (tmp_path / "..new").symlink_to("second")
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert node.taken_up()
        assert names(node.rules) == ["second"]


def test_a_change_that_nobody_told_of_is_seen(path: Path) -> None:
    """As on NFS, where another machine's writes wake nobody."""
    node = Watched(path, look=0.05)
    node.watch._watching._observer.unschedule_all()
    node.watch.start()
    try:
        path.write_text(text("two"))
        assert node.taken_up()
    finally:
        node.watch.stop()


def test_a_change_before_the_watch_began_is_seen(path: Path) -> None:
    node = Watched(path, look=0.05)
    path.write_text(text("two"))
    node.watch.start()
    try:
        assert node.taken_up()
    finally:
        node.watch.stop()


def test_a_file_that_is_away_for_a_moment_is_not_broken(path: Path) -> None:
    with watched(path) as node:
        path.unlink()
        path.write_text(text("two"))
        assert node.taken_up()
        assert node.rules.broken == ""


def test_a_broken_change_wakes_nobody(path: Path) -> None:
    with watched(path) as node:
        path.write_text("routes: what")
        assert not node.taken_up(0.8)
        assert node.rules.broken


def test_a_stamp_changes_with_the_file(path: Path) -> None:
    first = stamp(path)
    assert first == stamp(path)
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)
    assert stamp(path) != first
    path.unlink()
    assert stamp(path) is None
