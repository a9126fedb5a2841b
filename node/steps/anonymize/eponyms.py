"""Terms that are called after somebody: Wilson disease, Baker's cyst, Foley catheter. Pure.

The name in one is a surname that the vocabulary does not have, so that it stays only before the noun that makes it a
term. Where the data set has a person of that name, it goes all the same (cleaning.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

_RARE = """
addison albers alport alzheimer apert asherman baastrup bankart barrett bartholin bartter basedow bechterew behcet
binswanger bochdalek boehler boerhaave bosniak bouchard brodie brudzinski budd buerger burkitt calve caroli castleman
charcot chiari chopart codman colles creutzfeldt crohn cushing dandy dupuytren ehlers eisenmenger erdheim ewing fabry
fallot fanconi felty fontan freiberg galeazzi ganz gaucher gleason goodpasture guillain haglund hashimoto heberden
henoch hirschsprung hodgkin hoffa jakob kaposi kartagener kasabach kawasaki kerley kienbock kienboeck klatskin
klinefelter klippel kohler krukenberg legg lemierre lewy lhermitte lisfranc maisonneuve marfan meckel meige meniere
menetrier merkel mikulicz mirizzi monteggia morgagni ollier osgood pancoast parkinson perthes peutz peyronie plummer
pott potts quervain rathke raynaud recklinghausen reiter rendu riedel rolando sachs schatzki scheuermann schlatter
schmorl schonlein segond sjogren spigelian sudeck swan takayasu taussig tietze tourette virchow waldenstrom warthin
wegener wernicke whipple wilms zenker zollinger
"""
_NOUNS = """
disease syndrome tumor tumour cyst fracture catheter lymphoma sarcoma palsy contracture triad anomaly malformation
hernia ligament tendon pouch diverticulum triangle dementia deformity dislocation tetralogy thyroiditis vasculitis
arteritis gangrene chorea phenomenon morbus krankheit syndrom sarkom zyste fraktur katheter lymphom kyste maladie
sindrome enfermedad tumore malattia joint lines datscan
"""
_COMMON = {
    "baker": "cyst cysts zyste kyste",
    "bell": "palsy",
    "bennett": "fracture",
    "blalock": "taussig shunt",
    "bowen": "disease",
    "conn": "syndrome",
    "cooper": "ligament ligaments",
    "douglas": "pouch space",
    "foley": "catheter katheter",
    "gardner": "syndrome",
    "gilbert": "syndrome",
    "graves": "disease ophthalmopathy orbitopathy",
    "hawkins": "sign",
    "hickman": "catheter line",
    "hill": "sachs",
    "horton": "disease arteritis",
    "hunter": "syndrome canal",
    "huntington": "disease chorea",
    "jones": "fracture",
    "morton": "neuroma",
    "paget": "disease",
    "smith": "fracture",
    "turner": "syndrome",
    "weber": "fracture",
    "wilson": "disease",
    "wolff": "parkinson",
}
"""Surnames of many people stay before few words only."""
_TERMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: frozenset(_NOUNS.split()) for name in _RARE.split()}
    | {name: frozenset(nouns.split()) for name, nouns in _COMMON.items()}
)
_JOINS = re.compile(r"[ '\u2019-]{1,2}")

_SURNAMES_ARE = """
brown white black green gray grey stone
"""
SURNAMES = frozenset(_SURNAMES_ARE.split())
"""Words of the vocabulary that are surnames as well, and hardly a protocol's: beside a name that goes they are one."""


def eponyms_in(text: str, runs: Sequence[re.Match[str]], words: Sequence[str]) -> frozenset[int]:
    """Which words are the name in a term: one or more and the noun behind them, as in Osgood-Schlatter's disease.

    runs    the words of `text` as they stand
    words   the same, folded
    """
    found: set[int] = set()
    for here in range(len(runs) - 2, -1, -1):
        nouns = _TERMS.get(words[here])
        if nouns is None:
            continue
        after = here + 1
        if words[after] == "s" and after + 1 < len(runs) and _joined(text, runs, here):
            after += 1
        if _joined(text, runs, after - 1) and (words[after] in nouns or after in found):
            found.update(range(here, after))
    return frozenset(found)


def _joined(text: str, runs: Sequence[re.Match[str]], here: int) -> bool:
    return _JOINS.fullmatch(text, runs[here].end(), runs[here + 1].start()) is not None
