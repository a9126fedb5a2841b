"""Objects whose content is text: a structured report and an encapsulated PDF."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from benchmarks.corpus import writing
from benchmarks.corpus.study import STORAGE, Series, begin, code, item, one, put, uid

Reference = tuple[str, str, str]
"""(Series Instance UID, SOP Class UID, SOP Instance UID) of an image that is referred to."""


def sr(series: Series, number: int, images: Sequence[Reference]) -> FileDataset:
    """Comprehensive SR (PS3.3 A.35.3): who read it, what was seen, measured and concluded, and on which image."""
    study, patient, site = series.study, series.study.patient, series.study.site
    ds = begin(series, STORAGE + "88.33", number)
    put(
        ds, ContentDate=study.da(1), ContentTime="101500", CompletionFlag="COMPLETE", VerificationFlag="VERIFIED",
        ValueType="CONTAINER", ContinuityOfContent="SEPARATE",
    )  # fmt: skip
    ds.ReferencedPerformedProcedureStepSequence = Items()
    ds.PerformedProcedureCodeSequence = Items()
    ds.VerifyingObserverSequence = one(
        VerifyingObserverName=site.physician.name, VerifyingOrganization=site.institution,
        VerificationDateTime=f"{study.da(1)}120000", VerifyingObserverIdentificationCodeSequence=Items(),
    )  # fmt: skip
    ds.ConceptNameCodeSequence = code("18748-4", "LN", "Diagnostic imaging report")
    ds.CurrentRequestedProcedureEvidenceSequence = _evidence(study.uid, images)
    finding = f"Liver lesion in {patient.person.plain}, stable. Call {patient.phone} or {patient.mail}"
    conclusion = f"No fracture. Seen {study.day:%d.%m.%Y} by {site.physician.plain}"
    ds.ContentSequence = Items(
        [
            _content("HAS OBS CONTEXT", "PNAME", "121008", "Person Observer Name", PersonName=site.physician.name),
            _content("HAS OBS CONTEXT", "TEXT", "121009", "Person Observer's Organization", TextValue=site.institution),
            _content("HAS OBS CONTEXT", "TEXT", "121030", "Subject ID", TextValue=patient.patient_id),
            _content("HAS OBS CONTEXT", "UIDREF", "121018", "Procedure Study Instance UID", UID=study.uid),
            _content("CONTAINS", "TEXT", "121071", "Finding", TextValue=finding),
            _measured(),
            _content("CONTAINS", "TEXT", "121077", "Conclusion", TextValue=conclusion),
            _content("CONTAINS", "DATE", "111060", "Study Date", Date=study.da()),
            _within(series),
            _shown(images[0]),
        ]
    )  # fmt: skip
    return ds


def pdf(series: Series, number: int) -> FileDataset:
    """Encapsulated PDF (PS3.3 A.45.1): a page that says who the patient is, in letters that a search finds."""
    study, patient = series.study, series.study.patient
    ds = begin(series, STORAGE + "104.1", number)
    put(
        ds, ConversionType="WSD", ContentDate=study.da(1), ContentTime="101500", AcquisitionDateTime="",
        BurnedInAnnotation="YES", DocumentTitle=f"report {patient.person.plain}",
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=page(f"{patient.person.burned} {patient.patient_id}"),
    )  # fmt: skip
    ds.ConceptNameCodeSequence = code("18748-4", "LN", "Diagnostic imaging report")
    return ds


def page(text: str) -> bytes:
    """A PDF 1.4 document of one page with one line of ASCII text, of even length."""
    stream = f"BT /F1 18 Tf 72 720 Td ({text}) Tj ET".encode("ascii")
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    data, places = b"%PDF-1.4\n", []
    for n, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (n, part)
    start = len(data)
    data += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    return data + b"\n" * (len(data) % 2)


def _evidence(study: str, images: Sequence[Reference]) -> Items:
    return one(
        StudyInstanceUID=study,
        ReferencedSeriesSequence=Items(
            [
                item(
                    SeriesInstanceUID=series,
                    ReferencedSOPSequence=Items(
                        [item(ReferencedSOPClassUID=c, ReferencedSOPInstanceUID=i) for s, c, i in images if s == series]
                    ),
                )
                for series in dict.fromkeys(series for series, _, _ in images)
            ]
        ),
    )


def _content(relation: str, kind: str, concept: str, meaning: str, **values: object) -> Dataset:
    found = item(RelationshipType=relation, ValueType=kind, **values)
    found.ConceptNameCodeSequence = code(concept, "DCM", meaning)
    return found


def _within(series: Series) -> Dataset:
    """What is said two containers deep, in other forms; and a local code whose meaning names somebody."""
    study, patient = series.study, series.study.patient
    people, seen = writing.names(patient.person), writing.days(study.day)
    number = patient.number
    comment = f"Chest lesion of {people[number % len(people)]} as on {seen[number % len(seen)]}, follow up"
    mass = _content("CONTAINS", "CODE", "121072", "Impression")
    mass.ConceptCodeSequence = code("M7", "99LOCAL", f"mass of {patient.person.burned}"[:64])
    inner = _content("CONTAINS", "CONTAINER", "121078", "Recommendations", ContinuityOfContent="SEPARATE")
    inner.ContentSequence = Items(
        [
            _content("CONTAINS", "TEXT", "121106", "Comment", TextValue=comment),
            _content("CONTAINS", "DATETIME", "111526", "DateTime Started", DateTime=f"{study.da()}{study.time}"),
            mass,
        ]
    )  # fmt: skip
    outer = _content("CONTAINS", "CONTAINER", "121070", "Findings", ContinuityOfContent="SEPARATE")
    outer.ContentSequence = Items([inner])
    return outer


def _measured() -> Dataset:
    """A number with its unit: what a reader of the report must still find."""
    value = item(NumericValue="12.5", MeasurementUnitsCodeSequence=code("mm", "UCUM", "millimeter"))
    return _content("CONTAINS", "NUM", "121206", "Distance", MeasuredValueSequence=Items([value]))


def _shown(image: Reference) -> Dataset:
    reference = one(ReferencedSOPClassUID=image[1], ReferencedSOPInstanceUID=image[2])
    found = _content("CONTAINS", "IMAGE", "121080", "Best illustration of finding", ReferencedSOPSequence=reference)
    found.ObservationUID = uid(image[2], "observation")
    return found
