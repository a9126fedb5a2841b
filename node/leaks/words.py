"""Words that are no evidence of a person where they stand alone: `words.txt` says which and where they are from.

Mr Head has a HEAD in every header, Mrs Long a LONG axis. Alone such a word says nothing, so a part of a name that is
one counts only beside another part or an identifier, or where nothing but a person's name stands.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

LEAST = 4
"""Letters of a Latin part of a name that counts alone: Li, Ray and Kim stand in words' places too often."""

_NOBODY = """
anon anonym anonyme anonymize anonymized anonymised anonymous deidentified dummy unknown unnamed unbekannt inconnu
desconocido none null nil na removed withheld redacted noname patient name subject volunteer phantom test tester
demo sample research service physician doctor operator technologist user admin administrator
mr mrs ms miss dr prof md phd mph rn frau herr sr jr ii iii iv von van der den de del della di da dos du la le el al
bin ibn abu st ten ter zu zum zur and und y
"""
PLACEHOLDERS = frozenset(_NOBODY.split())
"""Parts of a name that name nobody: what stands for a name that is not known, titles, and particles."""

# Endings of what a hospital calls its departments and itself.
_DEPARTMENT = re.compile(
    r"(logie|logia|logy|logical|logique|logisch|logische|logy|graphy|graphie|grafia|medizin|medicine|medecine|medicina|"
    r"klinik|kliniken|klinikum|hospital|hopital|ospedale|krankenhaus|spital|zentrum|center|centre|institut|institute|"
    r"chirurgie|surgery|diagnostik|diagnostic|diagnostics|therapie|therapy|station|abteilung|praxis|ambulanz|university|"
    r"universitat|universitaet|universite|universita|universidad|universitatsklinikum|healthcare|systems|imaging)$"
)


@cache
def _words() -> frozenset[str]:
    text = files("node.leaks").joinpath("words.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if line and line[0] not in "#[")
    return frozenset(word for line in lines for word in line.split())


@cache
def ordinary(word: str) -> bool:
    """Whether a folded word is one of the standard or a common, clinical or protocol word."""
    return word in _words() or word in PLACEHOLDERS or _DEPARTMENT.search(word) is not None


def counts_alone(word: str) -> bool:
    """Whether a folded part of a name is evidence of that person wherever it stands.

    Ideographs and syllables say more than letters: two count, of kana three.
    """
    if word.isascii():
        return len(word) >= LEAST and word.isalpha() and not ordinary(word)
    if any("\u3041" <= c <= "\u3096" for c in word):
        return len(word) >= 3
    return len(word) >= 2
