"""What the crosswalk would answer, with nothing written: for who looks at what a rule does, before it is in force."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from node.crosswalk import doors, studies
from node.crosswalk.crosswalk import (
    ANOTHERS,
    NUMBERED,
    OTHERWISE,
    Crosswalk,
    is_anothers,
    known_name,
    row_of,
    written_number,
)
from node.crosswalk.schema import number, patient
from node.dicom.text import folded
from node.errors import CannotSucceed


@dataclass(slots=True)
class Foresight:
    """Answers as the `Crosswalk` does. A patient who is not in it is given what the next one would get."""

    crosswalk: Crosswalk
    _given: dict[tuple[str, str, str, str], str] = field(default_factory=dict)

    def key(self, issuer: str, patient_id: str, study: str) -> bytes:
        """The patient's secret; the current one for a patient who is new. Raises CannotSucceed, TryAgain."""
        with doors.reaching(), self.crosswalk.doors.reader.connect() as connection:
            known = connection.scalar(sa.select(patient.c.key).where(*row_of(issuer, patient_id, study)))
        return self.crosswalk.secret(known or self.crosswalk.keys.id)

    def of_study(self, study: str, key: bytes, *, identified: bool) -> bytes:
        """The key of a study; `key` for one that is new. Raises as `Crosswalk.of_study` does."""
        with doors.reaching(), self.crosswalk.doors.reader.connect() as connection:
            found = studies.known(connection, study, identified=identified)
        return key if found is None else self.crosswalk.secret(found)

    def name(self, issuer: str, patient_id: str, study: str, scheme: str, proposed: str | None) -> str:
        """The patient's pseudonym, or what it would be now. Raises as `Crosswalk.name` does."""
        with doors.reaching(), self.crosswalk.doors.reader.connect() as connection:
            found = known_name(connection, row_of(issuer, patient_id, study), scheme)
            if found is None:
                person = connection.scalar(sa.select(patient.c.id).where(*row_of(issuer, patient_id, study)))
                found = self._would_be(
                    connection, person, (folded(issuer), folded(patient_id), study, scheme), proposed
                )
        if proposed not in (None, found):
            raise CannotSucceed(OTHERWISE)
        return found

    def _would_be(
        self, connection: sa.Connection, person: int | None, who: tuple[str, str, str, str], proposed: str | None
    ) -> str:  # fmt: skip
        scheme = who[3]
        if proposed is not None:
            if is_anothers(connection, person, scheme, proposed):
                raise CannotSucceed(ANOTHERS)
            return proposed
        if who not in self._given:
            prefix = scheme.removeprefix(NUMBERED)
            last = connection.scalar(sa.select(number.c.last).where(number.c.prefix == prefix)) or 0
            before = sum(one[3] == scheme for one in self._given)
            self._given[who] = written_number(prefix, last + before + 1)  # one that a table has is passed over then
        return self._given[who]
