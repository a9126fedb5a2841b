"""What a person asks of the crosswalk: who is it, write all of it, read some in. Each use leaves a row and a log line.

The use is recorded in the transaction that answers: nobody sees an entry without having been seen. What was asked for
is in neither the row nor the line.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import sqlalchemy as sa

from node.crosswalk import doors
from node.crosswalk.crosswalk import Crosswalk, add_patient, in_use, is_anothers, raise_number
from node.crosswalk.schema import name, patient, use
from node.crosswalk.table import Entry, entries_of, moment
from node.dicom.text import folded
from node.errors import ConfigurationError, Problem
from node.index.database import database_clock, insert

log = logging.getLogger("node.crosswalk")


def find(crosswalk: Crosswalk, value: str, who: str) -> Sequence[Entry]:
    """Entries of a pseudonym, a patient ID or a Study Instance UID; each pseudonym of the patients that it names.

    Raises TryAgain when the database does not answer.
    """
    named = sa.select(name.c.patient).where(name.c.pseudonym == value.strip())
    of_patient = sa.or_(
        patient.c.id.in_(named), sa.and_(patient.c.study == value.strip(), patient.c.study != ""),
        sa.and_(patient.c.patient_id_folded == folded(value), patient.c.patient_id_folded != ""),
    )  # fmt: skip
    return _seen(crosswalk, who, "find", of_patient)


def export(crosswalk: Crosswalk, who: str) -> Sequence[Entry]:
    """All entries, in the order in which the patients came. Raises TryAgain."""
    return _seen(crosswalk, who, "export", sa.true())


def read_in(crosswalk: Crosswalk, text: str, source: str, who: str, *, replace: bool = False) -> int:
    """Take in entries of a CSV, all of them or none; those that are there already are no fault. Returns how many.

    replace   an entry for a patient who has another pseudonym in that scheme takes its place

    Raises ConfigurationError with the lines of `source` that are wrong or that contradict the crosswalk, TryAgain.
    """
    entries, found = entries_of(text)
    problems = list(found)
    with doors.reaching(), crosswalk.doors.durable.begin() as connection:
        for line, entry in entries if not problems else ():
            if entry.key and entry.key not in crosswalk.keys.by_id():
                problems.append((line, "its key is not among the secrets of this node"))
            elif wrong := _take(connection, entry, entry.key or str(in_use(connection)), replace):
                problems.append((line, wrong))
        if problems:
            raise ConfigurationError([Problem(source, line, 1, "", text) for line, text in sorted(problems)])
        record(connection, who, "import", len(entries))
    return len(entries)


def record(connection: sa.Connection, who: str, act: str, count: int) -> None:
    """Note a use, in its transaction and in the log."""
    connection.execute(
        sa.insert(use).values(at=database_clock(connection).timestamp(), who=who, act=act, entries=count)
    )
    log.warning("crosswalk: %s by %s, %d entries", act, who, count)


def uses(crosswalk: Crosswalk) -> Sequence[tuple[str, str, str, int]]:
    """(when, who, act, entries) of every use, the latest last. Raises TryAgain."""
    with doors.reaching(), crosswalk.doors.reader.connect() as connection:
        rows = connection.execute(sa.select(use).order_by(use.c.id)).all()
    return [(moment(row.at), row.who, row.act, row.entries) for row in rows]


def _seen(crosswalk: Crosswalk, who: str, act: str, which: sa.ColumnElement[bool]) -> Sequence[Entry]:
    columns = (patient.c.issuer, patient.c.patient_id, patient.c.study, name.c.scheme, name.c.pseudonym, patient.c.key)
    rows = (
        sa.select(*columns, name.c.since).join(name, name.c.patient == patient.c.id).where(which)
        .order_by(patient.c.id, name.c.scheme)
    )  # fmt: skip
    with doors.reaching(), crosswalk.doors.durable.begin() as connection:
        entries = [Entry(**{**row, "since": moment(row["since"])}) for row in connection.execute(rows).mappings()]
        record(connection, who, act, len(entries))
    return entries


def _take(connection: sa.Connection, entry: Entry, key_id: str, replace: bool) -> str:
    """Why an entry cannot be taken in; "" when it is."""
    add_patient(connection, entry.issuer, entry.patient_id, entry.study, key_id)
    here = connection.execute(
        sa.select(patient.c.id, patient.c.key).where(
            patient.c.issuer_folded == folded(entry.issuer), patient.c.study == entry.study,
            patient.c.patient_id_folded == folded(entry.patient_id),
        )
    ).one()  # fmt: skip
    if entry.key and here.key != entry.key:
        return "its patient is mapped with another key already"
    mine = (name.c.patient == here.id, name.c.scheme == entry.scheme)
    known = connection.scalar(sa.select(name.c.pseudonym).where(*mine))
    if known == entry.pseudonym:
        return ""
    if known is not None and not replace:
        return "its patient has another pseudonym in this scheme"
    if is_anothers(connection, here.id, entry.scheme, entry.pseudonym):
        return "its pseudonym is another patient's"
    connection.execute(sa.delete(name).where(*mine))
    row = insert(connection, name).values(
        patient=here.id, scheme=entry.scheme, pseudonym=entry.pseudonym,
        since=database_clock(connection).timestamp(),
    )  # fmt: skip
    if connection.scalar(row.on_conflict_do_nothing().returning(name.c.patient)) is None:
        return "its pseudonym is another patient's"
    raise_number(connection, entry.scheme, entry.pseudonym)
    return ""
