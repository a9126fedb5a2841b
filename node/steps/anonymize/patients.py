"""Who each patient becomes: the key of all that is keyed, the name, and by how much dates move.

    naming     key       16 digits under the patient's key
               table     what a site's lookup table says; who is not in it is held
               numbered  `SITE-0001` from the crosswalk

The crosswalk remembers each patient's key and name, so that a secret that is rotated leaves known patients as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from node.dicom.text import folded
from node.errors import CannotSucceed
from node.steps.anonymize.lookup import Lookup
from node.steps.anonymize.pseudonyms import Pseudonyms


class Crosswalk(Protocol):
    """What is asked of `node.crosswalk.Crosswalk`, which `run/` supplies. Each answer is on the disk, and stays."""

    def key(self, issuer: str, patient_id: str, study: str) -> bytes:
        """The patient's secret. Raises CannotSucceed, TryAgain."""
        ...

    def of_study(self, study: str, key: bytes, *, identified: bool) -> bytes:
        """The secret of the study's UIDs, `key` for a new one. Raises CannotSucceed, TryAgain.

        identified   whether the instance has a Patient ID
        """
        ...

    def name(self, issuer: str, patient_id: str, study: str, scheme: str, proposed: str | None) -> str:
        """The patient's pseudonym in a scheme: the proposed one, or the next number.

        Raises CannotSucceed when that cannot be, TryAgain.
        """
        ...


class UnmappedError(ValueError):
    """A patient cannot be given a name. Says nothing of the patient."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Where the names come from; from the patient's key when neither is given."""

    lookup: Lookup | None = None
    scheme: str = "key"
    """Tells the names of one source from those of another: `key`, `number:SITE-`, `table`, `table:TRIAL`."""

    @property
    def kind(self) -> str:
        """key, number or table: without what the site calls it."""
        return self.scheme.partition(":")[0]

    @property
    def numbered(self) -> bool:
        return self.scheme.startswith("number:")


@dataclass(frozen=True, slots=True)
class Patient:
    """Who a patient becomes."""

    name: str
    pseudonyms: Pseudonyms = field(repr=False)
    """Under the patient's own key; of an instance, under that of its study."""
    days: int
    """That its dates move by; see `shifting.shift`."""
    patient_id: str = field(default="", repr=False)
    """Folded; "" where there is none."""

    def is_of(self, issuer: str, patient_id: str) -> bool:
        """Whether an item within this patient's instance that names an id means this patient.

        Without an issuer of its own it names the id of the same place.
        """
        return not folded(issuer) and folded(patient_id) == self.patient_id


class Patients:
    """The patients of one batch. Asks for each once, however many instances it has."""

    def __init__(self, secret: bytes, crosswalk: Crosswalk | None = None, naming: Naming | None = None) -> None:
        """Without a crosswalk every patient has the key `secret`, and there are no numbers."""
        self._crosswalk, self._naming = crosswalk, naming or Naming()
        if self._naming.numbered and crosswalk is None:
            raise CannotSucceed("numbers need the crosswalk, which is not supplied")
        self._keyed: dict[bytes, Pseudonyms] = {secret: Pseudonyms(secret)}
        self._secret = secret
        self._found: dict[tuple[str, str, str], Patient] = {}

    def find(self, issuer: str, patient_id: str, study: str) -> Patient:
        """Who a patient becomes; where there is no Patient ID, each study has a patient of its own.

        study   Study Instance UID; "" for a patient who is named within another one's instance

        Raises UnmappedError for a patient who is not in the lookup table, or has another name in the crosswalk, and for
        an instance without Patient ID of a study in which others have one;
        CannotSucceed when its key is not known, TryAgain when the crosswalk does not answer.
        """
        if not folded(patient_id):
            issuer = ""  # an issuer alone tells nobody apart
        who = (folded(issuer), folded(patient_id), study)
        found = self._found.get(who)
        if found is None:
            found = self._found[who] = self._find(issuer, patient_id, study)
        return found

    def _find(self, issuer: str, patient_id: str, study: str) -> Patient:
        listed = self._listed(issuer, patient_id)
        secret = self._secret if self._crosswalk is None else self._crosswalk.key(issuer, patient_id, study)
        pseudonyms = of_study = self._under(secret)
        if folded(patient_id):
            name, days = pseudonyms.patient(issuer, patient_id), pseudonyms.days(issuer, patient_id)
        else:
            name, days = pseudonyms.patient_of_study(study), pseudonyms.days_of_study(study)
        if self._crosswalk is not None:
            proposed = None if self._naming.numbered else listed or name
            try:
                if study:
                    known = self._crosswalk.of_study(study, secret, identified=bool(folded(patient_id)))
                    of_study = self._under(known)
                given = self._crosswalk.name(issuer, patient_id, study, self._naming.scheme, proposed)
            except CannotSucceed as error:
                raise UnmappedError(str(error)) from None
            return Patient(given, of_study, days, folded(patient_id))
        return Patient(listed or name, pseudonyms, days, folded(patient_id))

    def _under(self, secret: bytes) -> Pseudonyms:
        found = self._keyed.get(secret)
        if found is None:
            found = self._keyed[secret] = Pseudonyms(secret)
        return found

    def _listed(self, issuer: str, patient_id: str) -> str | None:
        if self._naming.lookup is None:
            return None
        found = self._naming.lookup.find(issuer, patient_id) if folded(patient_id) else None
        if found is None:
            raise UnmappedError("its patient is not in the lookup table")
        return found
