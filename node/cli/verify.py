"""`ledger --verify`: each discrepancy as it is found, so that nothing has to be kept till the end."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from node.cli.opened import opened
from node.cli.progress import progress


def verify(path: Path, as_json: bool) -> int:
    from node.report.verify import Verification

    found = 0
    with opened(path) as node:
        data = node.config.node.data
        one = Verification(
            database=node.database, spool=node.spool, outbox=data / "outbox", routed=node.config.routed
        )  # fmt: skip
        with progress("verify", one.total(), quiet=as_json) as advance:
            one.advance = advance
            if as_json:
                sys.stdout.write('{"discrepancies": [')
            for discrepancy in one.discrepancies():
                if as_json:
                    sys.stdout.write((", " if found else "") + json.dumps(asdict(discrepancy)))
                else:
                    print(discrepancy, flush=True)
                found += 1
    if as_json:
        print(f'], "checked": {json.dumps(one.checked)}, "verified": {json.dumps(not found)}}}')
    else:
        names = {"outbox": "folders of the outbox"}
        counts = ", ".join(f"{n} {names.get(what, what)}" for what, n in one.checked.items())
        print(f"{counts} checked: {found or 'no'} {'discrepancy' if found == 1 else 'discrepancies'}")
    return 1 if found else 0
