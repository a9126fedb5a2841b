"""What a step asks of the crosswalk: a patient's key and name. Given once, kept for ever, the same to every process.

It is a value that goes into a worker process, and opens the database there when it is first asked. What it answers of
a patient never changes, so that whoever asks again, for another study or after a crash, goes on with the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.crosswalk import doors, studies
from node.crosswalk.schema import about, key, name, number, patient
from node.dicom.text import folded
from node.errors import CannotSucceed, ConfigurationError
from node.index.database import database_clock, insert
from node.secret import FOLDER, Keys, another, fingerprint

KEYED = "key"
"""The scheme of pseudonyms that the patient's key gives."""
NUMBERED = "number:"
"""Begins the scheme of numbers; the rest is what is written before the number."""
TABLE = "table"
"""The scheme of a lookup table; with a colon and a name where a patient has one pseudonym in each of several."""
ID = "id"
"""Of `about`: a random one, by which the node knows its crosswalk again; see mark.py."""

OTHERWISE = "the crosswalk has another pseudonym for its patient; see dicom-node crosswalk find"
ANOTHERS = "the pseudonym of its patient is another patient's already; see dicom-node crosswalk find"
NOT_THE_NODES = "the crosswalk is not the one that the node started with; restart, and do what is said then"
"""Why a patient is held."""

_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Crosswalk:
    """The crosswalk of one node."""

    url: str = field(repr=False)
    """`sqlite`, or the PostgreSQL's with its password."""
    data: Path
    keys: Keys
    id: str | None = None
    """That it must have to take in a patient; None for any."""

    @property
    def doors(self) -> doors.Doors:
        return doors.doors(self.url, self.data)

    def close(self) -> None:
        """Leave the database, in this process."""
        doors.close(self.url, self.data)

    def prepare(self) -> None:
        """Make the tables, and hold the keys against those that the crosswalk knows.

        Raises ConfigurationError: another key than before, or one missing that patients are mapped with.
        """
        doors.prepare(self.url, self.data)
        with self.doors.durable.begin() as connection:
            known = in_use(connection)
            if known is None:
                self.begin_with(connection)
            elif known != self.keys.id:
                raise ConfigurationError(another(self.data / "secret"))
            missing_keys(connection, self.keys, self.data)
        self.close()  # workers ask, and open it for themselves

    def begin_with(self, connection: sa.Connection) -> None:
        """Take the current key into use, for patients to come."""
        now = database_clock(connection).timestamp()
        connection.execute(sa.update(key).where(key.c.retired.is_(None)).values(retired=now))
        row = insert(connection, key).values(id=self.keys.id, since=now)
        connection.execute(row.on_conflict_do_update(index_elements=["id"], set_={"retired": None}))

    def key(self, issuer: str, patient_id: str, study: str) -> bytes:
        """The secret that all of a patient is keyed with: the current one for a patient who is new.

        study  the Study Instance UID; counts only where there is no patient_id: then each study has a patient

        Raises CannotSucceed when this process does not have it, or the crosswalk was lost meanwhile, TryAgain when the
        database does not answer.
        """
        who = row_of(issuer, patient_id, study)
        with doors.reaching():
            with self.doors.reader.connect() as connection:
                found = connection.scalar(sa.select(patient.c.key).where(*who))
            if found is None:
                with self.doors.durable.begin() as connection:
                    self._check(connection)
                    add_patient(connection, issuer, patient_id, study, self.keys.id)
                    found = connection.scalars(sa.select(patient.c.key).where(*who)).one()
        return self.secret(found)

    def _check(self, connection: sa.Connection) -> None:
        # Made anew beside a node that runs, it has no patient, so that all who come are new to it.
        if self.id not in (None, connection.scalar(sa.select(about.c.value).where(about.c.key == ID))):
            raise CannotSucceed(NOT_THE_NODES)

    def of_study(self, study: str, key: bytes, *, identified: bool) -> bytes:
        """The secret that the UIDs of a study are replaced with: the key of the patient whom it came of first.

        study        Study Instance UID
        key          of the patient whom it is of now
        identified   whether the instance has a Patient ID

        Raises CannotSucceed as `key` does, and for an instance without Patient ID when others of its study have one;
        TryAgain when the database does not answer.
        """
        with doors.reaching():
            with self.doors.reader.connect() as connection:
                found = studies.known(connection, study, identified=identified)
            if found is None:
                with self.doors.durable.begin() as connection:
                    found = studies.told(connection, study, fingerprint(key), identified=identified)
        return self.secret(found)

    def secret(self, key_id: str) -> bytes:
        """A key by its fingerprint. Raises CannotSucceed when this process does not have it."""
        found = self.keys.by_id().get(key_id)
        if found is None:
            raise CannotSucceed(
                f"the secret {key_id[:8]}..., which the patient is mapped with, is not known here: restart"
            )
        return found

    def name(self, issuer: str, patient_id: str, study: str, scheme: str, proposed: str | None) -> str:
        """The patient's pseudonym in a scheme; the proposed one for a patient who has none, None for the next number.

        `key` has been asked before. Raises CannotSucceed when the patient has another one than the one proposed, or
        another patient has that, TryAgain when the database does not answer.
        """
        who = row_of(issuer, patient_id, study)
        with doors.reaching():
            with self.doors.reader.connect() as connection:
                found = known_name(connection, who, scheme)
            if found is None:
                with self.doors.durable.begin() as connection:
                    found = _give(connection, who, scheme, proposed)
        if proposed not in (None, found):
            raise CannotSucceed(OTHERWISE)
        return found


