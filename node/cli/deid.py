"""`dicom-node deid preview`: one instance before and after the anonymize step of a route, and why."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.errors import CannotSucceed, ConfigurationError

if TYPE_CHECKING:
    from node.config import Config, Route
    from node.steps.anonymize.preview import Line


def preview(path: Path, route_name: str, changed: bool, config_path: Path, as_json: bool) -> int:
    from node.config import load
    from node.steps import STEPS
    from node.steps.anonymize.instance import HoldError

    config = load(config_path, STEPS)
    route = next((r for r in config.routes if r.name == route_name), None)
    if route is None:
        names = ", ".join(r.name for r in config.routes)
        raise ConfigurationError(f'no route "{route_name}" in {config_path}; there are: {names}')
    with tempfile.TemporaryDirectory(prefix="dicom-node-") as work:
        try:
            lines = _lines(path, route, config, Path(work))
        except (CannotSucceed, HoldError) as held:
            if as_json:
                print(json.dumps({"held": str(held), "attributes": []}))
            else:
                print(f"held: {path}: {held}", file=sys.stderr)
            return 1
    if changed:
        lines = [line for line in lines if line.done != "kept"]
    if as_json:
        print(json.dumps({"held": None, "attributes": [_fact(line) for line in lines]}, ensure_ascii=False))
    else:
        _tell(lines)
    return 0


def _lines(path: Path, route: Route, config: Config, work: Path) -> list[Line]:
    """Raises ConfigurationError, CannotSucceed and HoldError."""
    from node.cli.gather import batch_of, gather
    from node.cli.process import supply_for
    from node.cli.tools import files_in
    from node.crosswalk import Foresight
    from node.run.perform import perform
    from node.steps.anonymize import Anonymize
    from node.steps.anonymize.preview import preview

    step = next((step for step in route.chain if isinstance(step, Anonymize)), None)
    if step is None:
        raise ConfigurationError(f'route "{route.name}" does not anonymize')
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder: name one file")
    gathered = gather(files_in([path]), route.unit)
    if not gathered.units:
        raise CannotSucceed(gathered.held[0][1] if gathered.held else "it is a DICOMDIR")
    supply = supply_for(config, route)
    batch = batch_of(gathered.units[0], work)
    for number, before in enumerate(route.chain[: route.chain.index(step)]):
        if before.name != "forward":
            batch, _ = perform(before, batch, work / f"{number}-{before.name}", supply.for_step(before))
    if not batch.items:
        raise CannotSucceed(batch.held[0].reason if batch.held else "a step before takes it out of the route")
    # To look is to change nothing: a patient who is new is given no place in the crosswalk.
    given = {**supply.for_step(step)}
    given["crosswalk"] = Foresight(given["crosswalk"])
    return preview(step, batch.items[0].path, work / "after.dcm", given)


def _fact(line: Line) -> dict[str, Any]:
    return {
        "path": [f"{tag:08X}" for tag in line.path], "attribute": line.attribute, "before": line.before,
        "after": line.after, "done": line.done.value, "rule": line.rule,
    }  # fmt: skip


def _tell(lines: Sequence[Line]) -> None:
    """A table on a terminal; plain lines, with nothing cut off, where something else reads."""
    if not sys.stdout.isatty():
        for line in lines:
            print(f"{line.attribute}: {_value(line.before)} -> {_value(line.after)}: {line.done.value}: {line.rule}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading, ratio in (("attribute", 3), ("before", 2), ("after", 2), ("done", None), ("rule", 3)):
        table.add_column(heading, ratio=ratio, overflow="fold")
    for line in lines:
        cells = (line.attribute, _value(line.before), _value(line.after), line.done.value, line.rule)
        # Text: a value is never read as markup.
        table.add_row(*map(Text, cells), style="dim" if line.done == "kept" else "")
    Console().print(table)


def _value(value: str | None) -> str:
    return "-" if value is None else f'"{value}"'
