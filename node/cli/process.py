"""`dicom-node process`: files through one route's steps, with no network and no database."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.tools import files_in
from node.errors import ConfigurationError
from node.model import Batch, Item, Kind, Origin, ReceiptId

if TYPE_CHECKING:
    from node.config import Config, Route


def process(paths: Sequence[Path], route_name: str, out: Path, config_path: Path, as_json: bool) -> int:
    from node.config import load
    from node.steps import STEPS

    config = load(config_path, STEPS)
    route = next((r for r in config.routes if r.name == route_name), None)
    if route is None:
        names = ", ".join(r.name for r in config.routes)
        raise ConfigurationError(f'no route "{route_name}" in {config_path}; there are: {names}')
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(f"{out} is not empty: name a new folder")
    with tempfile.TemporaryDirectory(prefix="dicom-node-") as work:
        return _run(list(files_in(paths)), route, out, Path(work), config, as_json)


def _run(files: list[Path], route: Route, out: Path, work: Path, config: Config, as_json: bool) -> int:
    from node.errors import CannotSucceed, TryAgain
    from node.pool import Bug, Pool
    from node.run.parts import run_chain
    from node.run.supply import Supply

    batch, names, left_out = _batch(files, work)
    held = [(str(path), reason) for path, reason in left_out]
    pool = Pool(os.cpu_count() or 1)
    try:
        supply = Supply({"secret": lambda: _secret(config)})
        made, notes = run_chain(pool, supply, route.chain, batch, work, partial=route.partial)
    except (CannotSucceed, TryAgain, Bug) as error:
        held += [(str(path), str(error)) for path in names.values()]
        made, notes = replace(batch, items=(), held=()), []
    finally:
        pool.close()
    for one in made.held:
        held += [(str(names[source]), one.reason) for source in one.sources]
    out.mkdir(parents=True, exist_ok=True)
    for item in made.items:
        shutil.copyfile(item.path, out / item.path.name)
    if as_json:
        print(json.dumps({"files": sorted(i.path.name for i in made.items), "held": held, "notes": notes}))
    else:
        for note in notes:
            print(f"note: {note}")
        for path, reason in held:
            print(f"held: {path}: {reason}", file=sys.stderr)
        print(f"{len(made.items)} files in {out}, {len(held)} held")
    return 1 if held else 0


def _secret(config: Config) -> bytes:
    from node.secret import check, load_or_make

    if config.node.secret is not None:
        return check(config.node.secret.reveal().encode(), "node: secret")
    config.node.data.mkdir(parents=True, exist_ok=True)
    return load_or_make(config.node.data / "secret")


def _batch(files: list[Path], work: Path) -> tuple[Batch, dict[ReceiptId, Path], list[tuple[Path, str]]]:
    """Copies of the instances as the spool would hold them: named by a receipt, since a file may be named after
    its patient, and with file meta where they have none."""
    from node.dicom.header import read_header_of
    from node.dicom.identity import identify
    from node.dicom.part10 import file_meta
    from node.dicom.sniff import NotAnInstance, sniff
    from node.errors import NodeError
    from node.moment import new_receipt, utc_now

    items, names, left_out = [], {}, []
    origin = Origin(calling_ae="PROCESS", called_ae="PROCESS", sender="folder")
    for path in files:
        found = sniff(path)
        if isinstance(found, NotAnInstance):
            left_out.append((path, found.reason))
            continue
        receipt = new_receipt()
        try:
            header = read_header_of(path, found.transfer_syntax, found.dataset_offset).header
            meta, _ = file_meta(identify(header, found.transfer_syntax), origin, receipt, utc_now())
        except NodeError as error:
            left_out.append((path, str(error)))
            continue
        copy = work / f"{receipt}.dcm"
        with copy.open("wb") as target, path.open("rb") as source:
            target.write(meta)
            source.seek(found.dataset_offset)
            shutil.copyfileobj(source, target)
        items.append(Item(path=copy, kind=Kind.DICOM, sources=(receipt,)))
        names[receipt] = path
    return Batch(items=tuple(items)), names, left_out
