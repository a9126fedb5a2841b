"""Words that say the same of every patient: terms of the standard, and meanings of published codes.

Code Meaning is text that a person wrote: worth keeping only beside a code that a standard defines.

`CT thorax for Smith` is the meaning of a local code; nothing in Table E.1-1 covers it. The schemes are those
of PS3.16 Table 8-1 that are published; a private one begins with 99 or is L (PS3.3 8.2).
"""

from __future__ import annotations

SCHEME, MEANING = 0x00080102, 0x00080104
"""Coding Scheme Designator, Code Meaning."""

_PUBLISHED = """
ACR ASTM-2084 BARI BI C4 C5 CD2 CPT CTV3 DC DCM E5 FMA HCPCS HL7 HPC I10 I10P I9 I9C I9P IBSI ICD11 ICDO3
IEEE11073 ISO639_1 ISO639_2 ISO3166_1 ISO3166_2 ITIS_TSN LN MA MAYOASRG MDC MDNS MGI MSH NCDR NCIt NDC NEU
NICIP NPI NYUMCCG PUBCHEM_CID RADELEMENT RADLEX RFC3066 RFC5646 RO RXNORM SCT SCPECG SNM3 SRT UBERON UCUM UMLS
UNS UPC V3 WHO
"""
_STANDARD = frozenset(_PUBLISHED.split())

_COMMON = """
ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BODY BRAIN BREAST BRONCHUS BUTTOCK CALCANEUS CALF
CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE COCCYX COLON CORNEA CSPINE DUODENUM
ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP
HUMERUS ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE LUNG MANDIBLE MAXILLA MEDIASTINUM
MOUTH NECK NECKCHEST NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHANTOM PHARYNX PROSTATE RECTUM RIB
SACRUM SCALP SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH TESTIS THIGH THORAX THUMB
THYMUS THYROID TOE TONGUE TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST
ADDITION AXIAL BOTH CORONAL DERIVED DIFFUSION DYNAMIC FILTERED IDENTITY LATERAL LEFT LOCALIZER MAXIMUM MEAN MINIMUM
MIXED NONE NORMAL OBLIQUE ORIGINAL OTHER PERFUSION PRIMARY PROJECTION RESAMPLED RIGHT SAGITTAL SECONDARY STATIC
STANDARD UNKNOWN UNPAIRED VOLUME
"""
_TERMS = frozenset(_COMMON.split())
"""Body Part Examined (PS3.16 Annex L), values of Image Type and the like (PS3.3)."""


def is_code(tag: int) -> bool:
    """Whether an attribute is of the Code Sequence Macro (PS3.3 8.8), which says a code and no text of a person."""
    return 0x00080100 <= tag <= 0x00080123


def is_term(word: str) -> bool:
    """Whether a value of a code is made of words of the standard, which some people also have for a name."""
    parts = word.strip(" \0").upper().replace("_", " ").split()
    return all(part in _TERMS for part in parts)


def is_standard(scheme: bytes) -> bool:
    """Whether an encoded Coding Scheme Designator names a published scheme; False for none at all."""
    return scheme.decode("ascii", "replace").strip(" \0") in _STANDARD
