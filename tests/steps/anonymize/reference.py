"""The plain way to de-identify, on pydicom from end to end: slow, and what the engine must come to as well.

It shares the plan, the decisions of decision.py and the marks of evidence.py with the engine, and none of what finds,
keeps or writes an element.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from node.certificate.actions import Done, Recorder
from node.dicom import dataset
from node.dicom.encoding import Malformed
from node.dicom.uids import IMPLEMENTATION_CLASS_UID
from node.steps.anonymize import by_value, evidence, representation, text, values
from node.steps.anonymize.identifying import cleaner_of
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.plain import Plain, character_set, raw_bytes
from node.steps.anonymize.plan import PATIENT_ID, PATIENT_NAME, Plan
from node.steps.anonymize.scope import IDENTITY_UIDS, ISSUER, Scope, UndecidableError
from node.steps.anonymize.telling import value_of
from node.steps.anonymize.walk import walk

UNREADABLE = (
    AttributeError, BytesLengthException, EOFError, InvalidDicomError, KeyError, Malformed, NotImplementedError,
    RecursionError, TypeError, ValueError, OSError, Warning, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom was seen to raise on damaged data sets, and what decision.py does."""


def deidentified(
    source: Path, target: Path, plan: Plan, patients: Patients, recorder: Recorder | None = None
) -> FileDataset:
    """Write what becomes of `source`, and give it; raises one of UNREADABLE."""
    with source.open("rb") as file:
        ds = dataset.read(file)
    syntax = str(ds.file_meta.TransferSyntaxUID)
    walk(ds, scope_of(ds, plan, patients), recorder)
    added = [tag for tag in plan.add if tag not in ds]
    for tag, value in plan.add.items():
        values.put(ds, tag, value)
    evidence.mark(ds, plan)
    if recorder is not None:
        for tag in (*added, *(tag for tag in evidence.WRITTEN if tag in ds)):
            recorder.did((tag,), Done.ADDED, None, value_of(ds[tag]))
    ds.file_meta = _file_meta(ds, syntax)
    ds.preamble = bytes(128)
    if "PixelData" in ds:
        ds["PixelData"].is_undefined_length = ds.file_meta.TransferSyntaxUID.is_compressed
    dataset.write(ds, target)
    return ds


def scope_of(ds: Dataset, plan: Plan, patients: Patients) -> Scope:
    def uid(tag: int) -> str:
        value = raw_bytes(ds, tag).decode("ascii").strip(" \0")
        if "\\" in value or not representation.is_one("UI", value.encode()):
            raise UndecidableError("its identity is not one UID")
        return value

    if not all(map(uid, (0x00080016, *IDENTITY_UIDS[:3]))):
        raise UndecidableError("it has no identity")
    encodings = text.encodings(character_set(ds))
    plan = plan.suited(set(map(int, ds.keys())))
    plan = by_value.laid_over(plan, by_value.found_in(Plain(ds), plan, encodings))
    patient_id = text.decode(raw_bytes(ds, PATIENT_ID), encodings)
    patient = patients.find(text.decode(raw_bytes(ds, ISSUER), encodings), patient_id, uid(0x0020000D))
    return Scope(
        plan=plan, patients=patients, encodings=encodings, patient=patient, days=patient.days,
        cleaner=cleaner_of(Plain(ds), encodings, plan) if plan.cleans else None,
        own_uids=frozenset(filter(None, map(uid, IDENTITY_UIDS))),
        own_words=text.words(text.decode(raw_bytes(ds, PATIENT_NAME), encodings), patient_id),
    )  # fmt: skip


def _file_meta(ds: Dataset, transfer_syntax: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = evidence.IMPLEMENTATION_VERSION_NAME
    return meta
