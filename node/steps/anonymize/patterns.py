"""What identifies by its form, whoever it is: dates, ages, telephone numbers, addresses, numbers of records.

All patterns are for text in lower case without accents (vocabulary.folded).
"""

from __future__ import annotations

import re

_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|apr|jun|jul|aug|sept|oct|nov|dec|"
    "januar|februar|marz|maerz|mai|juni|juli|oktober|dezember|okt|dez|"
    "janvier|fevrier|mars|avril|juin|juillet|aout|septembre|octobre|novembre|decembre|janv|fevr|"
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre|"
    "janeiro|fevereiro|marco|maio|junho|julho|setembro|outubro|novembro|dezembro|"
    "gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre"
)
_YEAR = r"(?:1[89]|20)\d\d"

DATES = re.compile(
    "|".join(
        (
            rf"(?<!\d){_YEAR}([-./_ ]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?:[t_ -]?\d{{4,6}}(?:\.\d+)?)?(?!\d)",
            rf"(?<![\d.])(?:{_YEAR}|\d\d)-\d{{1,2}}-\d{{1,2}}(?!\d)",
            rf"(?<![\d.])\d{{1,2}}([./-])\d{{1,2}}\2(?:{_YEAR}|\d\d)(?![\d.]*\d)",
            rf"(?<![\d.])(?:0?[1-9]|1[0-2])[./]{_YEAR}(?!\d)",
            rf"(?<!\d)\d{{1,2}}(?:st|nd|rd|th|er|\.|o)?[ _-]*(?:of |de )?(?:{_MONTHS}|mar|sep)\b\.?"
            rf"(?:[ ,_-]*(?:de )?{_YEAR}\b)?",
            rf"(?<![a-z])(?:{_MONTHS})\b\.?[ _]*\d{{1,2}}(?:st|nd|rd|th)?(?:[ ,_]+{_YEAR})?(?!\d)",
            rf"(?<![a-z])(?:{_MONTHS}|mar|sep)\b\.?[ ,_-]*(?:de )?(?:{_YEAR}|'\d\d)(?!\d)",
            r"(?<![\d.:])\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[ap]\.?m\b)?(?![\d:])",
        )
    )
)
"""Dates and times of the day in any usual form; a year alone is `YEAR`."""

YEAR = re.compile(r"(?:19|20)\d\d")

AGES = re.compile(
    r"(?<![\d.])\d{1,3}[ -]?(?:years?|yrs?|yo|y/o|y\.o\.|jahre?|jahrige[rnms]?|j\.|ans|anos|anni|jaar)\b(?:[ -]?old\b)?"
    r"|(?<![\d.])\d{2,3}y\b|\b(?:aged?|alter|edad|eta)\W{0,3}\d{1,3}\b"
)

NUMBER = re.compile(r"\d+")

CONTACTS = re.compile(
    "|".join(
        (
            r"[^\s@,;<>()]+@[^\s@,;<>()]+",
            r"(?:https?|ftp)://\S+|\bwww\.\S+",
            r"(?<![\w.])\+?\(?\d[\d ()/.-]{5,}\d(?!\w)",  # checked by is_telephone
        )
    )
)

_IN_GROUPS = re.compile(r"(?<![\d.])0\d{1,2}(?:[ /]\d{2,3}){3,4}(?![\d.])")
"""As in France and Switzerland: 06 12 34 56 78, 079 123 45 67. No parameters begin with a zero."""
_DAY_AND_MONTH = (
    r"(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|1[0-2])",
    r"(?:0?[1-9]|1[0-2])([./-])(?:0?[1-9]|[12]\d|3[01])",
)
_WHOLE_DATE = re.compile(
    rf"{_YEAR}([./-])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
    rf"|{_DAY_AND_MONTH[0]}\2{_YEAR}|{_DAY_AND_MONTH[1]}\3{_YEAR}"
)


