"""Code Meaning is text that a person wrote: worth keeping only beside a code that a standard defines.

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


def is_standard(scheme: bytes) -> bool:
    """Whether an encoded Coding Scheme Designator names a published scheme; False for none at all."""
    return scheme.decode("ascii", "replace").strip(" \0") in _STANDARD
