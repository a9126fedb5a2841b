"""A site's own table of pseudonyms, as CSV: `patient_id,pseudonym`, and `issuer` where ids are of several.

A patient who is not in it has no name there, and none is made up: the instance is held.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from node import listing
from node.dicom.text import folded
from node.listing import Problem

_PSEUDONYM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")
"""It becomes a Patient ID (LO) and a Patient's Name (PN) in any character set, and a folder: PS3.5 6.2."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Pseudonyms by patient."""

    by_patient: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    issuers: bool = False
    """Whether the table tells issuers apart; else a patient ID is one patient, whoever issued it."""

    def find(self, issuer: str, patient_id: str) -> str | None:
        """Case and padding make no difference. None for a patient who is not in the table."""
        return self.by_patient.get((folded(issuer) if self.issuers else "", folded(patient_id)))


def parse(text: str) -> tuple[Lookup, Sequence[Problem]]:
    """The table, and what is wrong with it by line, without a value of it; it is of use only when nothing is wrong."""
    rows, found = listing.read(text, ("patient_id", "pseudonym"), ("issuer",))
    problems = list(found)
    by_patient: dict[tuple[str, str], str] = {}
    patients: dict[tuple[str, str], int] = {}
    names: dict[str, int] = {}
    for row in rows:
        patient, pseudonym = (folded(row.cells["issuer"]), folded(row.cells["patient_id"])), row.cells["pseudonym"]
        if not patient[1]:
            problems.append((row.line, "it has no patient_id"))
        elif not _PSEUDONYM.fullmatch(pseudonym):
            problems.append((row.line, "a pseudonym is 1 to 64 letters, digits, blanks, dots, - and _ of ASCII"))
        elif (line := patients.setdefault(patient, row.line)) != row.line:
            problems.append((row.line, f"the same patient as in line {line}"))
        elif (line := names.setdefault(pseudonym.upper(), row.line)) != row.line:
            problems.append((row.line, f"the same pseudonym as in line {line}: two patients would become one"))
        by_patient[patient] = pseudonym
    return Lookup(by_patient, any(issuer for issuer, _ in by_patient)), problems


def load(path: Path) -> tuple[Lookup, tuple[str, ...]]:
    """The table in a file as it is now, and its problems with file and line. Read again when it has changed."""
    try:
        about = path.stat()
        return _load(path, (about.st_mtime_ns, about.st_size, about.st_ino))
    except (OSError, UnicodeDecodeError) as error:
        return Lookup(), (f"{path}: the lookup table cannot be read ({type(error).__name__})",)


@lru_cache(maxsize=8)
def _load(path: Path, _: tuple[int, ...]) -> tuple[Lookup, tuple[str, ...]]:
    table, problems = parse(path.read_text(encoding="utf-8"))
    return table, tuple(f"{path}:{line}: {text}" for line, text in sorted(problems))
