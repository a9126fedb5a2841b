"""Items of the sequences in Table E.1-1: each with what PS3.3 requires in it, and with what identifies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from benchmarks.corpus.study import STORAGE, Series, code, item, one, uid

_IMAGE = STORAGE + "2"


def item_of(keyword: str, series: Series) -> Dataset:
    """An item for the sequence with this keyword."""
    if keyword in _OWN:
        return _OWN[keyword](series)
    if keyword.startswith("Issuer"):  # HL7v2 Hierarchic Designator Macro (PS3.3 Table 10-17)
        return item(LocalNamespaceEntityID=series.study.site.institution)
    if keyword.endswith("IdentificationSequence"):
        return _person(series)
    if keyword.startswith(("Referenced", "SourceImage")):
        return _reference(series, keyword)
    return _local(series)


def _local(series: Series) -> Dataset:
    """A local code whose meaning has a name in it, and more than a code."""
    study = series.study
    return item(
        CodeValue="7", CodingSchemeDesignator="99LOCAL", CodeMeaning=f"chest for {study.patient.person.plain}"[:64],
        OperatorsName=study.site.operator.name, ReferencedSOPInstanceUID=uid(study.uid, "item"),
    )  # fmt: skip


def _person(series: Series) -> Dataset:
    """Person Identification Macro (PS3.3 Table 10-1)."""
    site = series.study.site
    return item(
        PersonIdentificationCodeSequence=code("P7", "99LOCAL", site.physician.plain), PersonAddress=site.address,
        InstitutionName=site.institution, InstitutionAddress=site.address,
    )  # fmt: skip


def _reference(series: Series, keyword: str) -> Dataset:
    """SOP Instance Reference Macro (PS3.3 Table 10-11)."""
    return item(ReferencedSOPClassUID=_IMAGE, ReferencedSOPInstanceUID=uid(series.study.uid, keyword))


def _other_id(series: Series) -> Dataset:
    patient = series.study.patient
    return item(PatientID=patient.other_id, IssuerOfPatientID=patient.issuer, TypeOfPatientID="TEXT")


def _photo(series: Series) -> Dataset:
    """Referenced Instances and Access Macro (PS3.3 Table 10-3b)."""
    study = series.study
    photo = _reference(series, "photo")
    photo.HL7InstanceIdentifier = f"{uid(study.uid, 'photo')}^{study.accession}"
    return item(
        TypeOfInstances="DICOM", StudyInstanceUID=study.uid, SeriesInstanceUID=uid(study.uid, "photo"),
        ReferencedSOPSequence=Items([photo]),
        DICOMRetrievalSequence=one(RetrieveAETitle=study.site.station),
    )  # fmt: skip


def _icon(series: Series) -> Dataset:
    return item(
        SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", Rows=8, Columns=8, BitsAllocated=8, BitsStored=8,
        HighBit=7, PixelRepresentation=0, PixelData=bytes(range(64)),
    )  # fmt: skip


def _original(series: Series) -> Dataset:
    """Original Attributes (PS3.3 C.12.1.1.9): the name before somebody corrected it."""
    study, patient = series.study, series.study.patient
    return item(
        SourceOfPreviousValues=study.site.institution, AttributeModificationDateTime=f"{study.da(1)}080000",
        ModifyingSystem=study.site.station, ReasonForTheAttributeModification="CORRECT",
        ModifiedAttributesSequence=one(PatientName=patient.person.name, PatientID=patient.other_id),
    )  # fmt: skip


def _signature(series: Series) -> Dataset:
    """Digital Signatures Macro (PS3.3 Table C.12-6); of a certificate that names who signed."""
    study = series.study
    return item(
        MACIDNumber=1, DigitalSignatureUID=uid(study.uid, "signature"), CertificateType="X509_1993_SIG",
        DigitalSignatureDateTime=f"{study.da(1)}080000", Signature=b"\1\2\3\4",
        CertificateOfSigner=f"CN={study.site.physician.burned}".encode("ascii").ljust(64),
    )  # fmt: skip


def _device(series: Series) -> Dataset:
    return item(UniqueDeviceIdentifier=f"(01)00844588003288(21){series.study.site.serial}")


_OWN: Mapping[str, Callable[[Series], Dataset]] = MappingProxyType(
    {
        "OtherPatientIDsSequence": _other_id, "ReferencedPatientPhotoSequence": _photo, "IconImageSequence": _icon,
        "OriginalAttributesSequence": _original, "DigitalSignaturesSequence": _signature, "UDISequence": _device,
    }
)  # fmt: skip
