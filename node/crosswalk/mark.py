"""By what the node's main database knows its crosswalk again, so that one that was lost is missed.

A crosswalk that begins again would give the first patient's number to the next one who comes, and nobody would see it.
So both databases have its random id, and the main one how far the crosswalk was when it was last opened: an older copy
of the file, put in its place, is behind that.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import sqlalchemy as sa

from node.crosswalk import doors
from node.crosswalk.copies import LEFT_OUT
from node.crosswalk.crosswalk import ID, Crosswalk, raise_number, written_number
from node.crosswalk.doors import Doors
from node.crosswalk.records import record
from node.crosswalk.schema import about, number, patient
from node.errors import ConfigurationError
from node.index import Database
from node.index.database import insert
from node.index.versions import read_meta, write_meta

_META = "crosswalk"
_WHAT_TO_DO = (
    "it would give new patients the pseudonyms of others. Stop the node and put it back: the database itself, or the "
    "newest backup with `dicom-node restore`. Where it is lost for good, `dicom-node crosswalk begin-anew` begins "
    "another: who was mapped before gets another pseudonym then, and who was who is not known any more"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a crosswalk is. Nothing in it leads to a patient."""

    id: str
    patients: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The highest that were given, by what is written before them."""


def hold_against(database: Database, crosswalk: Doors) -> Mark:
    """See that the crosswalk is the one that the main database knows, and note there how far it is.

    A node that knows none yet takes this one. Raises ConfigurationError, with what to do: another, a new or an older
    crosswalk stands in its place.
    """
    with database.reader.connect() as connection:
        known = _known(connection)
    if known is None:
        return pair(database, crosswalk)
    with crosswalk.reader.connect() as connection:
        here = _mark(connection)
    if here is None or here.id != known.id:
        raise ConfigurationError(
            f"the crosswalk that this node had is not there, and another is in its place: {_WHAT_TO_DO}"
        )
    if here.patients < known.patients:
        raise ConfigurationError(
            f"the crosswalk has {here.patients} patients and had {known.patients}: it is an older copy, and "
            f"{_WHAT_TO_DO}"
        )
    if here != known:
        _note(database, here)
    return here


def pair(database: Database, crosswalk: Doors) -> Mark:
    """Take this crosswalk for the node's: where it knows none, and behind a restore, which puts both back."""
    with crosswalk.durable.begin() as connection:
        new = insert(connection, about).values(key=ID, value=secrets.token_hex(16))
        connection.execute(new.on_conflict_do_nothing())
        here = _mark(connection)
    assert here is not None
    _note(database, here)
    return here


def begin_anew(database: Database, crosswalk: Crosswalk, who: str) -> Mark:
    """Go on without the crosswalk that was lost; numbers go on well above those that were given.

    No node may be running. Raises ConfigurationError when none is lost.
    """
    doors.prepare(crosswalk.url, crosswalk.data)
    with database.reader.connect() as connection:
        known = _known(connection)
    with crosswalk.doors.reader.connect() as connection:
        here = _mark(connection)
    if known is None or (here is not None and here.id == known.id and here.patients >= known.patients):
        raise ConfigurationError("the crosswalk is the one that this node knows: nothing was lost")
    crosswalk.prepare()
    with crosswalk.doors.durable.begin() as connection:
        for prefix, last in known.numbers.items():
            raise_number(connection, f"number:{prefix}", written_number(prefix, last + LEFT_OUT))
        record(connection, who, "begin-anew", known.patients)
    return pair(database, crosswalk.doors)


def _mark(connection: sa.Connection) -> Mark | None:
    """None of a crosswalk without an id: it is new, or of a node that gave it none yet."""
    found = connection.scalar(sa.select(about.c.value).where(about.c.key == ID))
    if found is None:
        return None
    patients = connection.scalar(sa.select(sa.func.count()).select_from(patient)) or 0
    rows = connection.execute(sa.select(number.c.prefix, number.c.last).order_by(number.c.prefix)).all()
    return Mark(found, patients, {row.prefix: row.last for row in rows})


def _known(connection: sa.Connection) -> Mark | None:
    value = read_meta(connection, _META)
    return None if value is None else Mark(**json.loads(value))


def _note(database: Database, mark: Mark) -> None:
    with database.durable.begin() as connection:
        write_meta(connection, _META, json.dumps(asdict(mark)))
