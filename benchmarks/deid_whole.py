"""A unit the whole way as the node takes it: the step in a worker, part by part, then the second reader over all that
it gave, and the certificate, sealed and in its place in the chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from node.certificate.statement import Reading
from node.config import freeze, load
from node.crosswalk import Crosswalk
from node.model import Batch, Item, UnitKind
from node.pool import Pool
from node.run.certify import Certifier, Unit
from node.run.parts import run_chain
from node.run.supply import supply_of
from node.steps import STEPS
from node.stores import open_crosswalk, open_database, open_keys


@contextmanager
def whole_way(batch: Batch, options: Sequence[str], work: Path) -> Iterator[Callable[[Path], object]]:
    """What takes the batch once and writes into a new folder, with data of its own below `work`, and one worker.

    Ends the program where an instance is held, or anything of the originals is found in what it gave.
    """
    work.mkdir()
    (file := work / "rules.yaml").write_text(_rules(work, options))
    config = load(file, STEPS)
    (route,) = config.routes
    database = open_database(config)
    keys = open_keys(config, database)
    crosswalk: Crosswalk = open_crosswalk(config, keys, database)
    pool = Pool(1)
    certifier = Certifier(database=database, pool=pool, secret=lambda: keys.current, process="benchmark")
    received = {source: item.path.stem for item in batch.items for source in item.sources}
    unit = Unit(kind=UnitKind.SERIES, uid="1.2.3", plan=freeze(route), received=received)

    def once(folder: Path) -> None:

        def certify(
            made: Batch, outcomes: Mapping[int, Batch], reading: Reading, read: Callable[[str, bytes], None]
        ) -> Item:
            return certifier.issue(
                unit, route.chain, 0, made, outcomes.__getitem__, folder / "certificate", reading, read
            )

        made, _ = run_chain(
            pool, supply_of(crosswalk), route.chain, batch, folder, partial=route.partial, certify=certify
        )
        if len(made.items) != len(batch.items) + 1:
            raise SystemExit(f"the node held {len(made.held)} of the images: {made.held[0].reason}")

    try:
        yield once
    finally:
        pool.close()
        crosswalk.close()
        database.close()


def _rules(work: Path, options: Sequence[str]) -> str:
    step = {"anonymize": {"options": list(options)}}
    return yaml.safe_dump(
        {
            "node": {"ae_title": "BENCH", "listen": "127.0.0.1:11112", "data": str(work / "data")},
            "destinations": {"share": {"folder": str(work / "share"), "accepts": "deidentified"}},
            "routes": [{"name": "deid", "when": "otherwise", "steps": [step, {"forward": "share"}]}],
        }
    )
