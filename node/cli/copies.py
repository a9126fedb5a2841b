"""`dicom-node backup` and `dicom-node restore`"""

from __future__ import annotations

import json
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
    from node.engine.engine import Engine
    from node.moment import process_name
    from node.stores import crosswalk_doors

    check_about(folder)  # before a data folder is made for it
    with opened(path, new=True) as node:
        if not is_stopped(node.config.node.data):
            return 1
        engine = Engine(node.database.derived, node.config.node.data, process_name())
        try:
            rows = put_back(node.database, crosswalk_doors(node.config), engine, node.config.node.data, folder)
        finally:
            engine.stop(1.0)
    text = f"{rows} rows are back; what is newer, or was on its way, is held: see dicom-node status"
    print(json.dumps({"rows": rows}) if as_json else text)
    return 0
