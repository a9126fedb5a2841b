"""`dicom-node deid coverage`: what images have that no rule speaks of yet."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.progress import progress
from node.cli.table import Row, show
from node.cli.tools import files_in
from node.errors import ConfigurationError

if TYPE_CHECKING:
    from node.steps.anonymize import Anonymize
    from node.steps.anonymize.coverage import Coverage

_Left = list[tuple[Path, str]]


def coverage(paths: Sequence[Path], config: Path, route: str | None, as_json: bool) -> int:
    """Exit 1 when a layout would be held."""
    step = _step(config, route)
    found, left_out = _look(paths, step, quiet=as_json)
    if as_json:
        print(json.dumps(_facts(found, left_out)))
    else:
        for path, reason in left_out:
            print(f"{path}: {reason}", file=sys.stderr)
        show(_rows(found))
    from node.steps.anonymize.coverage import Verdict

    return 1 if found.of(Verdict.HELD) else 0


def _step(config: Path, route: str | None) -> Anonymize:
    """The anonymize step of a route; without one, with all rules that are shipped. Raises ConfigurationError."""
    from node.config import load
    from node.steps import STEPS
    from node.steps.anonymize import Anonymize

    if route is None:
        return Anonymize(options=("clean_pixel_data", "retain_safe_private"))
    routes = {each.name: each for each in load(config, STEPS).routes}
    if route not in routes:
        raise ConfigurationError(f'no route "{route}" in {config}; there are: {", ".join(routes)}')
    for step in routes[route].chain:
        if isinstance(step, Anonymize):
            return step
    raise ConfigurationError(f'route "{route}" in {config} has no anonymize step')


def _look(paths: Sequence[Path], step: Anonymize, *, quiet: bool) -> tuple[Coverage, _Left]:
    from node.dicom.damage import DAMAGE
    from node.dicom.dataset import read
    from node.dicom.sniff import NotAnInstance, sniff
    from node.errors import CannotSucceed
    from node.steps.anonymize.coverage import Coverage, look

    cleaning, plan_for = step.cleaning(), step.plan_for()
    found, left_out = Coverage(), []
    files = list(files_in(paths))
    with progress("files", len(files), quiet=quiet) as one_more:
        for path in files:
            said = sniff(path)
            try:
                if isinstance(said, NotAnInstance):
                    left_out.append((path, said.reason))
                else:
                    with path.open("rb") as file:
                        ds = read(file, stop_before_pixels=True)
                    found.add(look(ds, str(said.transfer_syntax), plan_for(str(said.sop_class)), cleaning))
            except (*DAMAGE, CannotSucceed) as error:
                left_out.append((path, f"its header cannot be read ({type(error).__name__})"))
            one_more()
    return found, left_out


def _rows(found: Coverage) -> list[Row]:
    from node.steps.anonymize.coverage import Verdict

    rows: list[Row] = [("held", count, str(layout), why) for layout, count, why in found.of(Verdict.HELD)]
    rows += [("cleaned", count, str(layout), f"by {why}") for layout, count, why in found.of(Verdict.CLEANED)]
    rows += [("no rule", count, str(layout), "") for layout, count, _ in found.of(Verdict.UNTOUCHED)]
    rows += [
        ("private", count, str(creator), f"no rule keeps any of its {elements} elements")
        for creator, count, elements in found.uncovered()
    ]
    return rows


def _facts(found: Coverage, left_out: _Left) -> dict[str, Any]:
    from node.steps.anonymize.coverage import Verdict

    return {
        "layouts": [
            {
                "verdict": verdict.value, "instances": count, "modality": layout.modality,
                "manufacturer": layout.manufacturer, "model": layout.model, "rows": layout.rows,
                "columns": layout.columns, "why": why,
            }
            for verdict in Verdict
            for layout, count, why in found.of(verdict)
        ],
        "private": [
            {
                "group": f"{creator.group:04X}", "creator": creator.name, "instances": count,
                "elements": found.elements[creator], "kept": found.kept[creator],
            }
            for creator, count in sorted(found.creators.items())
        ],
        "left_out": [(str(path), reason) for path, reason in left_out],
    }  # fmt: skip
