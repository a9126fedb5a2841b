"""A data set with a marker in every attribute of PS3.15 Table E.1-1, and in places that no table names."""

from __future__ import annotations

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from node.dicom import deid_table
from node.dicom.attributes import VR_BY_TAG
from tests import make

MARK = "ZQPLANTED"
MARKS = (MARK.encode(), b"ZQNAME", b"ZQID-77", b"1.2.3.777.", b"19770707", b"070707.77", b"077Y")
_BY_VR = {"AS": "077Y", "DA": "19770707", "DT": "19770707070707.77", "TM": "070707.77", "UR": f"http://{MARK}"}
_TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT")
_LEFT_ALONE = {0x00080005, 0x00080016, 0x00080060, 0x00280301, 0x0040A730, 0x00420011}
"""What decides whether an instance is held at all."""


def marker(tag: int) -> DataElement | None:
    """The attribute filled with a marker; None for representations that hold no text."""
    vr = VR_BY_TAG.get(tag, "LO")
    if vr == "SQ":
        item = Dataset()
        item.StudyComments = MARK
        item.OperatorsName = MARK
        return DataElement(tag, "SQ", Sequence([item]))
    if vr == "UI":
        return DataElement(tag, "UI", f"1.2.3.777.{tag}")
    if vr in ("OB", "UN"):
        return DataElement(tag, vr, MARK.encode() + b" ")
    value = _BY_VR.get(vr) or (MARK if vr in _TEXT else None)
    return None if value is None else DataElement(tag, vr, value)


def plant(ds: Dataset) -> list[int]:
    """Fill every row of the table in `ds`; the tags that were filled."""
    planted = []
    for tag in deid_table.rows():
        element = marker(tag) if tag >> 16 > 7 and tag not in _LEFT_ALONE else None
        if element is not None:
            ds[tag] = element
            planted.append(tag)
    return planted


def everywhere() -> tuple[FileDataset, list[int]]:
    """A CT image with all rows planted at the top, two sequences deep, and around the table."""
    ds = make.ct_series(1)[0]
    planted = plant(ds)
    deep, outer = Dataset(), Dataset()
    plant(deep)
    outer.PatientName = MARK
    # Other words than MARK, because text that says the patient's name is replaced also where an option keeps it.
    ds.PatientName, ds.PatientID = "ZQNAME^ZQNAMEGIVEN", "ZQID-77"
    ds.AnatomicRegionSequence = Sequence([outer])
    outer.AnatomicRegionModifierSequence = Sequence([deep])
    _around_the_table(ds)
    return ds, planted


def _around_the_table(ds: Dataset) -> None:
    block = ds.private_block(0x0019, "SOMEBODY", create=True)
    block.add_new(1, "LO", MARK)
    inner = Dataset()
    inner.private_block(0x0021, MARK, create=True).add_new(2, "LO", MARK)
    block.add_new(2, "SQ", Sequence([inner]))
    for group in (0x6000, 0x6002):
        ds.add_new((group, 0x0010), "US", 1)
        ds.add_new((group, 0x0011), "US", 8)
        ds.add_new((group, 0x0022), "LO", MARK)
        ds.add_new((group, 0x1500), "LO", MARK)
        ds.add_new((group, 0x3000), "OW", MARK.encode() + b" ")
        ds.add_new((group, 0x4000), "LT", MARK)
    ds.add_new((0x5000, 0x0022), "LO", MARK)
    ds.add_new((0x5000, 0x3000), "OW", MARK.encode() + b" ")
    ds.add_new((0x0018, 0xFFF1), "LO", MARK)  # in no edition of PS3.6
    local = Dataset()
    local.CodeValue, local.CodingSchemeDesignator, local.CodeMeaning = "7", "99LOCAL", f"CT thorax for {MARK}"
    ds.ProcedureCodeSequence = Sequence([local])
    ds.EncryptedAttributesSequence = Sequence([Dataset()])
    ds.EncryptedAttributesSequence[0].EncryptedContent = MARK.encode() + b" "
    ds.preamble = (MARK.encode() * 20)[:128]
    ds.file_meta.SourceApplicationEntityTitle = MARK
    ds.file_meta.SendingApplicationEntityTitle = MARK
    ds.file_meta.ReceivingApplicationEntityTitle = MARK
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3.777.1"
    ds.file_meta.PrivateInformation = MARK.encode() + b" "
