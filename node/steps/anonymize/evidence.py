"""What the output says was done to it (PS3.15 E.1.1 steps 7 and 8, E.3.6; PS3.3 C.7.1.1, C.7.5.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from node.dicom import deid_table
from node.dicom.uids import IMPLEMENTATION_CLASS_UID
from node.steps.anonymize.plan import Plan

WRITTEN = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
"""What `mark` writes; Patient Identity Removed, the method, its codes, and the state of dates."""

IMPLEMENTATION_VERSION_NAME = "DICOM_NODE"
"""(0002,0013), SH: which program, not which of its versions, so that an update changes no output."""


def mark(ds: Dataset, plan: Plan) -> None:
    """Write Patient Identity Removed, the method and the state of dates; what an earlier node wrote there goes."""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = list(method(plan))
    if "DeidentificationMethodCodeSequence" in ds:
        del ds.DeidentificationMethodCodeSequence
    if not plan.weakened:
        ds.DeidentificationMethodCodeSequence = Items(_code(name) for name in ("basic", *sorted(plan.options)))
    kept = "retain_long_full_dates" in plan.options
    ds.LongitudinalTemporalInformationModified = "UNMODIFIED" if kept else "REMOVED"


def method(plan: Plan) -> tuple[str, ...]:
    """De-identification Method (0012,0063): values of at most 64 characters (LO).

    A recipe that keeps more than the profile is told here in words, and no code of CID 7050 is claimed.
    """
    lines = [f"dicom-node: PS3.15 {deid_table.edition()} Basic Profile"]
    lines += sorted(plan.options)
    if plan.digest:
        lines.append(f"site recipe {plan.digest}" + (", keeps more than the profile" if plan.weakened else ""))
    return tuple(lines)


def file_meta(ds: Dataset, transfer_syntax: str) -> FileMetaDataset:
    """The file meta information afresh: AE titles, addresses and private information do not pass."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def _code(name: str) -> Dataset:
    code, meaning = deid_table.METHOD_CODES[name]
    item = Dataset()
    item.CodeValue = code
    item.CodingSchemeDesignator = "DCM"
    item.CodeMeaning = meaning
    return item
