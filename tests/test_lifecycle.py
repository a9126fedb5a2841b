"""Folders of destinations: made at the start and when rules.yaml brings new ones, never made again."""

from __future__ import annotations

from pathlib import Path

from tests.flow.nodes import Site

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
