"""A node's database and spool, opened beside a running node or without one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.config import Config
    from node.index import Database
    from node.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    config: Config
    database: Database
    spool: Spool


@contextmanager
def opened(path: Path, *, new: bool = False) -> Iterator[Opened]:
    """Starts nothing, and takes no part in receiving.

    new     where no node has run yet, database and spool are made

    Raises ConfigurationError.
    """
    from node.config import load
    from node.moment import new_receipt, process_name, utc_now
    from node.spool import Files, Spool
    from node.steps import STEPS
    from node.stores import open_database, open_existing

    config = load(path, STEPS)
    database = open_database(config, migrate=False) if new else open_existing(config)
    spool = Spool(config.node.data / "spool", process_name(), files=Files(), clock=utc_now, ids=new_receipt)
    try:
        yield Opened(config=config, database=database, spool=spool)
    finally:
        spool.close()
        database.close()


def is_stopped(data: Path) -> bool:
    """Whether no node runs on this data; says which one does, and not its receiver processes, which end with it."""
    from node.moment import process_name
    from node.spool import Presence

    presence = Presence(data / "run", process_name())
    nodes, live = (
        [mark.process for mark in marks if mark.process != presence.process]
        for marks in (presence.nodes(), presence.live())
    )
    presence.close()
    if live:
        named = nodes or live  # a receiver that outlives its node for a moment
        are = "are" if len(named) > 1 else "is"
        print(f"stop the node first: {', '.join(named)} {are} running on this data", file=sys.stderr)
    return not live
