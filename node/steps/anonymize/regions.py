"""Regions of the body that are known to be without head and neck, and the words that speak of these.

Regions by the defined terms of Body Part Examined (PS3.16 Annex L) and by the codes of Anatomic Region Sequence
(PS3.16 CID 4, 4031), in SNOMED CT and by the SRT codes that these had before. Words in the languages that protocols are
named in; a text in letters that are not Latin ones is not read, and what is not read is no evidence.
"""

from __future__ import annotations

import re
from functools import lru_cache

from node.steps.anonymize.vocabulary import folded

_TERMS_BELOW_THE_NECK = """
ABDOMEN ABDOMENPELVIS ADRENAL ANKLE ANUS APPENDIX BILEDUCT BLADDER BREAST BRONCHUS CALCANEUS CALF CHEST CHESTABDOMEN
CHESTABDPELVIS COCCYX COLON CORONARYARTERY DUODENUM FEMORALARTERY FEMUR FIBULA FOOT GALLBLADDER HEART HIP ILEUM
ILIACARTERY ILIUM JEJUNUM KIDNEY KNEE LEG LIVER LSPINE LSSPINE LUNG MEDIASTINUM OVARY PANCREAS PATELLA PELVIS PENIS
PROSTATE RECTUM RENALARTERY RIB SACRUM SCROTUM SIJOINT SPLEEN SSPINE STERNUM STOMACH TESTIS THIGH THORAX TIBIA
TIBIAFIBULA TLSPINE TOE TSPINE URETER URETHRA UTERUS VAGINA
"""
_TERMS_OF_ARMS = """
ACJOINT ARM CLAVICLE ELBOW EXTREMITY FINGER FOREARM HAND HUMERUS RADIUS RADIUSULNA SCAPHOID SCAPULA SHOULDER THUMB ULNA
WRIST
"""
"""In a volume the head may lie beside a raised arm, and beside a shoulder it does."""

CODES_BELOW_THE_NECK = """
10200004 113345001 12921003 15497006 15776009 24136001 30021000 35039007 39607008 41216001 416550000 416775004 416949008
51185008 56459004 61685007 64033007 68367000 69695003 70258002 71341001 72696002 76752008 78961009 80891009 816092008
816094009 818981001 818982008 89837001 122495006 122496007 297173004
"""
CODES_OF_ARMS = "14975008 16953009 16982005 40983000 53120007 74670003 7569003 79601000 85562004"
SRT_BELOW_THE_NECK = """
R-FAB55 R-FAB56 R-FAB57 T-04000 T-11502 T-11503 T-12710 T-15710 T-15750 T-28000 T-32000 T-57000 T-62000 T-65000 T-71000
T-74000 T-83000 T-87000 T-92000 T-C3000 T-D00F9 T-D3000 T-D4000 T-D6000 T-D9000 T-D9100 T-D9200 T-D9400 T-D9700
"""
SRT_OF_ARMS = "T-12280 T-15430 T-15460 T-D2220 T-D8000 T-D8200 T-D8500 T-D8700 T-D8800"

_STEMS = """
brain calvar carotid cephal cerebel cerebr cervic crani czaszk dental encefal enceph facial faryn fullbody ganzkoerper
ganzkorper gehirn gesicht glowa golov hersen hypophy kiefer laryn mandib maxil nasal nasen neuro occipit odont ohren
ophthal orbit paranas pharyn pituit polytrauma schadel schaedel schedel sinus skull thyro tiroid totalbody visage
wholebody zahn
"""
"""Wherever they stand in a word: Gesichtsschaedel."""
_WORDS = """
head heads neck face faces eye eyes ear ears nose jaw mouth scalp vertex tooth teeth ent hno orl iac iam tmj tof wb hws
kopf hals hirn auge augen ohr nnh nns hea ganz tete cou nez yeux oeil oreille crane cerveau corps testa collo viso volto
naso occhi occhio orecchio cranio cabeza cara cuello ojo ojos nariz oido cerebro craneo cabeca rosto pescoco hoofd oog
neus whole entire total trauma pet petct ptct
"""
_TOGETHER = re.compile(r"\b(?:full body|c spine|c sp|skull base|mid thigh|total body|head first)\b")

_TERMS, _ARMS = frozenset(_TERMS_BELOW_THE_NECK.split()), frozenset(_TERMS_OF_ARMS.split())
_CODES = {True: frozenset(CODES_BELOW_THE_NECK.split()), False: frozenset(SRT_BELOW_THE_NECK.split())}
_CODES_ARMS = {True: frozenset(CODES_OF_ARMS.split()), False: frozenset(SRT_OF_ARMS.split())}
"""By whether they are of SNOMED CT."""
_ANYWHERE, _WHOLE = tuple(_STEMS.split()), frozenset(_WORDS.split())


def is_below_the_neck(body_part: str, *, volume: bool) -> bool:
    """Whether a value of Body Part Examined (0018,0015) is a region without head and neck.

    volume  of one the arms do not count
    """
    word = re.sub(r"[^A-Z0-9]", "", body_part.upper())
    return word in _TERMS or (not volume and word in _ARMS)


def is_code_below_the_neck(code: str, scheme: str, *, volume: bool) -> bool:
    """The same of a code, of SCT, or of SRT and its older names (PS3.16 8.1)."""
    if scheme not in ("SCT", "SRT", "SNM3", "99SDM"):
        return False
    newer = scheme == "SCT"
    return code in _CODES[newer] or (not volume and code in _CODES_ARMS[newer])


@lru_cache(maxsize=1024)
def speaks_of_the_head(text: str) -> bool:
    """Whether a text has a word for something of the head or neck, or for the whole body, or cannot be read for one."""
    plain = folded(text)
    if any(letter.isalpha() and not letter.isascii() for letter in plain):
        return True
    words = re.findall(r"[a-z]+", plain)
    if not _WHOLE.isdisjoint(words) or _TOGETHER.search(" ".join(words)):
        return True
    return any(stem in word for word in words for stem in _ANYWHERE)
