"""What a data set itself says of people and places, and the forms in which its texts may repeat that. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from types import MappingProxyType

from node.dicom.attributes import VR_BY_TAG, tag_of
from node.steps.anonymize import coding
from node.steps.anonymize.vocabulary import MARKS, folded


class Role(Enum):
    """What a value identifies by."""

    NAME = auto()
    NUMBER = auto()
    PLACE = auto()
    BIRTH = auto()


_NUMBERS = """
PatientID OtherPatientIDs AccessionNumber StudyID AdmissionID ServiceEpisodeID RequestedProcedureID
ScheduledProcedureStepID PerformedProcedureStepID FillerOrderNumberImagingServiceRequest
PlacerOrderNumberImagingServiceRequest IssueDateOfImagingServiceRequest PatientTelephoneNumbers
PersonTelephoneNumbers OrderCallbackPhoneNumber ReferringPhysicianTelephoneNumbers MedicalRecordLocator
InsurancePlanIdentification MilitaryRank DeviceSerialNumber
"""
_PLACES = """
PatientAddress PersonAddress ReferringPhysicianAddress CountryOfResidence RegionOfResidence CurrentPatientLocation
PatientInstitutionResidence IssuerOfPatientID RequestingService ResponsibleOrganization
"""
_INSTITUTIONS = "InstitutionName InstitutionAddress InstitutionalDepartmentName"
_DEVICES = "StationName DeviceSerialNumber GantryID"


def _tags(words: str) -> frozenset[int]:
    return frozenset(tag for word in words.split() if (tag := tag_of(word)) is not None)


ROLES: Mapping[int, Role] = MappingProxyType(
    dict.fromkeys(_tags(_NUMBERS), Role.NUMBER)
    | dict.fromkeys(_tags(_PLACES) | _tags(_INSTITUTIONS) | _tags(_DEVICES), Role.PLACE)
    | {tag: Role.NAME for tag, vr in VR_BY_TAG.items() if vr == "PN"}
    | dict.fromkeys(_tags("PatientBirthDate"), Role.BIRTH)
)
"""The attributes whose values are looked for in text, at any depth."""

_NAMED_AS_A_WHOLE = _tags("InstitutionName InstitutionAddress")

_RETAINED: Mapping[str, frozenset[int]] = MappingProxyType(
    {"retain_institution_identity": _tags(_INSTITUTIONS), "retain_device_identity": _tags(_DEVICES)}
)

_PARTICLES_ARE = """
dr prof mr mrs ms md phd jr sr ii iii von van der den de del della di da do dos das du la le el al bin ibn st
"""
_PARTICLES = frozenset(_PARTICLES_ARE.split())
_PARTS = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{MARKS}])*")
_IDEOGRAPHS = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\uac00-\ud7a3]")
"""And the syllables of Korean, which say as much."""
_UNSPACED = re.compile(
    r"[\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7a3]+|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{4,}"
)
"""Han, kana and Hangul; and Thai, Lao, Burmese and Khmer, of which four letters count as of Latin."""
_LEAST_UNSPACED, _LEAST_SPELLED = 2, 3
"""Ideographs and kana that are looked for wherever they stand."""
_LEAST_NUMBER = 3
_LEAST_NAME, _LONG_NUMBER = 4, 6
"""Characters."""
_LONG_PLACE = 10
"""Letters and digits of two words and more that name a place wherever they stand: Klinikum Auental, not City CT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Values as they stand in one data set."""

    names: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    institutions: frozenset[str] = frozenset()
    """Those of the places that are one, or its address."""
    births: frozenset[str] = frozenset()

    def _parts(self) -> set[str]:
        """The parts of names in their spellings."""
        return {form for name in self.names for part in _PARTS.findall(name) for form in spellings(part)}

    def words(self, vocabulary: frozenset[str]) -> frozenset[str]:
        """The single words that go, folded: parts of names in their spellings, and of places what is no plain word."""
        parts = self._parts()
        local = {form for place in self.places for part in _PARTS.findall(place) for form in spellings(part)}
        local |= {initials(place) for place in self.places}
        found = (parts - _PARTICLES) | (local - vocabulary - _PARTICLES)
        return frozenset(word for word in found if len(word) > 1 or not word.isascii())

    def people(self) -> re.Pattern[str] | None:
        """What finds names, long numbers, the birth date and institutions as a whole in folded text; words of the
        standard, and short ones, stand in any."""
        found = {
            rf"(?<![^\W_]){re.escape(part)}(?![^\W_])"
            for part in self._parts() - _PARTICLES
            if len(part) >= _LEAST_NAME and not coding.is_term(part)
        }
        found |= {rf"(?<![^\W_]){re.escape(run)}(?![^\W_])" for name in self.names for run in run_together(name)}
        found |= {form for name in self.names for form in unspaced(name)}
        long = (number for number in self.numbers if sum(map(str.isalnum, number)) >= _LONG_NUMBER)
        found |= {form for number in long for form in _number_forms(number)}
        found |= {form for birth in self.births for form in _whole_date_forms(birth)}
        found |= {form for place in self.institutions for form in _place_forms(place, least=_LONG_PLACE)}
        return re.compile("|".join(sorted(found))) if found else None

    def phrases(self, *, keep_dates: bool) -> re.Pattern[str] | None:
        """What finds numbers with and without zeros and separators, and places as a whole, in folded text."""
        people, found = self._parts() - _PARTICLES, set[str]()

        def is_free_text(value: str) -> bool:  # whoever types a name there types other things too
            return not people.isdisjoint(form for part in _PARTS.findall(value) for form in spellings(part))

        for number in self.numbers:
            words = [word for word in number.split() if any(map(str.isdecimal, word))]
            for one in words if is_free_text(number) else [number]:
                found.update(_number_forms(one))
        for place in self.places:
            found.update(() if is_free_text(place) else _place_forms(place))
        if keep_dates:  # which leaves all dates but this one
            found |= {form for birth in self.births for form in _date_forms(birth)}
        return re.compile("|".join(sorted(found, key=lambda form: (-len(form), form)))) if found else None


def known(values: Iterable[tuple[int, str]], options: frozenset[str]) -> Known:
    """From (tag, text) of the attributes in ROLES; what an option retains may also stand in texts."""
    retained = frozenset(tag for option in options & _RETAINED.keys() for tag in _RETAINED[option])
    by: dict[Role, set[str]] = {role: set() for role in Role}
    institutions: set[str] = set()
    for tag, text in values:
        if tag in ROLES and tag not in retained:
            said = {value for value in text.split("\\") if value.strip()}
            by[ROLES[tag]] |= said
            institutions |= said if tag in _NAMED_AS_A_WHOLE else set()
    return Known(
        names=frozenset(by[Role.NAME]),
        numbers=frozenset(by[Role.NUMBER]),
        places=frozenset(by[Role.PLACE]),
        institutions=frozenset(institutions),
        births=frozenset(by[Role.BIRTH]),
    )


def unspaced(name: str) -> Iterator[str]:
    """What finds a name, and the parts of it that say enough, in folded text of scripts that write no spaces: there it
    stands in the middle of a sentence."""
    for group in name.split("="):
        parts = _UNSPACED.findall(unicodedata.normalize("NFKC", group))
        if len(parts) > 1:
            yield r"[\W_]*".join(re.escape(folded(part)) for part in parts)
        for part in parts:
            least = _LEAST_UNSPACED if _IDEOGRAPHS.search(part) else _LEAST_SPELLED
            if len(part) >= least:
                yield re.escape(folded(part))


def run_together(name: str) -> Iterator[str]:
    """Neighbouring parts of a name without anything between them, as names of files and of series have them."""
    for group in name.split("="):
        parts = [part for part in _PARTS.findall(group) if folded(part) not in _PARTICLES]
        for one, other in pairwise(parts):
            if len(one) + len(other) >= _LONG_NUMBER:
                for before, after in zip(_spelled(one), _spelled(other), strict=True):  # both in one way of spelling
                    yield from (before + after, after + before)


def spellings(word: str) -> frozenset[str]:
    """A word folded as it is, and as German and the Nordic languages write it without their letters, both ways."""
    return frozenset(_spelled(word))


def _spelled(word: str) -> tuple[str, str, str]:
    low = unicodedata.normalize("NFC", word.casefold())
    wide = low
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("å", "aa"), ("ø", "oe")):
        wide = wide.replace(letter, written)
    base = folded(word)
    narrow = base.replace("ae", "a").replace("oe", "o").replace("ue", "u").replace("aa", "a")
    return base, folded(wide), narrow


def initials(place: str) -> str:
    """The acronym of three words and more; "" for fewer."""
    letters = [
        part[0] for part in _PARTS.findall(folded(place)) if part not in {"of", "the", "and", "for", *_PARTICLES}
    ]
    return "".join(letters) if len(letters) >= 3 else ""


def _number_forms(number: str) -> Iterator[str]:
    core = "".join(filter(str.isalnum, folded(number)))
    bare = core.lstrip("0") if core.isdecimal() else core
    if len(bare) < _LEAST_NUMBER or coding.is_term(number):
        return
    first = r"(?<!\d)0*" if bare[0].isdecimal() else r"(?<![^\W\d_])"
    last = r"(?!\d)" if bare[-1].isdecimal() else r"(?![^\W\d_])"
    between = "[-_./ ]?" if len(bare) > _LEAST_NUMBER else ""
    yield first + between.join(map(re.escape, bare)) + last


def _place_forms(place: str, *, least: int = 0) -> Iterator[str]:
    for line in {place, *re.split(r"[,;\r\n^=]+", place)}:
        words = re.findall(r"[^\W_]+", folded(line))
        if len(words) > 1 and sum(map(len, words)) >= least:
            yield r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, words)) + r"(?![^\W_])"


def _date_forms(date: str) -> Iterator[str]:
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", date.strip())
    if match is None:
        return
    year, month, day = match[1], match[2], match[3]
    short = rf"(?:{year[:2]})?{year[2:]}"
    month, day = rf"0?{int(month)}", rf"0?{int(day)}"
    for order in ((short, month, day), (day, month, short), (month, day, short)):
        yield r"(?<!\d)" + r"[-./_ ]?".join(order) + r"(?!\d)"


def _whole_date_forms(date: str) -> Iterator[str]:
    """With a year of four digits, and with separators where the day or the month comes first: no version is so."""
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", date.strip())
    if match is None:
        return
    year, month, day = match[1], match[2], match[3]
    yield rf"(?<!\d){year}{month}{day}(?!\d)"
    month, day = rf"0?{int(month)}", rf"0?{int(day)}"
    yield rf"(?<!\d){year}[-./_ ]{month}[-./_ ]{day}(?!\d)"
    for first, second in ((day, month), (month, day)):
        yield rf"(?<![\d.]){first}[-./ ]{second}[-./ ]{year}(?!\d)"
