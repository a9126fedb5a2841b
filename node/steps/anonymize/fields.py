"""The field of a recipe's line: which attributes it means, and which of them no recipe may touch or keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from node.dicom.attributes import VR_BY_TAG, PrivateTag, is_private, keyword_of, name_of, parse_tag, suggestions, tag_of
from node.dicom.deid_table import is_repeating, rows

_OWN = "the step writes it itself"
_LAYOUT = "the data set could not be read without it"

PROTECTED: Mapping[int, str] = MappingProxyType(
    {
        tag: why
        for why, keywords in {
            _LAYOUT: "SpecificCharacterSet SOPClassUID SamplesPerPixel PhotometricInterpretation PlanarConfiguration "
            "NumberOfFrames Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation "
            "PixelData FloatPixelData DoubleFloatPixelData",
            "other instances refer to it": "SOPInstanceUID StudyInstanceUID SeriesInstanceUID",
            _OWN: "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence "
            "LongitudinalTemporalInformationModified",
        }.items()
        for keyword in keywords.split()
        if (tag := tag_of(keyword)) is not None
    }
)
"""What a recipe may not change, and why."""

SAID_OF_PIXELS: frozenset[int] = frozenset(
    tag for word in ("BurnedInAnnotation", "RecognizableVisualFeatures") if (tag := tag_of(word)) is not None
)
"""They say NO where pixels were cleaned, and that is no word for a rule to put in (PS3.15 E.3.1, E.3.2)."""

_IDENTIFIERS = """
PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence OtherPatientIDs OtherPatientNames
OtherPatientIDsSequence PatientBirthName PatientMotherBirthName PatientBirthDate PatientBirthTime
PatientAddress  PatientTelephoneNumbers PatientTelecomInformation MedicalRecordLocator MilitaryRank
ResponsiblePerson  PatientInsurancePlanCodeSequence InsurancePlanIdentification PersonAddress
PersonTelephoneNumbers  PersonTelecomInformation AccessionNumber EncryptedAttributesSequence
ReferencedPatientPhotoSequence
"""
NEVER_KEPT: frozenset[int] = frozenset(tag for word in _IDENTIFIERS.split() if (tag := tag_of(word)) is not None)
"""Direct identifiers. A site that needs them keeps the identified study and does not anonymize it."""

_EXPRESSION = re.compile(r"(contains|startswith|endswith|except):(.+)", re.IGNORECASE)
_SELECT = re.compile(r"select:(VR|GROUP):(\w+)", re.IGNORECASE)


class FieldError(ValueError):
    """A field that means no attribute, or cannot be used; says which and what would."""


@dataclass(frozen=True, slots=True)
class Fields:
    tags: frozenset[int]
    exact: bool
    """Named by itself, not by an expression that may hit many."""
    private: PrivateTag | None = None


@lru_cache(maxsize=1024)
def parse_field(text: str) -> Fields:
    """The attributes of PS3.6 that a field means. Raises FieldError."""
    if text.upper() == "ALL":
        return Fields(frozenset(VR_BY_TAG) | frozenset(rows()), exact=False)
    if match := _EXPRESSION.fullmatch(text):
        return Fields(_expanded(match[1].lower(), match[2]), exact=False)
    if match := _SELECT.fullmatch(text):
        return Fields(_selected(match[1].upper(), match[2].upper()), exact=False)
    if ":" in text:
        raise FieldError(f'field "{text}" is not supported')
    tag = parse_tag(text)
    if isinstance(tag, PrivateTag):
        return Fields(frozenset(), exact=True, private=tag)
    if tag is None:
        near = suggestions(text)
        raise FieldError(f'unknown attribute "{text}"' + (f'. Did you mean "{near[0]}"?' if near else ""))
    if is_private(tag):
        raise FieldError(f'{text} is private; name it by its creator: (gggg,"CREATOR",ee)')
    if tag not in VR_BY_TAG and tag not in rows() and not is_repeating(tag):
        raise FieldError(f"{text} is not in the data dictionary; such attributes are removed")
    return Fields(frozenset({tag}), exact=True)


def _expanded(kind: str, expression: str) -> frozenset[int]:
    pattern = {"startswith": f"^(?:{expression})", "endswith": f"(?:{expression})$"}.get(kind, expression)
    try:
        search = re.compile(pattern, re.IGNORECASE).search
    except re.error as error:
        raise FieldError(f'"{expression}" is no regular expression: {error}') from None
    hits = frozenset(tag for tag in VR_BY_TAG if any(map(search, (keyword_of(tag) or "", name_of(tag), f"{tag:08x}"))))
    return _some(frozenset(VR_BY_TAG) - hits if kind == "except" else hits, expression)


def _selected(by: str, value: str) -> frozenset[int]:
    if by == "VR":
        return _some(frozenset(tag for tag, vr in VR_BY_TAG.items() if vr == value), value)
    if not re.fullmatch(r"[0-9A-F]{4}", value):
        raise FieldError(f'"{value}" is no group; write four hexadecimal digits')
    if int(value, 16) >> 8 in (0x50, 0x60):
        raise FieldError("groups 50xx and 60xx are always removed")
    return _some(frozenset(tag for tag in VR_BY_TAG if tag >> 16 == int(value, 16)), value)


def _some(tags: frozenset[int], what: str) -> frozenset[int]:
    if not tags:
        raise FieldError(f'"{what}" matches no attribute')
    return tags
