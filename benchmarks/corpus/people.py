"""Invented people: by rule from a seed, so that nobody real is in the corpus and every run has the same ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

LETTERS = "BDFGKLMNPRSTVZ"
WORD_SURNAMES = ("Head", "Long", "May", "Young")
"""Surnames that are words of every header; found alone they prove nothing."""


@dataclass(frozen=True, slots=True)
class Repertoire:
    """A value of Specific Character Set (0008,0005), and the syllables that names are made of in it."""

    terms: tuple[str, ...]
    codecs: tuple[str, ...]
    """Python's names of all encodings that a value may be in (PS3.3 C.12.1.1.2)."""
    syllables: tuple[str, ...]
    ideographs: tuple[str, ...] = ()
    """Of the second component group of a name (PS3.5 6.2.1.2); "" where there is none."""
    phonetic: tuple[str, ...] = ()


_ROMAN = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
_KANA = tuple("サシスセタチナニヌネハヒマミムラリルレワ")

REPERTOIRES: Mapping[str, Repertoire] = MappingProxyType(
    {
        "default": Repertoire((), ("ascii",), _ROMAN),
        "Latin 1": Repertoire(("ISO_IR 100",), ("latin_1",), ("bä", "dö", "gü", "lé", "mó", "né", "pø", "rå", "tü")),
        "Cyrillic": Repertoire(("ISO_IR 144",), ("iso8859_5",), ("ба", "ве", "го", "ду", "жи", "ко", "лу", "ме", "ну")),
        "UTF-8": Repertoire(("ISO_IR 192",), ("utf_8",), ("żo", "łu", "śi", "ča", "ře", "ğü", "ős", "ță")),
        "GB18030": Repertoire(("GB18030",), ("gb18030",), _ROMAN, tuple("柏桐枫榆槐楠樟檀梧桉")),
        "Japanese": Repertoire(
            ("", "ISO 2022 IR 87"), ("ascii", "iso2022_jp"), _ROMAN, tuple("桧椿楓柊榎梓桂槙椎樫"), _KANA
        ),
        "Korean": Repertoire(("", "ISO 2022 IR 149"), ("ascii", "euc_kr"), _ROMAN, tuple("솔밤잣돌별샘들강봄달")),
        "word surnames": Repertoire((), ("ascii",), _ROMAN),
    }
)  # fmt: skip

_ROMANIZED = str.maketrans(
    {
        **dict(zip("абвгдезиклмноу", "abvgdeziklmnou", strict=True)), **dict(zip("БВГДКЛМН", "BVGDKLMN", strict=True)),
        "ж": "zh", "Ж": "Zh", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a name as PN (PS3.5 6.2.1), and the parts of it that identify."""

    name: str
    parts: tuple[str, ...]
    """Every part of every component group by itself, and in Latin letters; no surname that is an ordinary word."""
    plain: str
    """The family and given name as people type them into a text, in the first component group's letters."""
    burned: str
    """The same in capitals of ASCII, as devices draw it into an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A patient, and what identifies one."""

    number: int
    person: Person
    repertoire: Repertoire
    patient_id: str
    issuer: str
    other_id: str
    birth_date: str
    sex: str
    age: str
    """At the studies, as AS; some are over 89, which HIPAA 164.514(b)(2)(i)(C) does not let pass."""
    phone: str
    address: str
    mail: str

    @property
    def tokens(self) -> tuple[str, ...]:
        """Text that identifies this patient wherever it stands."""
        return (*self.person.parts, self.patient_id, self.other_id, self.phone, self.address, self.mail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A hospital and who works there."""

    institution: str
    address: str
    department: str
    station: str
    serial: str
    physician: Person
    operator: Person

    @property
    def tokens(self) -> tuple[str, ...]:
        own = (self.institution, self.address, self.station, self.serial)
        return (*own, *self.physician.parts, *self.operator.parts)


def patient(seed: int, number: int) -> Patient:
    """The patient with this number: every eighth has the same repertoire."""
    rng = Random(f"{seed} patient {number}")
    names = tuple(REPERTOIRES)
    kind = names[number % len(names)]
    repertoire = REPERTOIRES[kind]
    surname = rng.choice(WORD_SURNAMES) if kind == "word surnames" else ""
    born = rng.randrange(1925, 2015) if number % 5 else 1927
    return Patient(
        number=number,
        person=_person(rng, repertoire, surname),
        repertoire=repertoire,
        patient_id=f"{'' if number % 3 else '00'}{_code(rng, 3)}-{rng.randrange(10**6, 10**7)}",
        issuer=f"{_code(rng, 4)} ISSUER",
        other_id=f"{_code(rng, 2)}{rng.randrange(10**8, 10**9)}",
        birth_date=f"{born}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}",
        sex=rng.choice("FMO"),
        age=f"{2020 - born:03d}Y",
        phone=f"+99-{rng.randrange(100, 999)}-{rng.randrange(10**6, 10**7)}",
        address=f"{rng.randrange(10, 99)} {_word(rng, _ROMAN, 3)} Road",
        mail=f"{_word(rng, _ROMAN, 4).lower()}@example.org",
    )


def site(seed: int, number: int) -> Site:
    """One of the invented hospitals; its people have names of the default repertoire, which every data set can hold."""
    rng = Random(f"{seed} site {number}")
    plain = REPERTOIRES["default"]
    return Site(
        institution=f"{_word(rng, _ROMAN, 3)} Infirmary",
        address=f"{rng.randrange(100, 999)} {_word(rng, _ROMAN, 3)} Square",
        department=f"Radiology {_word(rng, _ROMAN, 3)}",
        station=f"{_code(rng, 5)}{rng.randrange(10, 99)}",
        serial=f"SN{rng.randrange(10**7, 10**8)}",
        physician=_person(rng, plain),
        operator=_person(rng, plain),
    )


def romanized(text: str) -> str:
    """Latin letters without accents, as a device that knows no others shows a name."""
    bare = unicodedata.normalize("NFKD", text.translate(_ROMANIZED))
    return "".join(letter for letter in bare if letter.isascii())


def _person(rng: Random, repertoire: Repertoire, surname: str = "") -> Person:
    family = surname or _word(rng, repertoire.syllables, 3)
    given = _word(rng, repertoire.syllables, 3)
    groups = [(family, given)]
    for other, count in ((repertoire.ideographs, 2), (repertoire.phonetic, 3)):
        if other:
            groups.append(("".join(rng.sample(other, count)), "".join(rng.sample(other, count))))
    written = [part for group in groups for part in group if part != surname]
    latin = [romanized(part) for part in written[:2] if not part.isascii()]
    return Person(
        name="=".join("^".join(group) for group in groups),
        parts=(*written, *latin),
        plain=f"{family} {given}",
        burned=romanized(f"{family} {given}").upper(),
    )


def _word(rng: Random, syllables: tuple[str, ...], count: int) -> str:
    return "".join(rng.choice(syllables) for _ in range(count)).capitalize()


def _code(rng: Random, length: int) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(length))