def is_contact(found: str) -> bool:
    """Whether a match of CONTACTS is one: a row of digits needs seven beside a date that stands in it, and is not all
    decimal fractions or short numbers."""
    if any(letter.isalpha() for letter in found):
        return True
    beside = (part for part in found.split() if not _WHOLE_DATE.fullmatch(part))
    if sum(map(str.isdigit, "".join(beside))) < 7 or DATES.fullmatch(found.strip()):
        return False
    if _IN_GROUPS.search(found):
        return True
    return not all(re.fullmatch(r"-?\d{1,3}\.\d+|-?\d{1,3}", part) for part in re.split(r"[ /]+", found))


ADDRESSES = re.compile(
    "|".join(
        (
            r"\b\d+[a-z]?[ ,]+(?:[a-z.'-]+ +){1,3}"
            r"(?:street|avenue|ave|road|lane|drive|boulevard|blvd|terrace|crescent|highway)\b",
            r"\b[a-z-]*(?:strasse|str\.|platz|allee|gasse|straat|laan|gatan|vej|weg) *\d+[a-z]?\b",
            r"\b(?:rue|avenue|boulevard|place|calle|avenida|via|viale|piazza|rua) +(?:[a-z'.-]+ +){1,3},? *\d+\b",
            r"\b\d+,? +(?:rue|avenue|boulevard|place|quai|chemin)(?: +[a-z'-]+){1,4}",
            r"\bp\.?o\.? ?box *\d+|\bpostfach *\d+",
            r"\b(?:[a-z]{2}\d[a-z\d]?|[a-z]\d[a-z]) \d(?!(?:mm|cm|ms|kv|th|nd|rd|st|ml|mg|hz|ch|sl)\b)[a-z]{2}\b",
        )
    )
)

NUMBERED = re.compile(
    r"\b(?:mrn|pid|ssn|nhs|uhid|dob|geb|gebdat|acc|accession|pat\.?(?:ient(?:en)?)?[ _-]?(?:id|nr|no|number)|fallnr|"
    r"fall-nr|id|record|chart|tel|telephone|telefon|phone|fax|mobile|room|bed|zimmer)"
    r"[ _.:#=-]{0,3}(?:id|nr|no|number|#)?[ _.:#=-]{0,3}(?=[a-z_-]{0,6}\d)[a-z0-9][a-z0-9./-]*"
)
"""A number with the word before it that says whose or what it is."""

UIDS = re.compile(r"(?<![\d.])\d+(?:\.\d+){4,}(?![\d.])")

MEASURES = re.compile(
    r"\d{1,4}(?:x\d{1,4})+[a-z]{0,2}|\d{1,4}(?:mm|cm|ms|s|hz|khz|kv|kvp|ma|mas|ml|mg|mgy|deg|sl|ch|min)?"
)
"""Matrix, size, voltage: numbers with what they are of."""

DECIMALS = re.compile(r"(?<![\d.])\d{1,3}\.\d{1,6}(?![\d.])")

_PARAMETERS_ARE = """
tr te ti jpeg b bval bvalue fa bw kv kvp ma mas fov sl bh d f n w l wl ww hu
"""
PARAMETERS = frozenset(_PARAMETERS_ARE.split())
"""What stands before a number of four digits that is no number of a person."""

PLAINLY_OF_SOMEBODY = re.compile(
    "|".join(
        (
            r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,6}\.[a-z]{2,}\b",
            r"(?<![\w.])(?:\+\d{1,3}[ (.-]|\(\d{2,5}\) ?)[\d(][\d ()./-]{4,}\d(?!\w)",  # with a country or an area
            r"(?<![\w.-])\d{3}-\d{2,3}-\d{4}(?![\w-]|\.\d)",  # a telephone's in North America, an SSN
            r"\b(?:mrn|ssn|nhs|uhid|dob|geb|gebdat|accession|patient[ _-]?(?:id|nr|no|number))[ _.:#=-]{1,3}"
            r"(?:no|nr|#)?[ .:#]{0,2}(?=[a-z_-]{0,6}\d)[a-z0-9]",
            r"\b(?:9\d|1[0-2]\d)[ -]?(?:years?|yrs?|yo|y/o|jahre?)\b|\baged? (?:9\d|1[0-2]\d)\b",
        )
    )
)
"""Contacts, numbers and great ages in forms that no version or model has: for texts that nobody has to clean."""

OF_SOMEBODY = (ADDRESSES, NUMBERED, DATES, UIDS)
"""Forms that no term has."""
