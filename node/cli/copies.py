"""`dicom-node backup` and `dicom-node restore`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from node.cli.opened import opened


def backup(folder: Path, path: Path, as_json: bool) -> int:
    from node.backup import backup as make

    with opened(path) as node:
        rows = make(node.database, node.config.node.data, folder)
    print(json.dumps({"rows": rows, "folder": str(folder)}) if as_json else f"{rows} rows and their files in {folder}")
    return 0


def restore(folder: Path, path: Path, as_json: bool) -> int:
    from node.backup import restore as put_back
    from node.engine.engine import Engine
    from node.moment import process_name
    from node.spool import Presence

    with opened(path) as node:
        presence = Presence(node.config.node.data / "run", process_name())
        others = [mark.process for mark in presence.live() if mark.process != presence.process]
        presence.close()
        if others:
            print(f"stop the node first: {', '.join(others)} is running on this data", file=sys.stderr)
            return 1
        engine = Engine(node.database.derived, node.config.node.data, process_name())
        try:
            rows = put_back(node.database, engine, node.config.node.data, folder)
        finally:
            engine.stop(1.0)
    text = f"{rows} rows are back; what is newer, or was on its way, is held: see dicom-node status"
    print(json.dumps({"rows": rows}) if as_json else text)
    return 0
