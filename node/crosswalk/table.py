"""The crosswalk as a CSV file: entries -> text, and text -> entries or problems with their lines. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime

from node import listing
from node.crosswalk.crosswalk import KEYED, NUMBERED, TABLE
from node.dicom.text import folded
from node.listing import Problem

_NEEDED = ("patient_id", "scheme", "pseudonym")
_ALLOWED = ("issuer", "study", "key", "since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One pseudonym of one patient. The order of the fields is that of the file's columns."""

    issuer: str
    patient_id: str
    study: str = ""
    """Study Instance UID, of a patient without a patient_id."""
    scheme: str
    pseudonym: str
    key: str = ""
    """Fingerprint of the patient's key; "" for the one in use."""
    since: str = ""
    """ISO 8601, UTC; not read again."""


def moment(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def text_of(entries: Iterable[Entry]) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(field.name for field in fields(Entry))
    writer.writerows(map(astuple, entries))
    return made.getvalue()


def entries_of(text: str) -> tuple[Sequence[tuple[int, Entry]], Sequence[Problem]]:
    """(line, entry) of each row, and what is wrong; the entries are of use only when nothing is."""
    rows, found = listing.read(text, _NEEDED, _ALLOWED)
    problems = list(found)
    entries: list[tuple[int, Entry]] = []
    patients: dict[tuple[str, ...], int] = {}
    names: dict[tuple[str, str], int] = {}
    keys: dict[tuple[str, ...], str] = {}
    for row in rows:
        entry = Entry(**row.cells)
        if wrong := _wrong(entry):
            problems.append((row.line, wrong))
            continue
        person = (folded(entry.issuer), folded(entry.patient_id), entry.study)
        of_patient = patients.setdefault((*person, entry.scheme), row.line)
        of_name = names.setdefault((entry.scheme, entry.pseudonym), row.line)
        if of_patient != row.line:
            problems.append((row.line, f"the same patient and scheme as in line {of_patient}"))
        elif of_name != row.line:
            problems.append((row.line, f"the same pseudonym as in line {of_name}"))
        elif keys.setdefault(person, entry.key) != entry.key:
            problems.append((row.line, "its patient has another key in a line above"))
        entries.append((row.line, entry))
    return entries, problems


def _wrong(entry: Entry) -> str:
    if bool(folded(entry.patient_id)) == bool(entry.study):
        return "an entry is of a patient_id, or of a study"
    if not entry.pseudonym or not entry.pseudonym.isascii() or not entry.pseudonym.isprintable():
        return "a pseudonym is printable ASCII"
    if entry.scheme not in (KEYED, TABLE) and not entry.scheme.startswith((NUMBERED, f"{TABLE}:")):
        return f"a scheme is {KEYED}, {NUMBERED}PREFIX, {TABLE} or {TABLE}:TRIAL"
    return ""
