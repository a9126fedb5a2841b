"""What the crosswalk would answer, with nothing written: for who looks at what a rule does, before it is in force."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from node.crosswalk import doors
from node.crosswalk.crosswalk import ANOTHERS, NUMBERED, OTHERWISE, Crosswalk, known_name, row_of, written_number
from node.crosswalk.schema import name, number, patient
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

    def name(self, issuer: str, patient_id: str, study: str, scheme: str, proposed: str | None) -> str:
        """The patient's pseudonym, or what it would be now. Raises as `Crosswalk.name` does."""
        with doors.reaching(), self.crosswalk.doors.reader.connect() as connection:
            found = known_name(connection, row_of(issuer, patient_id, study), scheme)
            if found is None:
                found = self._would_be(connection, (folded(issuer), folded(patient_id), study, scheme), proposed)
        if proposed not in (None, found):
            raise CannotSucceed(OTHERWISE)
        return found

    def _would_be(self, connection: sa.Connection, who: tuple[str, str, str, str], proposed: str | None) -> str:
        scheme = who[3]
        if proposed is not None:
            taken = sa.select(name.c.patient).where(name.c.scheme == scheme, name.c.pseudonym == proposed)
            if connection.scalar(taken) is not None:
                raise CannotSucceed(ANOTHERS)
            return proposed
        if who not in self._given:
            prefix = scheme.removeprefix(NUMBERED)
            last = connection.scalar(sa.select(number.c.last).where(number.c.prefix == prefix)) or 0
            before = sum(one[3] == scheme for one in self._given)
            self._given[who] = written_number(prefix, last + before + 1)
        return self._given[who]
