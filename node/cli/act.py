"""`dicom-node retry | release | drop`"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from node.cli.crosswalk import who
from node.cli.opened import opened


def act(
    which: Literal["retry", "release", "drop"], subject: str, path: Path, as_json: bool, reason: str = ""
) -> int:  # fmt: skip
    from node.acts import Acts
    from node.engine.engine import Engine
    from node.moment import process_name

    with opened(path) as node:
        engine = Engine(node.database.derived, node.config.node.data, process_name())
        try:
            acts = Acts(
                database=node.database, engine=engine, kinds=node.config.kinds,
                concurrent=lambda name: d.concurrent if (d := node.config.destinations.get(name)) else None,
            )  # fmt: skip
            done = acts.release(subject, reason, who()) if which == "release" else getattr(acts, which)(subject)
        finally:
            engine.stop(1.0)
    if as_json:
        print(json.dumps({"done": list(done.lines)}))
    else:
        for line in done.lines:
            print(line)
        if not done:
            print(f"nothing of {subject} is held or waits", file=sys.stderr)
    return 0 if done else 1
