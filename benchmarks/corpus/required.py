"""What PS3.3 requires of the attributes that the profile changes: of Type 1 a value, of Type 2 to be there.

Transcribed from the modules of PS3.3 2026d for the IODs of the corpus. Conditional Types count as their unconditional
ones where the object meets the condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_EVERY = {
    "1": "SOPInstanceUID StudyInstanceUID SeriesInstanceUID "  # C.12.1, C.7.2.1, C.7.3.1
    "ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialSubjectID",  # C.7.1.3
    "2": "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID "
    "AccessionNumber ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName",  # C.7.1.1, C.7.2.1
}
_OWN = {
    "CT": {"1": "FrameOfReferenceUID", "2": "PositionReferenceIndicator"},  # C.7.4.1
    "MR": {"1": "FrameOfReferenceUID", "2": "PositionReferenceIndicator"},
    "PT": {  # C.8.9.1: Series Date and Time of Type 1; C.8.9.4: Acquisition Date and Time of Type 2
        "1": "FrameOfReferenceUID SeriesDate SeriesTime",
        "2": "PositionReferenceIndicator AcquisitionDate AcquisitionTime",
    },
    "SR": {"1": "ContentDate ContentTime VerifyingObserverSequence ContentSequence"},  # C.17.2, C.17.3
    "DOC": {  # C.24.2
        "1": "EncapsulatedDocument",
        "2": "ContentDate ContentTime AcquisitionDateTime DocumentTitle",
    },
    "RTSTRUCT": {  # C.8.8.5, C.8.8.1, C.8.8.16
        "1": "StructureSetLabel",
        "2": "StructureSetDate StructureSetTime OperatorsName ReviewerName",
    },
    "SEG": {  # C.8.20.2, C.7.5.2, C.12.1.1
        "1": "FrameOfReferenceUID ContentDate ContentTime DeviceSerialNumber",
        "2": "ContentCreatorName ContentDescription",
    },
    "PR": {"2": "ContentCreatorName ContentDescription"},  # C.12.1.1, of C.11.10
}
_NESTED: Mapping[str, str] = MappingProxyType({"CodeMeaning": "1", "ROIInterpreter": "2"})  # 8.8, C.8.8.8


def types(modality: str, *, nested: bool) -> Mapping[str, str]:
    """Keyword -> "1" or "2" for objects of a modality, or for items in them; what is absent is of Type 3."""
    if nested:
        return _NESTED
    found = {}
    for lists in (_EVERY, _OWN.get(modality, {})):
        for kind, keywords in lists.items():
            found.update(dict.fromkeys(keywords.split(), kind))
    return MappingProxyType(found)
