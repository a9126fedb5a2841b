"""One delivery held against its files and its obligations: what waits is there, what is over has its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.index.schema import delivery, obligation, parcel, sent
from node.model import Kind
from node.outbox import FILE_GONE
from node.spool.proof import dataset_hash

GONE = "its next try holds it; then `dicom-node retry` has its job make it again"
CHANGED = "remove {path} below the outbox: its next try holds it; then `dicom-node retry` has its job make it again"
REPORT = "a fault of the node: please report it with the output of `dicom-node explain`"

_GONE = "is gone from the outbox"
_CHANGED = "is not what its step made: its bytes in the outbox were changed"

Row = Any
"""A row of a statement that names its columns."""

Wrong = tuple[str, str, str]
"""(SOP instance or "", what, remedy)"""


def peers(connection: sa.Connection) -> list[str]:
    """Every application entity that has acknowledged anything; one step along the key for each."""
    found: list[str] = []
    last = ""
    while following := connection.scalar(sa.select(sa.func.min(sent.c.destination)).where(sent.c.destination > last)):
        found.append(last := str(following))
    return found


def contradictions(connection: sa.Connection, outbox: Path, key: str) -> Iterator[Wrong]:
    """What does not fit, of one delivery; nothing for one that is gone."""
    of = connection.execute(sa.select(delivery).where(delivery.c.id == key)).first()
    if of is None:
        return
    parcels = connection.execute(sa.select(parcel).where(parcel.c.delivery == key).order_by(parcel.c.number)).all()
    owed = connection.execute(
        sa.select(obligation.c.receipt, obligation.c.state, obligation.c.in_outbox).where(
            obligation.c.job == of.job, obligation.c.target == of.destination
        )
    ).all()
    for one in parcels:
        if one.state in ("waiting", "held") and one.reason != FILE_GONE and (what := _flaw(outbox / one.path, one)):
            remedy = GONE if what == _GONE else CHANGED.format(path=one.path)
            yield one.sop_instance, f"file {one.number} for {of.destination} {what}", remedy
    yield from _state(of, parcels)
    yield from _obligations(of, parcels, owed)
    yield from _evidence(connection, of, parcels)


def _flaw(path: Path, one: Row) -> str:
    try:
        offset = read_meta(path).dataset_offset if one.kind == Kind.DICOM else 0
        return "" if dataset_hash(path, offset) == one.content else _CHANGED
    except FileNotFoundError:
        return _GONE
    except CannotSucceed:  # no DICOM file any more
        return _CHANGED
    except OSError as error:
        return f"cannot be read in the outbox: {error.strerror}"


def _state(of: Row, parcels: Sequence[Row]) -> Iterator[Wrong]:
    states = {one.state for one in parcels}
    if of.state in ("waiting", "held") and of.state not in states:
        yield "", f"it is {of.state}, and none of its files is", REPORT
    if of.state in ("delivered", "dropped") and states & {"waiting", "held"}:
        yield "", f"it is {of.state}, and some of its files are not", REPORT


def _obligations(of: Row, parcels: Sequence[Row], owed: Sequence[Row]) -> Iterator[Wrong]:
    behind: dict[str, set[str]] = {}
    for one in parcels:
        for source in json.loads(one.sources):
            behind.setdefault(source, set()).add(one.state)
    for receipt, state, in_outbox in owed:
        files = behind.get(receipt, set())
        if state == "waiting" and (of.state != "waiting" or not files):
            yield "", f"receipt {receipt} waits in it for {of.destination}, and no file of it does", REPORT
        if state == "delivered" and "delivered" not in files:
            yield "", f"receipt {receipt} counts as delivered to {of.destination}, and no file of it was", REPORT
        if state == "held" and in_outbox and "held" not in files:
            yield "", f"receipt {receipt} is held in it for {of.destination}, and no file of it is", REPORT
    known = {one.receipt for one in owed}
    for one in parcels:
        if one.state in ("waiting", "held") and not known & set(json.loads(one.sources)):
            yield one.sop_instance, f"file {one.number} waits for {of.destination}, and nobody is owed it", REPORT


def _evidence(connection: sa.Connection, of: Row, parcels: Sequence[Row]) -> Iterator[Wrong]:
    """What an application entity took is noted in `sent`; what a folder took has its place in the parcel."""
    acknowledged = [one for one in parcels if one.state == "delivered" and not one.place]
    taken = {one.sop_instance: one for one in acknowledged if one.sop_instance}
    if not taken:
        return
    noted: set[str] = set()
    of_peers = sent.c.destination.in_(peers(connection))
    instances = sorted(taken)
    for begin in range(0, len(instances), 500):
        chosen = sent.c.instance.in_(instances[begin : begin + 500])
        noted.update(connection.scalars(sa.select(sent.c.instance).where(of_peers, chosen)))
    for instance in instances:
        if instance not in noted:
            what = f"file {taken[instance].number} counts as delivered to {of.destination}, with no answer on record"
            yield instance, what, "send it again: `dicom-node explain` it, then `retry` or `dicom-node send`"
