"""A de-identified data set to a file: byte for byte what pydicom writes, without its detour for what did not change.

Four elements of five, and nearly all bytes, leave as they were read. pydicom takes each through a buffer of its own
and copies the pixels three times; here they are only given their heads again.
"""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from node.dicom import dataset
from node.dicom.encoding import element
from node.dicom.part10 import PREAMBLE
from node.steps.anonymize.walk import element_of

_UNDEFINED = 0xFFFFFFFF
_PIXEL_DATA = 0x7FE00010
_LONG = frozenset(str(vr) for vr in EXPLICIT_VR_LENGTH_32)
"""Representations with a length of 32 bits (PS3.5 7.1.2)."""


def write(ds: FileDataset, target: Path) -> None:
    """Write `ds`, as it was read but for what was changed in it, in its own transfer syntax.

    Raises what `dcmwrite` raises, and then may leave a part of the file.
    """
    if not _is_encoded_as_it_goes(ds):
        dataset.write(ds, target)
        return
    implicit, little_endian = map(bool, ds.original_encoding)
    compressed = ds.file_meta.TransferSyntaxUID.is_compressed
    pieces = [_meta(ds)]
    for tag in sorted(ds.keys(), key=int):  # a tag of pydicom's compares itself in Python
        pixels = int(tag) == _PIXEL_DATA
        if tag & 0xFFFF == 0 and tag >> 16 > 6:
            continue  # Group Length, retired (PS3.5 7.2)
        raw = element_of(ds, tag)
        if isinstance(raw, RawDataElement) and not (pixels and compressed):
            head = _head(raw, implicit, little_endian)
            if head is not None:
                pieces += (head, raw.value or b"")
                continue
        if pixels:  # PS3.5 A.4, as dcmwrite does
            ds[tag].is_undefined_length = compressed
        pieces.append(_encoded(ds, tag, implicit, little_endian))
    with target.open("wb") as file:
        file.writelines(pieces)


def _is_encoded_as_it_goes(ds: FileDataset) -> bool:
    """Whether nothing but what changed has to be encoded anew; where it has, or on any doubt, pydicom encodes all."""
    syntax = ds.file_meta.TransferSyntaxUID
    return (
        not syntax.is_private
        and syntax.is_transfer_syntax
        and syntax != DeflatedExplicitVRLittleEndian
        and (syntax.is_implicit_VR, syntax.is_little_endian) == ds.original_encoding
        and ds.original_character_set == ds._character_set  # as pydicom's write_dataset asks
        and min(ds.keys(), default=0) >> 16 > 2
    )


def _meta(ds: FileDataset) -> bytes:
    """Preamble and file meta information (PS3.10 7.1), each element of `evidence.file_meta`."""
    meta = ds.file_meta
    group = b"".join(
        (
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", meta.MediaStorageSOPClassUID.encode("ascii")),
            element(0x00020003, "UI", meta.MediaStorageSOPInstanceUID.encode("ascii")),
            element(0x00020010, "UI", meta.TransferSyntaxUID.encode("ascii")),
            element(0x00020012, "UI", meta.ImplementationClassUID.encode("ascii")),
            element(0x00020013, "SH", str(meta.ImplementationVersionName).encode("ascii")),
        )
    )
    return PREAMBLE + element(0x00020000, "UL", len(group).to_bytes(4, "little")) + group


def _head(raw: RawDataElement, implicit: bool, little_endian: bool) -> bytes | None:
    """Tag, representation and length (PS3.5 7.1) of an element that goes on as it is; None where it cannot."""
    tag, vr, length = int(raw.tag), raw.VR, len(raw.value or b"")
    if raw.length == _UNDEFINED or (raw.is_implicit_VR, raw.is_little_endian) != (implicit, little_endian):
        return None
    if tag == _PIXEL_DATA and length % 2:
        return None  # pydicom pads it
    order = "<" if little_endian else ">"
    if implicit:
        return struct.pack(f"{order}HHL", tag >> 16, tag & 0xFFFF, length)
    if vr is None or len(vr) != 2:
        return None
    if vr in _LONG:
        return struct.pack(f"{order}HH2sHL", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    if length > 0xFFFF:
        return None
    return struct.pack(f"{order}HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _encoded(ds: FileDataset, tag: BaseTag, implicit: bool, little_endian: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little_endian
    write_data_element(buffer, element_of(ds, tag), ds.get("SpecificCharacterSet", default_encoding))
    return bytes(buffer.getvalue())
