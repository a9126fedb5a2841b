"""Folders of destinations are made at the start and when rules.yaml brings new ones, never again; workers move over."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from node.index.versions import write_meta
from node.lifecycle import _make_folders
from tests.flow.nodes import Site
from tests.kit import Kit
from tests.make import MR_IMAGE, instance
from tests.peers import Instance, Sender
from tests.pool import tasks

BEFORE = """
destinations:
  old: {folder: ./old, accepts: deidentified}
routes:
  - {name: all, when: always, steps: [anonymize, {forward: old}]}
"""
AFTER = """
destinations:
  old: {folder: ./old, accepts: deidentified}
  new: {folder: ./deep/new, accepts: deidentified}
routes:
  - {name: all, when: always, steps: [anonymize, {forward: new}]}
"""


def test_a_reload_makes_the_folders_that_are_new_and_not_one_that_is_gone(tmp_path: Path) -> None:
    """A folder that is gone may be a share that is not mounted; files must not go below its mount point."""
    with Site(tmp_path / "node", "sqlite") as site:
        site.rules(BEFORE)
        with site.running():
            assert (site.folder / "old").is_dir()
            (site.folder / "old").rmdir()
            site.rules(AFTER)
            site.wait((site.folder / "deep" / "new").is_dir, why="no folder for the new destination")
            assert not (site.folder / "old").exists()


def test_a_restart_does_not_make_the_folder_of_a_share_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Site(tmp_path / "node", "sqlite") as site:
        site.rules(BEFORE)
        with site.running():
            (site.folder / "old").rmdir()
        with site.running():
            assert not (site.folder / "old").exists()
        assert "destination old: its folder is gone; create it, or mount what belongs there" in caplog.text
        # Another folder under the same name is a new one.
        site.rules(BEFORE.replace("./old", "./elsewhere"))
        with site.running():
            assert (site.folder / "elsewhere").is_dir()


def test_nodes_with_other_rules_on_one_database_do_not_make_each_other_forget_a_folder(kit: Kit) -> None:
    one, other = (kit.load(f"destinations: {{{name}: {{folder: ./{name}}}}}") for name in ("a", "b"))
    for config in (one, other):
        _make_folders(kit.database, config)
    (kit.data / "a").rmdir()
    (kit.data / "b").rmdir()
    for config in (other, one):
        _make_folders(kit.database, config)
    assert not (kit.data / "a").exists()
    assert not (kit.data / "b").exists()


def test_a_folder_that_the_program_before_this_one_made_is_known(kit: Kit) -> None:
    with kit.database.durable.begin() as connection:
        write_meta(connection, "folders", json.dumps([str(kit.data / "a")]))
    _make_folders(kit.database, kit.load("destinations: {a: {folder: ./a}}"))
    assert not (kit.data / "a").exists()


@pytest.mark.skipif(sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_workers_leave_a_processor_to_the_senders_while_instances_come(tmp_path: Path) -> None:
    everything = os.sched_getaffinity(0)
    with Site(tmp_path / "node", "sqlite") as site:
        site.rules(BEFORE.replace("when: always", "when: {Modality: CT}"))  # no job has the worker meanwhile
        with site.running() as node:
            pool, numbers = node.service.pool, itertools.count(1)
            assert pool.call(tasks.processors) == everything
            with Sender(node.port, [(MR_IMAGE, [ExplicitVRLittleEndian])]) as sender:

                def another_one_comes() -> bool:
                    return sender.store(Instance.of(instance(MR_IMAGE, number=next(numbers)))) == 0x0000

                site.wait(lambda: another_one_comes() and pool.call(tasks.processors) < everything)
                site.wait(lambda: pool.call(tasks.processors) == everything, why="the workers stay where they are")
