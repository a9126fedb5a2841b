"""Identifiers in every place that Table E.1-1 names, each object a share of its rows, and in places that it does not.

An object may have attributes of Type 3 that its IOD does not name (PS3.4 B.4.1: a Standard Extended SOP Class), so
what is planted at the top leaves it valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from types import MappingProxyType
from typing import Any

from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from benchmarks.corpus import writing
from benchmarks.corpus.items import item_of
from benchmarks.corpus.study import Series, item, put, uid
from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG, keyword_of

_NEWER: Mapping[int, str] = MappingProxyType(
    {
        0x00081301: "SQ", 0x00081302: "SQ", 0x00081303: "SQ", 0x00081304: "SQ", 0x00100011: "SQ", 0x00100012: "LT",
        0x00100013: "LT", 0x00100014: "SQ", 0x00100015: "SQ", 0x00100016: "LT", 0x00100041: "SQ", 0x00100042: "LT",
        0x00100043: "SQ", 0x00100044: "SQ", 0x00100045: "LT", 0x00100046: "SQ", 0x00100047: "UR", 0x00102162: "UC",
        0x0040A034: "DT", 0x0040A035: "DT", 0x0040B034: "DT", 0x0040B036: "DT", 0x0040B03B: "LO", 0x0040B03F: "LO",
        0x0040E012: "UR", 0x3004007F: "LO",
    }
)  # fmt: skip
"""VRs of PS3.6 2026d for the rows that pydicom's dictionary does not have yet."""

_FIXED: Mapping[int, Any] = MappingProxyType(
    {
        0x001021A0: "NO", 0x001021C0: 4, 0x00102203: "UNALTERED", 0x04000600: "LOCAL", 0x04000565: "COERCE",
        0x00160070: b"\2\2\0\0", 0x00160071: "N", 0x00160072: ["52", "7", "33.25"], 0x00160073: "E",
        0x00160074: ["13", "41", "9.75"], 0x00160075: 0, 0x00160079: "A", 0x0016007A: "3", 0x0016007C: "K",
        0x0016007E: "T", 0x00160080: "T", 0x00160083: "N", 0x00160084: ["52", "9", "1.5"], 0x00160085: "E",
        0x00160086: ["13", "43", "2.5"], 0x00160087: "T", 0x00160089: "K", 0x0016008E: 0, 0x0072005F: "045Y",
        0x00080201: "+0130", 0x00100047: "https://categories.invented.test/7", 0x00102162: "INVENTED",
    }
)  # fmt: skip
"""Rows whose values are enumerated or have a form of their own (PS3.3), or that an option keeps as they are."""

_ELSEWHERE = frozenset({0x00420011, 0x0040A730, 0x00080018, 0x0020000D, 0x0020000E})
"""Rows that make an object another kind of object; those kinds have them."""


_BY_THEMSELVES = (range(0x00120010, 0x00120090), range(0x00400512, 0x00400611), range(0x00200052, 0x00200053))
"""Rows that would oblige an object to have the rest of a module (trial, specimen, frame of reference): these are
planted in the item three sequences deep, and those of the trial also all together."""


def rows() -> list[int]:
    """The rows that can be planted in a data set, in the order of their tags."""
    return sorted(tag for tag in deid_table.rows() if tag >> 16 > 7 and tag not in _ELSEWHERE)


def share(number: int, count: int) -> list[int]:
    """`count` rows for the object with this number: one after the other they go round the table."""
    every = rows()
    return list(islice(cycle(every), (number * count) % len(every), (number * count) % len(every) + count))


def plant_rows(ds: Dataset, series: Series, tags: list[int], *, unsafe: bool) -> None:
    """Rows that the object does not have already. `unsafe`: also those whose VR an implicit syntax would lose."""
    deep = plant_nested(ds, series)
    for tag in tags:
        vr = VR_BY_TAG.get(tag) or (_NEWER[tag] if unsafe else "")
        where = deep if any(tag in some for some in _BY_THEMSELVES) else ds
        if vr and tag not in where:
            where[tag] = DataElement(tag, vr, _FIXED.get(tag) or _value(tag, vr, series))
    if "ResponsiblePerson" in ds:
        ds.ResponsiblePersonRole = "PARENT"  # PS3.3 C.7.1.1: required with it


