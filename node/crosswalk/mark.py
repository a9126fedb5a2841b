"""By what the node's main database knows its crosswalk again, so that one that was lost is missed.

A crosswalk that begins again would give the first patient's number to the next one who comes, and nobody would see it.
So both databases have its random id, and the main one how far the crosswalk was when it was last opened, or last gave
what a step made use of: before that leaves it is noted, so that an older copy of the file, put in its place, is behind.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import sqlalchemy as sa

from node.crosswalk import doors
from node.crosswalk.copies import LEFT_OUT
from node.crosswalk.crosswalk import ID, NOT_THE_NODES, Crosswalk, raise_number, written_number
from node.crosswalk.doors import Doors
from node.crosswalk.records import record
from node.crosswalk.schema import about, number, patient
from node.errors import CannotSucceed, ConfigurationError
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

    def is_behind(self, other: Mark) -> bool:
        """Whether something that `other` counts is not there."""
        fewer = any(self.numbers.get(prefix, 0) < last for prefix, last in other.numbers.items())
        return self.patients < other.patients or fewer

    def __or__(self, other: Mark) -> Mark:
        """The further of two, in each thing."""
        prefixes = sorted({*self.numbers, *other.numbers})
        numbers = {one: max(self.numbers.get(one, 0), other.numbers.get(one, 0)) for one in prefixes}
        return Mark(self.id, max(self.patients, other.patients), numbers)


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
    if here.is_behind(known):
        raise ConfigurationError(
            f"the crosswalk has lower numbers than those that it gave: it is an older copy, and {_WHAT_TO_DO}"
        )
    if here != known:
        _note(database, here)
    return here


def note(database: Database, crosswalk: Crosswalk) -> None:
    """Note how far the crosswalk is, before what it gave leaves: what a copy does not have that is put in its place
    later is then missed at the next start.

    Raises CannotSucceed when it is not the one that the node started with, or behind what that gave already, and
    TryAgain when it does not answer. Of a crosswalk that need have no id nothing is noted.
    """
    if crosswalk.id is None:
        return
    with database.reader.connect() as connection:
        known = _known(connection)  # first: what it has now is never less than what was noted of it before
    with doors.reaching(), crosswalk.doors.reader.connect() as connection:
        here = _mark(connection)
    if here is None or here.id != crosswalk.id or (known is not None and here.is_behind(known)):
        raise CannotSucceed(NOT_THE_NODES)
    if here == known:
        return
    with database.durable.begin() as connection:
        if connection.dialect.name == "postgresql":  # one process after the other, as on SQLite
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('dicom-node crosswalk mark'))"))
        known = _known(connection)
        write_meta(connection, _META, json.dumps(asdict(here if known is None else here | known)))


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
    if known is None or (here is not None and here.id == known.id and not here.is_behind(known)):
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
