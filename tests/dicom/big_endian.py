"""Explicit VR Big Endian with elements written as UN, by hand: no writer that the tests have makes them right."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import ExplicitVRBigEndian

from tests.dicom.datasets import ITEM, ITEM_END, SEQUENCE_END

_UNDEFINED = 0xFFFFFFFF
_LONG = ("OB", "OD", "OF", "OL", "OW", "SQ", "UC", "UN", "UR", "UT")


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """One explicit big endian element; the value is taken as it is."""
    length = len(value) if length is None else length
    head = struct.pack(">HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack(">HI", 0, length) if vr in _LONG else struct.pack(">H", length)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """One implicit little endian element, as it stands in what is written as UN."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def items(*contents: bytes, defined: bool = True) -> bytes:
    """Implicit little endian items, and the delimiter of their sequence where lengths are undefined."""
    if defined:
        return b"".join(ITEM + struct.pack("<I", len(content)) + content for content in contents)
    return b"".join(ITEM + b"\xff\xff\xff\xff" + content + ITEM_END for content in contents) + SEQUENCE_END


def unknown_sequence(tag: int, *contents: bytes, defined: bool = True) -> bytes:
    return element(tag, "UN", items(*contents, defined=defined), None if defined else _UNDEFINED)


def encoded(ds: Dataset, others: Mapping[int, bytes] = {}) -> bytes:
    """The data set in big endian, with elements that are encoded already added, or in the place of its own."""
    parts, last = [], 0
    for tag in sorted(others):
        parts += [_encoded(ds[last:tag]), others[tag]]
        last = tag + 1
    return b"".join([*parts, _encoded(ds[last:])])


def file(path: Path, ds: FileDataset, others: Mapping[int, bytes] = {}) -> Path:
    """Write a whole file of `encoded`."""
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    meta = DicomBytesIO()
    write_file_meta_info(meta, ds.file_meta)
    path.write_bytes(bytes(128) + b"DICM" + meta.getvalue() + encoded(ds, others))
    return path


def _encoded(ds: Dataset) -> bytes:
    if "PixelData" in ds and ds["PixelData"].VR == "OW":
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").byteswap().tobytes()
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, False
    write_dataset(buffer, ds, "ISO_IR 192")
    return buffer.getvalue()
