"""`dicom-node backup` and `dicom-node restore`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from node.cli.opened import is_stopped, opened


def backup(folder: Path, path: Path, as_json: bool) -> int:
    from node.backup import backup as make
    from node.crosswalk.mark import hold_against
    from node.stores import crosswalk_doors

    with opened(path) as node:
        doors = crosswalk_doors(node.config)
        hold_against(node.database, doors)  # a lost one is not copied as if it were all there is
        rows = make(node.database, doors, node.config.node.data, folder)
    print(json.dumps({"rows": rows, "folder": str(folder)}) if as_json else f"{rows} rows and their files in {folder}")
    return 0


def restore(folder: Path, path: Path, as_json: bool) -> int:
    from node.backup import check_about
    from node.backup import restore as put_back
    from node.config import load
    from node.engine.engine import Engine
    from node.moment import process_name
    from node.steps import STEPS
    from node.stores import crosswalk_doors

    check_about(folder)  # before a data folder is made for it
    if not is_stopped(load(path, STEPS).node.data):
        return 1
    _make_way(folder, path)
    with opened(path, new=True) as node:
        engine = Engine(node.database.derived, node.config.node.data, process_name())
        try:
            rows = put_back(node.database, crosswalk_doors(node.config), engine, node.config.node.data, folder)
        finally:
            engine.stop(1.0)
    text = f"{rows} rows are back; what is newer, or was on its way, is held: see dicom-node status"
    print(json.dumps({"rows": rows}) if as_json else text)
    return 0


def _make_way(folder: Path, path: Path) -> None:
    """A database that is damaged is put aside, and said to be, once it is certain that the backup can take its place.

    Raises ConfigurationError: the backup is damaged too.
    """
    from node.config import load
    from node.index.copies import check
    from node.index.damage import is_damaged, put_aside
    from node.moment import utc_now
    from node.steps import STEPS

    node = load(path, STEPS).node
    if node.database.url != "sqlite" or not is_damaged(node.data):
        return
    check(folder / "tables.jsonl.gz")
    aside = put_aside(node.data, f"{utc_now():%Y%m%dT%H%M%S}")
    print(f"the database is damaged; it is put aside in {aside}, where nothing uses it any more", file=sys.stderr)
