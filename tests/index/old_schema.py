"""The database as earlier versions of the schema made it, with a job and a parcel in it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from node.index import Database
from node.index.schema import metadata

SINCE_3 = ("node_certificate", "node_certificate_head")
SINCE_2 = (
    "node_commitment", "node_commitment_item", "node_asked", "node_asked_item", "node_procedure_step", "node_expected",
    "node_reading", "node_pull",
)  # fmt: skip


def make_version_1(database: Database) -> None:
    old = _without((*SINCE_2, *SINCE_3))
    parcel = old.tables["node_parcel"]
    parcel._columns.remove(parcel.c.disclosure)  # SQLAlchemy has no public way to take a column out
    _make(database, old, "1")


def make_version_2(database: Database) -> None:
    _make(database, _claimed_by_nobody(_without(SINCE_3)), "2")


def make_version_3(database: Database) -> None:
    _make(database, _claimed_by_nobody(_without(())), "3")


def _claimed_by_nobody(old: sa.MetaData) -> sa.MetaData:
    for name in ("node_reading", "node_pull"):
        old.tables[name]._columns.remove(old.tables[name].c.claimed)
    return old


def _without(names: Sequence[str]) -> sa.MetaData:
    old = sa.MetaData()
    for table in metadata.sorted_tables:
        if table.name not in names:
            table.to_metadata(old)
    return old


def _make(database: Database, old: sa.MetaData, version: str) -> None:
    with database.durable.begin() as connection:
        old.create_all(connection)
        rows = {
            "node_meta": {"key": "schema", "value": version},
            "node_unit": {
                "id": 1, "kind": "series", "called_ae": "NODE", "uid": "1.2", "study": "1.1", "series": "1.2",
                "generation": 1, "state": "complete", "count": 1, "first_at": 1.0, "last_at": 1.0,
            },
            "node_job": {
                "id": "1.1.r", "unit": 1, "generation": 1, "route": "r", "plan": "{}", "delta": False,
                "state": "done", "tries": 1, "created": 1.0,
            },
            "node_delivery": {
                "id": "1.1.r>a", "job": "1.1.r", "destination": "a", "disclosure": "identified",
                "state": "delivered", "tries": 1, "failures": 0, "created": 1.0,
            },
            "node_parcel": {
                "delivery": "1.1.r>a", "number": 1, "step": 0, "path": "p", "name": "n", "kind": "dicom",
                "fields": "{}", "content": "c", "size": 1, "sources": "[]", "state": "delivered",
            },
        }  # fmt: skip
        for name, row in rows.items():
            connection.execute(sa.insert(old.tables[name]).values(**row))
