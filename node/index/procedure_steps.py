"""What modalities report of their procedure steps (MPPS), and what it says a study must have.

An N-CREATE or N-SET that was answered with success is on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.index.database import insert
from node.index.schema import expected, procedure_step
from node.model import UID, Origin

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
"""Performed Procedure Step Status (0040,0252), PS3.3 C.4.14."""

MPPS = "mpps"

Series = tuple[tuple[UID, tuple[UID, ...]], ...]
"""(Series Instance UID, its SOP Instance UIDs) of each item of the Performed Series Sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A performed procedure step as it stands."""

    sop_instance: UID
    origin: Origin
    study: UID
    """'' where it references no study, or several."""
    state: str
    series: Series

    @property
    def final(self) -> bool:
        """PS3.4 F.7.2.2.2: then it may not be changed any more."""
        return self.state in (COMPLETED, DISCONTINUED)


def read(connection: sa.Connection, sop_instance: str) -> Step | None:
    row = connection.execute(
        sa.select(procedure_step).where(procedure_step.c.sop_instance == sop_instance).with_for_update()
    ).first()
    if row is None:
        return None
    return Step(
        sop_instance=UID(row.sop_instance), study=UID(row.study), state=row.state, series=_series(row.series),
        origin=Origin(calling_ae=row.calling_ae, called_ae=row.called_ae, sender=""),
    )  # fmt: skip


def create(connection: sa.Connection, step: Step, now: float) -> bool:
    """False when there is one of this SOP Instance UID already; nothing is changed then."""
    made = connection.execute(
        insert(connection, procedure_step)
        .values(
            sop_instance=step.sop_instance, calling_ae=step.origin.calling_ae, called_ae=step.origin.called_ae,
            study=step.study, state=step.state, series=json.dumps(step.series), at=now,
        )
        .on_conflict_do_nothing()
        .returning(procedure_step.c.sop_instance)
    ).first()  # fmt: skip
    if made is not None and step.final:
        _expect(connection, step, now)
    return made is not None


def change(connection: sa.Connection, step: Step, now: float) -> None:
    """Note how a step stands now; when it is over, what it made is expected."""
    connection.execute(
        sa.update(procedure_step)
        .where(procedure_step.c.sop_instance == step.sop_instance)
        .values(study=step.study, state=step.state, series=json.dumps(step.series), at=now)
    )
    if step.final:
        _expect(connection, step, now)


def _expect(connection: sa.Connection, step: Step, now: float) -> None:
    """One row per series. A series that two items speak of has the instances of both."""
    merged: dict[UID, dict[UID, None]] = {}
    for series, instances in step.series:
        merged.setdefault(series, {}).update(dict.fromkeys(instances))
    for series, instances_of in merged.items():
        statement = insert(connection, expected).values(
            source=MPPS, peer=step.origin.calling_ae, called_ae=step.origin.called_ae, study=step.study,
            series=series, count=len(instances_of), instances=json.dumps(list(instances_of)), at=now,
            reference=step.sop_instance,
        )  # fmt: skip
        key: Sequence[str] = ("source", "peer", "called_ae", "study", "series", "reference")
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(key),
                set_={name: statement.excluded[name] for name in ("count", "instances", "at")},
            )
        )


def _series(text: str) -> Series:
    return tuple((UID(series), tuple(UID(one) for one in instances)) for series, instances in json.loads(text))