def plant_trial(ds: Dataset, series: Series) -> None:
    """Clinical Trial Subject (PS3.3 C.7.1.3)."""
    patient, site = series.study.patient, series.study.site
    put(
        ds, ClinicalTrialSponsorName=f"{site.institution} sponsor", ClinicalTrialProtocolID=f"PR{patient.other_id[:6]}",
        ClinicalTrialProtocolName="", ClinicalTrialSiteID=site.station, ClinicalTrialSiteName=site.institution,
        ClinicalTrialSubjectID=patient.other_id,
    )  # fmt: skip


def plant_private(ds: Dataset, series: Series) -> None:
    """Creators that nobody knows, one that is safe with an element that is not, an orphan and a nested block.

    The safe one has the second block of its group for every second patient, after somebody who uses the same numbers;
    and what it is safe in is one group: it is in another one too.
    """
    study, patient = series.study, series.study.patient
    if patient.number % 2:
        first = ds.private_block(0x0019, "INVENTED FIRST", create=True)
        first.add_new(0x0C, "LO", patient.person.plain[:64])
        first.add_new(0x0D, "LO", patient.patient_id)
    ds.private_block(0x0021, "SIEMENS MR HEADER", create=True).add_new(0x0C, "LO", patient.patient_id)
    known = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)  # PS3.15 Table E.3.10-1
    known.add_new(0x0C, "IS", "1000")
    known.add_new(0x0D, "CS", "DIRECTIONAL")
    known.add_new(0x60, "LO", f"{patient.person.plain}"[:64])
    scanner = ds.private_block(0x0009, "INVENTED SCANNER 01", create=True)
    scanner.add_new(0x01, "LO", patient.patient_id)
    scanner.add_new(0x02, "PN", patient.person.name)
    scanner.add_new(0x03, "DA", patient.birth_date)
    scanner.add_new(0x04, "UI", uid(study.uid, "private"))
    scanner.add_new(0x05, "OB", _even(f"log {patient.patient_id} {patient.person.burned}"))
    scanner.add_new(0x06, "UN", _even(f"{patient.mail}"))
    nested = item(PatientName=patient.person.name, AccessionNumber=study.accession)
    nested.private_block(0x0021, "INVENTED SCANNER 02", create=True).add_new(0x07, "LT", _told(series))
    scanner.add_new(0x08, "SQ", Items([nested]))
    ds.private_block(0x0029, f"OF {patient.patient_id}", create=True).add_new(0x01, "SH", study.accession)
    ds.add_new(0x00313301, "LO", patient.other_id)


def plant_written(ds: Dataset, series: Series, number: int) -> None:
    """Comments as somebody types them (PS3.3 C.7.6.1), each object in another form."""
    people, seen = writing.names(series.study.patient.person), writing.days(series.study.day)
    doctors = writing.names(series.study.site.physician)
    ds.ImageComments = (
        f"Axial liver lesion, {people[number % len(people)]}; seen {seen[number % len(seen)]} "
        f"by {doctors[(number + 2) % len(doctors)]}. stable"
    )


def plant_nested(ds: Dataset, series: Series) -> Dataset:
    """An item three sequences deep, on a way that the table does not name: only a walk of all items finds it."""
    study, patient = series.study, series.study.patient
    deep = item(
        PatientName=patient.person.name, PatientID=patient.patient_id, InstitutionName=study.site.institution,
        ContentDate=study.da(), OperatorsName=study.site.operator.name, ReferencedSOPInstanceUID=uid(study.uid, "deep"),
        CodeValue="7", CodingSchemeDesignator="99LOCAL", CodeMeaning=f"chest for {patient.person.plain}"[:64],
    )  # fmt: skip
    middle = item(AlgorithmFamilyCodeSequence=Items([deep]), AlgorithmName="planner", AlgorithmVersion="1")
    ds.SurfaceProcessingAlgorithmIdentificationSequence = Items([middle])
    return deep


