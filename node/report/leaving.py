"""What a node that stops leaves for the next start, as one line without patient data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from node.index.overview import overview
from node.model import UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Counts. Several nodes on one database leave the same."""

    units: int = 0
    """Open: not complete yet."""
    jobs: int = 0
    """Queued, or interrupted between two steps."""
    files: Mapping[str, int] = field(default_factory=dict)
    """That wait, by destination."""
    held: int = 0
    """Instances that wait for a person."""

    def __str__(self) -> str:
        parts = [f"{self.units} open units"] if self.units else []
        parts += [f"{self.jobs} jobs"] if self.jobs else []
        parts += [f"{count} files for {name}" for name, count in self.files.items()]
        parts += [f"{self.held} instances held for a person"] if self.held else []
        return ", ".join(parts) or "nothing"


def what_is_left(connection: sa.Connection, routed: Collection[UnitKind]) -> Left:
    """routed: kinds of units that some route works on."""
    facts = overview(connection, routed)
    files: dict[str, int] = {}
    for one in facts["deliveries"]:
        files[one["destination"]] = files.get(one["destination"], 0) + one["files"]
    held = sum(one["instances"] for one in facts["held"])
    return Left(units=facts["open"], jobs=facts["queued"] + facts["running"], files=files, held=held)
