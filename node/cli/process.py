"""`dicom-node process`: files through one route's steps, unit by unit, with no network.

A patient becomes here who the same patient becomes in the node: secret and crosswalk are the node's. So is the ledger
that the certificates of what is de-identified stand in; of the units themselves nothing is written there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.progress import progress
from node.cli.tools import files_in
from node.errors import ConfigurationError

if TYPE_CHECKING:
    from node.certificate.statement import Reading
    from node.cli.gather import FileUnit, Gathered
    from node.cli.referenced import AmongFiles
    from node.cli.results import Result
    from node.config import Config, Route
    from node.index import Database
    from node.model import Batch, Item, Referenced
    from node.pool import Pool
    from node.run.certify import Certifier
    from node.run.parts import Certify
    from node.run.supply import Supplier, Supply
    from node.secret import Keys


_WHAT_TO_DO = (
    "held: nothing of these files was written, and nothing keeps them. What to do about each reason stands in "
    "docs/OPERATIONS.md under Held: mostly an option or a rule in rules.yaml, and `process` again with a new --out. "
    "What a person has to let pass, such as a word that the second reader took for a name, only a node lets: have it "
    "received by `dicom-node serve` with these rules, and say there `dicom-node release UID --reason`"
)
"""Files are not held as a running node holds instances, which can be released."""


def process(paths: Sequence[Path], route_name: str, out: Path, config_path: Path, as_json: bool) -> int:
    from node.cli.gather import gather
    from node.config import load
    from node.steps import STEPS

    config = load(config_path, STEPS)
    route = next((r for r in config.routes if r.name == route_name), None)
    if route is None:
        names = ", ".join(r.name for r in config.routes)
        raise ConfigurationError(f'no route "{route_name}" in {config_path}; there are: {names}')
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(f"{out} is not empty: name a new folder")
    gathered = gather(files_in(paths), route.unit)
    results = []
    with progress(f"{route.unit} units", len(gathered.units), quiet=as_json) as one_more:
        for result in _results(gathered, route, out, config):
            results.append(result)
            one_more()
    if as_json:
        print(json.dumps(_facts(gathered, results)))
    else:
        _tell(gathered, results, out)
    good = gathered.units and not gathered.held and all(result.state == "done" for result in results)
    return 0 if good else 1


def _results(gathered: Gathered, route: Route, out: Path, config: Config) -> Iterator[Result]:
    """What each unit gave, in order; its files are in `out`. Several are worked on side by side."""
    from node.cli.referenced import AmongFiles
    from node.cli.results import publish
    from node.crosswalk import doors
    from node.pool import Pool

    out.mkdir(parents=True, exist_ok=True)
    supply = supply_for(config, route)
    ledger = _ledger(config) if any(getattr(step, "deidentifies", False) for step in route.chain) else None
    pool, units, files = Pool(os.cpu_count() or 1), gathered.units, AmongFiles.of(gathered)
    certifier = None if ledger is None else _certifier(*ledger, pool)
    threads = ThreadPoolExecutor(max_workers=pool.size)
    with tempfile.TemporaryDirectory(prefix="dicom-node-") as work:
        folders = [Path(work) / str(number) for number in range(len(units))]
        taken: set[str] = set()
        try:
            made = threads.map(
                lambda unit, folder: _run(unit, route, folder, pool, supply, files, certifier), units, folders
            )
            for unit, folder, (batch, notes) in zip(units, folders, made, strict=True):
                yield publish(unit, batch, notes, out, taken)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            pool.close()  # first: at an interrupt it ends what the threads wait for
            threads.shutdown(cancel_futures=True)
            if ledger is not None:
                ledger[0].close()
            doors.close_all()


def _note_crosswalk(route: Route, supply: Supply, database: Database) -> None:
    """Before the files of a unit are published, so that the pseudonyms in them are never given to others."""
    from node.crosswalk import mark

    for step in route.chain:
        if "crosswalk" in step.needs:
            mark.note(database, supply.for_step(step)["crosswalk"])


def _run(
    unit: FileUnit, route: Route, folder: Path, pool: Pool, supply: Supply, files: AmongFiles,
    certifier: Certifier | None,
) -> Any:  # fmt: skip
    """The last batch and the notes of one unit; what holds it as a whole holds no other."""
    from node.cli.gather import batch_of
    from node.errors import CannotSucceed, TryAgain
    from node.model import Batch, Held
    from node.pool import Bug
    from node.run.parts import run_chain
    from node.run.referenced import referenced

    def own(number: int, batch: Batch) -> dict[str, Supplier]:
        def supplier() -> Referenced:
            def look(batch: Batch) -> Referenced:
                return files.look(batch, unit, folder / f"{number}-received")

            work = folder / f"{number}-referenced"
            return referenced(look, pool, supply, route.chain[:number], batch, work)

        return {"referenced": supplier}

    try:
        folder.mkdir()
        certify = None if certifier is None else _certify(certifier, unit, route, folder)
        given = batch_of(unit, folder)
        made = run_chain(pool, supply, route.chain, given, folder, partial=route.partial, own=own, certify=certify)
        if certifier is not None:
            _note_crosswalk(route, supply, certifier.database)
        return made
    except (CannotSucceed, TryAgain, Bug) as error:
        reason = str(error)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    return Batch(items=(), held=tuple(Held(sources=(one.receipt,), reason=reason) for one in unit.members)), []


def _ledger(config: Config) -> tuple[Database, Keys]:
    """Where certificates stand, and what they are sealed with; made where there is none.

    Raises ConfigurationError: an older or a newer database, another secret than it knows.
    """
    from node.stores import open_database, open_keys

    database = open_database(config, migrate=False)
    try:
        return database, open_keys(config, database)
    except ConfigurationError:
        database.close()
        raise


def _certifier(database: Database, keys: Keys, pool: Pool) -> Certifier:
    from node.moment import process_name
    from node.run.certify import Certifier

    return Certifier(database=database, pool=pool, secret=lambda: keys.current, process=process_name())


def _certify(certifier: Certifier, unit: FileUnit, route: Route, folder: Path) -> Certify:
    from node.config import freeze
    from node.run.certify import Unit, may_certify

    received = {one.receipt: one.identity.sop_instance for one in unit.members}
    about = Unit(kind=unit.kind, uid=unit.uid, plan=freeze(route), received=received)
    last = max((n for n, step in enumerate(route.chain) if step.name != "forward"), default=0)

    def certify(
        batch: Batch, outcomes: Mapping[int, Batch], reading: Reading, read: Callable[[str, bytes], None]
    ) -> Item | None:
        if not may_certify(batch):
            return None
        return certifier.issue(
            about, route.chain, last, batch, outcomes.__getitem__, folder / "certificate", reading, read
        )

    return certify


def supply_for(config: Config, route: Route) -> Supply:
    """Made, with the secret and the crosswalk, only for a route that asks for one of them."""
    from node.run.supply import Supply, supply_of
    from node.stores import open_crosswalk

    if all(step.needs.isdisjoint({"secret", "crosswalk"}) for step in route.chain):
        return Supply({})
    database, keys = _ledger(config)
    try:
        return supply_of(open_crosswalk(config, keys, database))
    finally:
        database.close()


def _facts(gathered: Gathered, results: Sequence[Result]) -> dict[str, Any]:
    held = [*gathered.held, *(one for result in results for one in result.held)]
    return {
        "units": [
            {
                "unit": r.unit.kind.value, "uid": r.unit.uid, "state": r.state, "instances": len(r.unit.members),
                "dropped": r.dropped, "folder": r.folder, "files": list(r.files),
                "held": [(str(path), reason) for path, reason in r.held], "notes": list(r.notes),
            }
            for r in results
        ],
        "files": [f"{r.folder}/{name}" for r in results for name in r.files],
        "held": [(str(path), reason) for path, reason in held],
        "duplicates": [(str(path), str(first)) for path, first in gathered.duplicates],
    }  # fmt: skip


def _tell(gathered: Gathered, results: Sequence[Result], out: Path) -> None:
    for path, first in gathered.duplicates:
        print(f"duplicate: {path}: the same as {first}")
    for path, reason in gathered.held:
        print(f"held: {path}: {reason}", file=sys.stderr)
    for result in results:
        print(f"{result.unit.kind} {result.unit.uid}: {result.line(out)}")
        for note in result.notes:
            print(f"  {note}")
        if not result.said:
            for path, reason in result.held:
                print(f"held: {path}: {reason}", file=sys.stderr)
    if gathered.held or any(result.held for result in results):
        print(_WHAT_TO_DO, file=sys.stderr)
    states = Counter(result.state for result in results)
    counts = ", ".join(f"{states[state]} {state}" for state in ("done", "partly held", "held") if states[state])
    files = sum(len(result.files) for result in results)
    print(f"{len(results)} units: {counts}; {files} files in {out}" if results else "no DICOM instance found")