def plant_curve(ds: Dataset, series: Series) -> None:
    """A curve (50xx, retired in PS3.3 2004), whose label and points say who it is."""
    patient = series.study.patient
    ds.add_new(0x50000005, "US", 1)
    ds.add_new(0x50000010, "US", 8)
    ds.add_new(0x50000020, "CS", "ECG")
    ds.add_new(0x50000022, "LO", patient.person.plain[:64])
    ds.add_new(0x50000103, "US", 0)
    ds.add_new(0x50002500, "LO", patient.patient_id)
    ds.add_new(0x50003000, "OW", _even(patient.person.burned))


def plant_around(ds: FileDataset, series: Series) -> None:
    """The preamble (PS3.10 7.1), file meta information with its private part, and what fills up the end."""
    study, patient = series.study, series.study.patient
    ds.preamble = f"{patient.person.burned} {patient.patient_id}".encode("ascii").ljust(128, b"\0")[:128]
    ds.file_meta.SourceApplicationEntityTitle = study.site.station
    ds.file_meta.PrivateInformationCreatorUID = UID(uid(study.uid, "meta"))
    ds.file_meta.PrivateInformation = _even(patient.patient_id)
    ds.DataSetTrailingPadding = _even(patient.patient_id)


def _value(tag: int, vr: str, series: Series) -> Any:
    study, patient, site = series.study, series.study.patient, series.study.site
    number = tag & 0xFFF
    if vr == "SQ":
        return Items([item_of(keyword_of(tag) or "", series)])
    if vr in ("DS", "IS"):
        return str(1000 + number)
    values = {
        "PN": _people(tag, series),
        "DA": study.da(-(number % 300)),
        "TM": study.time,
        "DT": (f"{study.da(-3)}{study.time}", f"{study.da(-4)}101500.5+0130", study.da(-5))[number % 3],
        "AS": patient.age, "AE": site.station, "CS": site.station, "UI": uid(study.uid, tag),
        "SH": patient.patient_id, "LO": f"{study.region.lower()} {patient.person.plain} {study.accession}"[:64],
        "ST": _told(series, number)[:1024], "LT": _told(series, number), "UT": _told(series, number),
        "UC": f"{patient.person.plain} {number}",
        "UR": f"https://example.org/{patient.patient_id}", "OB": _even(f"{patient.patient_id} {number}"),
        "UN": _even(patient.other_id), "US": number,
    }  # fmt: skip
    return values[vr]


def _people(tag: int, series: Series) -> str | list[str]:
    """The patient or a physician; both, with all groups of their names, where there may be several."""
    patient, physician = series.study.patient.person, series.study.site.physician
    if VR_BY_TAG.get(tag) == "PN" and dictionary_VM(tag) == "1-n":
        return [physician.name, patient.name]
    return patient.name if tag >> 16 == 0x10 else physician.name


def _told(series: Series, number: int = 0) -> str:
    """Free text as people write it: clinical words among everything that identifies, in a form for each number."""
    study, patient, site = series.study, series.study.patient, series.study.site
    others = " ".join(patient.person.name.replace("^", " ").split("=")[1:])
    people, doctors = writing.names(patient.person), writing.names(site.physician)
    born, seen = writing.days(study.born), writing.days(study.day)
    return (
        f"{study.region} routine. {people[number % len(people)]} {others} ({patient.patient_id}), born "
        f"{born[number % len(born)]}, {patient.address}, {patient.phone}, "
        f"{patient.mail}. Stable lesion, contrast follow up. Seen {seen[(number + 1) % len(seen)]} by "
        f"{doctors[number % len(doctors)]}, {site.institution}."
    )


def _even(text: str) -> bytes:
    data = text.encode("ascii", "replace")
    return data + b" " * (len(data) % 2)
