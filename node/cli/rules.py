"""`dicom-node check` and `dicom-node schema`"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import ConfigurationError

if TYPE_CHECKING:
    from node.config import Config


def check(path: Path, as_json: bool) -> int:
    from node.config import load
    from node.moment import utc_now
    from node.rehearsal import run_tests
    from node.steps import STEPS
    from node.tls import report

    try:
        config = load(path, STEPS)
        if broken := report.problems(config, str(path)):
            raise ConfigurationError(broken)
    except ConfigurationError as error:
        if as_json:
            problems = [
                {"file": p.file, "line": p.line, "column": p.column, "path": p.path, "text": p.text}
                for p in error.problems
            ]
            print(json.dumps({"problems": problems or [{"text": str(error)}], "tests": []}))
        else:
            print(error, file=sys.stderr)
        return 2
    warnings = [*report.warnings(config, utc_now()), *_not_there(config)]
    results = run_tests(config)
    failed = [r for r in results if not r.passed]
    if as_json:
        tests = [{"name": r.name, "passed": r.passed, "expected": r.expected, "got": r.got} for r in results]
        print(json.dumps({"problems": [], "tests": tests, "warnings": warnings}))
        return 1 if failed else 0
    print(f"{path}: {len(config.routes)} routes, {len(config.destinations)} destinations, {len(config.peers)} peers")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for result in results:
        print(f"{'passed' if result.passed else 'FAILED'}  {result.name}")
        if not result.passed:
            print(f"        expected {_names(result.expected)}, got {_names(result.got)}")
            for reason in result.because:
                print(f"        {reason}")
    return 1 if failed else 0


def _not_there(config: Config) -> Iterator[str]:
    """Secrets that are not where the file says. No mistake in it: another user, or systemd, may see what we do not."""
    node = config.node
    places = {"node.database.password": node.database.password, "node.secret": node.secret}
    places |= {f"node.former_secrets[{n}]": one for n, one in enumerate(node.former_secrets)}
    whose = [*((f"peers.{name}", one.identity) for name, one in config.peers.items())]
    whose += [(f"destinations.{name}", one.identity) for name, one in config.destinations.items()]
    places |= {f"{name}.identity.passcode": identity.passcode for name, identity in whose if identity is not None}
    for place, secret in places.items():
        try:
            if secret is not None:
                secret.reveal()
        except ConfigurationError as error:
            yield f"{place}: {error}; `serve` needs it"


def _names(routes: tuple[str, ...]) -> str:
    return ", ".join(routes) or "no route"


def schema() -> int:
    from node.config.editor import json_schema
    from node.steps import STEPS

    print(json.dumps(json_schema(STEPS), indent=2))
    return 0
