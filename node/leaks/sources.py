"""Which attributes identify a patient, by their keywords in PS3.6; persons, dates and UIDs by their representation."""

from __future__ import annotations

from node.dicom.attributes import tag_of


def _tags(keywords: str) -> frozenset[int]:
    found = {keyword: tag_of(keyword) for keyword in keywords.split()}
    unknown = [keyword for keyword, tag in found.items() if tag is None]
    assert not unknown, unknown
    return frozenset(tag for tag in found.values() if tag is not None)


IDENTIFIERS = _tags(
    """
    PatientID OtherPatientIDs MedicalRecordLocator InsurancePlanIdentification
    AccessionNumber StudyID AdmissionID ServiceEpisodeID RequestedProcedureID ScheduledProcedureStepID
    PerformedProcedureStepID FillerOrderNumberImagingServiceRequest PlacerOrderNumberImagingServiceRequest
    ClinicalTrialSubjectID ClinicalTrialSubjectReadingID SpecimenIdentifier ContainerIdentifier
    """
)
DEVICES = _tags(
    """
    DeviceSerialNumber DeviceID StationName GantryID DetectorID PlateID CassetteID GeneratorID
    ScheduledStationName PerformedStationName
    """
)
PHONES = _tags(
    """
    PatientTelephoneNumbers PatientTelecomInformation ReferringPhysicianTelephoneNumbers PersonTelephoneNumbers
    PersonTelecomInformation OrderCallbackPhoneNumber OrderCallbackTelecomInformation
    """
)
ADDRESSES = _tags("PatientAddress ReferringPhysicianAddress PersonAddress InstitutionAddress")
INSTITUTIONS = _tags("InstitutionName ResponsibleOrganization")
DEPARTMENTS = _tags("InstitutionalDepartmentName RequestingService")
MAKES = _tags("Manufacturer ManufacturerModelName SoftwareVersions")
BIRTH_DATES = _tags("PatientBirthDate PatientBirthDateInAlternativeCalendar")

PERSON_CODES, INSTITUTION_CODES = _tags("PersonIdentificationCodeSequence"), _tags("InstitutionCodeSequence")
CODE_VALUES = _tags("CodeValue LongCodeValue")
CODE_MEANINGS = _tags("CodeMeaning")
"""A code in the sequences above names a person or an institution in its meaning, and numbers it in its value."""

INSTITUTION_ADDRESS = _tags("InstitutionAddress")
"""One of the addresses, which stays with the identity of the institution."""

SHARED_UIDS = _tags(
    """
    SOPClassUID ReferencedSOPClassUID MediaStorageSOPClassUID TransferSyntaxUID ReferencedTransferSyntaxUIDInFile
    ImplementationClassUID CreatorVersionUID CodingSchemeUID ContextUID MappingResourceUID
    ContextGroupExtensionCreatorUID
    RelatedGeneralSOPClassUID OriginalSpecializedSOPClassUID SOPClassesInStudy SOPClassesSupported
    EncryptedContentTransferSyntaxUID MACCalculationTransferSyntaxUID PrivateInformationCreatorUID
    ReferencedRelatedGeneralSOPClassUIDInFile ReferencedSOPClassUIDInFile
    """
)
"""UIDs that name a class, a code or a program, also where a vendor registered them: the same for all patients."""
