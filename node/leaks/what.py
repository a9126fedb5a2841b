"""Words of the second reader: what a value says of a patient, and what kind of place a text stands in."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum, auto


class What(StrEnum):
    """What was found. The texts are for the operator, and say nothing of the value."""

    PATIENT = "a name of the patient"
    PERSON = "a name of a person"
    """Physicians, operators, relatives."""
    ID = "an identifier of the patient or the study"
    CONTACT = "an address or telephone number"
    BIRTH = "the birth date"
    DATE = "a date of the study"
    INSTITUTION = "the institution"
    DEVICE = "a serial number or name of the device"
    UID = "a UID"
    UNREADABLE = "something that the second reader cannot read"


class Place(Enum):
    """What kind of text a place holds: it decides how much a short or ordinary word counts there."""

    TEXT = auto()
    PERSON = auto()
    """A person's name and nothing else (PN): an ordinary word is one here."""
    IDENTIFIER = auto()
    """An attribute that the originals' identifiers are collected from: a short number is one here."""
    DATE = auto()
    """DA and DT."""
    NUMBER = auto()
    """DS, IS, TM, AS: numbers, which equal a short identifier by chance."""
    UID = auto()
    """UI: one UID and nothing else."""
    BYTES = auto()
    """Characters found in binary values: what is short is there by chance."""


Read = Iterator[tuple[str, Place, str]]
"""What can be read in a file: (text, place, where)."""


class UnreadableError(ValueError):
    """A file is not what it begins as, or nothing that is known. `str()` says where, never what."""
