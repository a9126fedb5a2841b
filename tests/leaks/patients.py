"""Invented patients as originals, and outputs to read for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.leaks import Collected, Finding, Kept, Output, Reader, What, collect
from tests import make

UID = "1.3.12.2.1107.5.2.30.26380.20200102101"


def original(**values: object) -> FileDataset:
    """A CT of Anna Müller-Königstein, with every kind of value that identifies her."""
    ds = make.ct_series(1)[0]
    ds.PatientName = "Müller-Königstein^Anna^Q"
    ds.PatientID = "MRN-0047113"
    ds.OtherPatientNames = "Kowalczyk^Anna"
    ds.PatientBirthDate = "19610409"
    ds.StudyDate = "20170823"
    ds.StudyID = "7"
    ds.AccessionNumber = "ACC 88123457"
    ds.AdmissionID = "5550123"
    ds.ReferringPhysicianName = "Okonkwo^Chinua^^Dr."
    ds.OperatorsName = "Petrosyan"
    ds.PatientAddress = "Lindenallee 27, 79104 Zähringen"
    ds.PatientTelephoneNumbers = "+49 761 555 0199"
    ds.InstitutionName = "Charité Campus Virchow"
    ds.InstitutionAddress = "Augustenburger Platz 1, Berlin"
    ds.InstitutionalDepartmentName = "Neuroradiologie"
    ds.Manufacturer = "SIEMENS"
    ds.DeviceSerialNumber = "40277-B"
    ds.StationName = "AWP45557"
    ds.FrameOfReferenceUID = UID
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def collected(folder: Path, *instances: FileDataset, kept: Kept = Kept()) -> Collected:  # noqa: B008  a value
    return collect(make.write_all(instances or [original()], folder / "originals"), kept)


def named(*names: str, **other: Iterable[tuple[What, str]]) -> Collected:
    """Of one patient known by a name alone."""
    return Collected(
        names=frozenset((What.PATIENT, name) for name in names),
        identifiers=frozenset(other.get("identifiers", ())), phrases=frozenset(other.get("phrases", ())),
    )  # fmt: skip


def clean(number: int = 1) -> FileDataset:
    """An output that says nothing of anybody."""
    ds = make.ct_series(1)[0]
    for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        setattr(ds, keyword, "")
    ds.PatientBirthDate = ds.StudyDate = ds.StudyTime = ""
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(ds, keyword, make.uid("output", keyword, number))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientIdentityRemoved = "YES"
    return ds


def item(**values: object) -> Sequence:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return Sequence([ds])


def read(found: Collected, output: Path | FileDataset, folder: Path, kept: Kept = Kept()) -> list[Finding]:  # noqa: B008  a value
    """The findings in one file."""
    path = make.write(output, folder / "output.dcm") if isinstance(output, FileDataset) else output
    return Reader(found, kept).read(Output(path=path, number=1))


def whats(findings: Iterable[Finding]) -> set[What]:
    return {finding.what for finding in findings}