def in_use(connection: sa.Connection) -> str | None:
    """The fingerprint of the key for patients to come; None in a crosswalk that is new."""
    return connection.scalar(sa.select(key.c.id).where(key.c.retired.is_(None)))


def missing_keys(connection: sa.Connection, keys: Keys, data: Path) -> None:
    """Raise ConfigurationError when patients are mapped with keys that are not among these."""
    missing = sorted(set(connection.scalars(sa.select(patient.c.key).distinct())) - keys.by_id().keys())
    if missing:
        raise ConfigurationError(
            f"patients are mapped with {len(missing)} former secrets that are not there: {', '.join(missing)}. Put "
            f"them back into {data / FOLDER}, or name them in node: former_secrets"
        )


def add_patient(connection: sa.Connection, issuer: str, patient_id: str, study: str, key_id: str) -> None:
    """Nothing where the patient is there: of two processes that meet one together, the first one's key holds."""
    row = insert(connection, patient).values(
        issuer=issuer, patient_id=patient_id, study="" if folded(patient_id) else study, issuer_folded=folded(issuer),
        patient_id_folded=folded(patient_id), key=key_id, since=database_clock(connection).timestamp(),
    )  # fmt: skip
    connection.execute(row.on_conflict_do_nothing())


def row_of(issuer: str, patient_id: str, study: str) -> Sequence[sa.ColumnElement[bool]]:
    """What finds a patient's row."""
    return (
        patient.c.issuer_folded == folded(issuer),
        patient.c.patient_id_folded == folded(patient_id),
        patient.c.study == ("" if folded(patient_id) else study),
    )


def known_name(connection: sa.Connection, who: Sequence[sa.ColumnElement[bool]], scheme: str) -> str | None:
    joined = sa.select(name.c.pseudonym).join(patient, patient.c.id == name.c.patient)
    return connection.scalar(joined.where(*who, name.c.scheme == scheme))


def _give(
    connection: sa.Connection, who: Sequence[sa.ColumnElement[bool]], scheme: str, proposed: str | None
) -> str:  # fmt: skip
    if connection.dialect.name == "postgresql" and scheme != KEYED:
        # One after the other, as on SQLite: two schemes must not give two patients one name together.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('dicom-node crosswalk names'))"))
    # Locks the patient: another process that gives the same one a name waits, and then finds this one.
    number_of = connection.scalars(sa.select(patient.c.id).where(*who).with_for_update()).one()
    known = known_name(connection, who, scheme)
    if known is not None:
        return known
    if proposed is None:
        pseudonym = _next_number(connection, scheme.removeprefix(NUMBERED))
        while is_anothers(connection, number_of, scheme, pseudonym):  # of a table
            pseudonym = _next_number(connection, scheme.removeprefix(NUMBERED))
    else:
        pseudonym = proposed
    if is_anothers(connection, number_of, scheme, pseudonym):
        raise CannotSucceed(ANOTHERS)
    _check_former(connection, number_of, scheme, pseudonym)
    row = insert(connection, name).values(
        patient=number_of, scheme=scheme, pseudonym=pseudonym, since=database_clock(connection).timestamp()
    )
    if connection.scalar(row.on_conflict_do_nothing().returning(name.c.patient)) is None:
        raise CannotSucceed(ANOTHERS)
    return pseudonym


def is_anothers(connection: sa.Connection, person: int | None, scheme: str, pseudonym: str) -> bool:
    """Whether another patient than `person` has a pseudonym, in any scheme: under which name a table goes, or that it
    is another file, makes no two patients of one name right. Case makes no difference to who reads it.

    Keyed ones are not held against all others: 64 bits of HMAC meet none by chance.
    """
    taken = sa.select(name.c.patient).where(sa.func.upper(name.c.pseudonym) == pseudonym.upper())
    if scheme == KEYED:
        taken = sa.select(name.c.patient).where(name.c.scheme == scheme, name.c.pseudonym == pseudonym)
    return any(one != person for one in connection.scalars(taken))


def _check_former(connection: sa.Connection, person: int, scheme: str, pseudonym: str) -> None:
    """Raise CannotSucceed where a table of an older program, which told them apart by their paths, says otherwise."""
    if scheme != TABLE:
        return
    former = sa.select(name.c.pseudonym).where(name.c.patient == person, name.c.scheme.startswith(f"{TABLE}:/"))
    known = connection.scalars(former).all()
    if known and pseudonym not in known:
        raise CannotSucceed(OTHERWISE)


def _next_number(connection: sa.Connection, prefix: str) -> str:
    """One more than the highest that was ever given; numbers are never given again."""
    row = insert(connection, number).values(prefix=prefix, last=1)
    risen = row.on_conflict_do_update(index_elements=["prefix"], set_={"last": number.c.last + 1})
    last = connection.scalars(risen.returning(number.c.last)).one()
    return written_number(prefix, last)


def written_number(prefix: str, number: int) -> str:
    return f"{prefix}{number:0{_DIGITS}}"


def raise_number(connection: sa.Connection, scheme: str, pseudonym: str) -> None:
    """See that a number that came from elsewhere is not given a second time."""
    prefix = scheme.removeprefix(NUMBERED)
    digits = pseudonym.removeprefix(prefix)
    if scheme == prefix or not (digits.isascii() and digits.isdecimal()):
        return
    row = insert(connection, number).values(prefix=prefix, last=int(digits))
    higher = sa.case((number.c.last > row.excluded.last, number.c.last), else_=row.excluded.last)
    connection.execute(row.on_conflict_do_update(index_elements=["prefix"], set_={"last": higher}))
