"""What a patient has: studies and series, with the modules of PS3.3 that every object of them carries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian

from benchmarks.corpus import writing
from benchmarks.corpus.people import Patient, Site

ROOT = "1.2.826.0.1.3680043.8.498."
STORAGE = "1.2.840.10008.5.1.4.1.1."


def uid(*words: object) -> str:
    """Always the same for the same words."""
    digest = hashlib.sha256(" ".join(map(str, words)).encode()).digest()
    return ROOT + str(int.from_bytes(digest[:12], "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One visit of a patient."""

    seed: int
    patient: Patient
    site: Site
    number: int
    """1 for a patient's first."""
    day: date
    region: str
    """Body Part Examined (PS3.16 Annex L)."""

    @property
    def uid(self) -> str:
        return uid(self.seed, self.patient.number, self.number)

    @property
    def frame(self) -> str:
        """Frame of Reference UID of all images of the study, so that a segmentation lies upon its CT."""
        return uid(self.seed, self.patient.number, self.number, "frame")

    @property
    def accession(self) -> str:
        return f"AC{int(self.uid.rpartition('.')[2]) % 10**8:08d}"

    @property
    def time(self) -> str:
        return f"{8 + self.number:02d}1542.250"

    def da(self, days: int = 0) -> str:
        """DA of the study's day, or of another so many days later."""
        return (self.day + timedelta(days)).strftime("%Y%m%d")

    @property
    def born(self) -> date:
        return date.fromisoformat(self.patient.birth_date)

    @property
    def tokens(self) -> tuple[str, ...]:
        """All text that identifies in an object of this study."""
        days = (*writing.days(self.born), *writing.days(self.day))
        # Eight digits may be any number, and another date may be moved to them; those of a birth are not seen again.
        sure = (day for day in days if not day.isdecimal() or day == self.patient.birth_date)
        return (*self.patient.tokens, *self.site.tokens, self.accession, *sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series; instances are numbered over the whole corpus, so that each is found again whatever renamed it."""

    study: Study
    modality: str
    number: int
    label: str
    """Series Description without anybody's name."""

    @property
    def uid(self) -> str:
        return uid(self.study.uid, self.number)

    def instance(self, number: int) -> str:
        """SOP Instance UID."""
        return uid(self.uid, number)

    def rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.study.seed, self.study.patient.number, number])


def begin(series: Series, sop_class: str, number: int) -> FileDataset:
    """Patient, General Study, General Series, General Equipment and SOP Common (PS3.3 C.7.1 to C.7.5, C.12.1)."""
    study, patient, site = series.study, series.study.patient, series.study.site
    ds = FileDataset("", Dataset(), file_meta=FileMetaDataset(), preamble=bytes(128))
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if patient.repertoire.terms:
        ds.SpecificCharacterSet = list(patient.repertoire.terms)
    ds.SOPClassUID, ds.SOPInstanceUID = UID(sop_class), UID(series.instance(number))
    put(
        ds,
        StudyDate=study.da(), SeriesDate=study.da(), StudyTime=study.time, SeriesTime=study.time,
        AccessionNumber=study.accession, Modality=series.modality, Manufacturer="INVENTED",
        InstitutionName=site.institution, InstitutionAddress=site.address,
        InstitutionalDepartmentName=site.department, StationName=site.station, DeviceSerialNumber=site.serial,
        ReferringPhysicianName=site.physician.name, OperatorsName=[site.operator.name, site.physician.name],
        StudyDescription=f"{study.region} follow up", SeriesDescription=series.label,
        ManufacturerModelName=f"{series.modality} MODEL 7", SoftwareVersions="7.1",
        PatientName=patient.person.name, PatientID=patient.patient_id, IssuerOfPatientID=patient.issuer,
        PatientBirthDate=patient.birth_date, PatientSex=patient.sex, PatientAge=patient.age,
        PatientSize=f"1.{50 + patient.number % 40}", PatientWeight=f"{55 + patient.number % 40}.5",
        OtherPatientIDs=patient.other_id, EthnicGroup="INVENTED", PatientAddress=patient.address,
        PatientTelephoneNumbers=patient.phone, StudyInstanceUID=study.uid, SeriesInstanceUID=series.uid,
        StudyID=study.accession[2:], SeriesNumber=series.number, InstanceNumber=number,
    )  # fmt: skip
    ds.ReferencedStudySequence = one(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=uid(study.uid, "referenced")
    )
    ds.RequestAttributesSequence = one(
        RequestedProcedureID=study.accession[2:], ScheduledProcedureStepID=study.accession[3:],
        RequestedProcedureDescription=f"{study.region} contrast {patient.person.plain}",
    )  # fmt: skip
    return ds


def image(ds: Dataset, series: Series, *words: str) -> None:
    """General Image and, where the object is an image of a body part, its region (PS3.3 C.7.6.1)."""
    study = series.study
    put(
        ds,
        ImageType=["ORIGINAL", "PRIMARY", *words], AcquisitionDate=study.da(), ContentDate=study.da(),
        AcquisitionTime=study.time, ContentTime=study.time, AcquisitionNumber=1,
        BodyPartExamined=study.region, PatientOrientation="", LossyImageCompression="00",
    )  # fmt: skip


def pixels(ds: Dataset, values: np.ndarray, *, stored: int = 0, photometric: str = "") -> None:
    """Image Pixel (PS3.3 C.7.6.3): (rows, columns) or (rows, columns, 3) of uint8, and before these the frames."""
    colour = values.ndim >= 3 and values.shape[-1] == 3
    plane = values.shape[-3:-1] if colour else values.shape[-2:]
    bits = values.dtype.itemsize * 8
    put(
        ds,
        SamplesPerPixel=3 if colour else 1, Rows=plane[0], Columns=plane[1], BitsAllocated=bits,
        PhotometricInterpretation=photometric or ("RGB" if colour else "MONOCHROME2"), BitsStored=stored or bits,
        HighBit=(stored or bits) - 1, PixelRepresentation=int(values.dtype.kind == "i"),
    )  # fmt: skip
    if colour:
        ds.PlanarConfiguration = 0
    if values.ndim - colour == 3:
        ds.NumberOfFrames = values.shape[0]
    ds.PixelData = values.astype(values.dtype.newbyteorder("<")).tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"


def picture(rng: np.random.Generator, rows: int, columns: int, *, low: int, high: int, dtype: str) -> np.ndarray:
    """A slope with noise: nothing in it stands out as text does."""
    noise = rng.integers(0, max(2, (high - low) // 20), (rows, columns))
    slope = np.add.outer(np.linspace(0, 0.5, rows), np.linspace(0, 0.4, columns)) * (high - low)
    return (slope + noise + low).astype(dtype)


def put(ds: Dataset, **values: Any) -> None:
    for keyword, value in values.items():
        setattr(ds, keyword, value)


def item(**values: Any) -> Dataset:
    ds = Dataset()
    put(ds, **values)
    return ds


def one(**values: Any) -> Items:
    return Items([item(**values)])


def code(value: str, scheme: str, meaning: str) -> Items:
    """One item of a code sequence (PS3.3 8.8)."""
    return one(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
