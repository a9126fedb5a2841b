"""Which units are about to be complete, and what their routes would begin with: so that it may be begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from node.collect.foreseen import Foreseen
from node.complete.policy import shortest
from node.config import Config
from node.index import Database, units
from node.index.schema import receipt
from node.index.units import Open, Version
from node.match import match
from node.model import Item, Kind, Step
from node.spool import Spool

_SOON = 1.0
"""Seconds of the quiet time that may be left."""
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Soon:
    """Finds them. A guess: a route is matched by what has come, and nothing of it is written down."""

    database: Database
    spool: Spool
    config: Callable[[], Config]
    foreseen: Foreseen = field(default_factory=Foreseen)
    seen: set[Version] = field(default_factory=set)
    """Told already; a unit that changes is told again."""

    def beginnings(self) -> Iterator[tuple[Sequence[Step], list[Item]]]:
        """The steps of each route that takes such a unit, one at least, and the unit's instances."""
        config = self.config()
        with self.database.reader.connect() as connection:
            now = self.database.now(connection)
            found = units.open_units(connection, now + _SOON, shortest(config), self.seen)
        if len(self.seen) > _REMEMBERED:
            self.seen.clear()
        for one in found:
            self.seen.add((one.unit.id, one.unit.generation, one.unit.count))
            # What is late may be ignored, held or taken alone: too much to guess.
            if one.unit.generation == 1 and not one.unjudged:
                yield from self._of(config, one)

    def _of(self, config: Config, one: Open) -> Iterator[tuple[Sequence[Step], list[Item]]]:
        if all(route.unit is not one.unit.kind for route in config.routes):
            return
        with self.database.reader.connect() as connection:
            members = units.members(connection, one.unit.id, one.unit.generation)
            wanted = [m.receipt for m in members]
            paths: dict[str, str | None] = {}
            for begin in range(0, len(wanted), 500):
                some = receipt.c.id.in_(wanted[begin : begin + 500])
                paths.update(dict(connection.execute(sa.select(receipt.c.id, receipt.c.path).where(some)).all()))
        items = [
            Item(path=self.spool.where(path), kind=Kind.DICOM, sources=(m.receipt,))
            for m in members
            if (path := paths.get(m.receipt)) is not None
        ]
        verdicts = match(config.routes, [(m.header, m.origin) for m in members], kind=one.unit.kind)
        self.foreseen.learn(config, one.unit.kind, wanted, verdicts)
        for route, verdict in zip(config.routes, verdicts, strict=True):
            if verdict.matched and route.chain:
                yield route.chain, items
