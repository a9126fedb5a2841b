"""Files as data sets of pydicom, and back. Big endian is kept away from pydicom, which it reads wrongly.

It takes what is written as UN for big endian in a big endian data set, where it is implicit little endian (PS3.5 6.2.2
note 2): numbers come out swapped, and a sequence of undefined length swallows the rest of the file. It also keeps
words (OW, OF, ...) in the order of the file and does not swap them when it writes the other one.
"""

from __future__ import annotations

from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset, write_file_meta_info

from node.dicom.byte_order import swapped
from node.dicom.elements import PIXEL_DATA
from node.dicom.encoding import EXPLICIT_BE, EXPLICIT_LE
from node.dicom.part10 import read_meta
from node.dicom.uids import EXPLICIT_VR_BIG_ENDIAN
from node.errors import CannotSucceed


def read(file: BinaryIO, *, stop_before_pixels: bool = False) -> FileDataset:
    """`pydicom.dcmread` of an open file from its first byte, but for big endian: its data set is turned before.

    Then every element is little endian, at the place that it has in the file; the file meta information still says
    big endian, and `write` turns the data set back. `file` stands where `dcmread` leaves it: at its end, or at the
    pixel data. Raises what `dcmread` does, and Malformed.
    """
    offset = _big_endian_from(file)
    if offset is None:
        file.seek(0)
        return dcmread(file, stop_before_pixels=stop_before_pixels)
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        head = dcmread(BytesIO(data[:offset]))
        stop_at = PIXEL_DATA if stop_before_pixels else ()
        turned = BytesIO(swapped(data, EXPLICIT_BE, start=offset, stop_at=stop_at))
    turned.seek(offset)
    found = read_dataset(turned, is_implicit_VR=False, is_little_endian=True)
    ds = FileDataset(file, found, head.preamble, head.file_meta, is_implicit_VR=False, is_little_endian=True)
    ds.set_original_encoding(False, True, found.original_character_set)
    file.seek(turned.tell())
    return ds


def write(ds: FileDataset, target: Path) -> None:
    """Write what `read` gave, whatever was changed in it since, in the transfer syntax of its file meta information.

    Raises what `pydicom.dcmwrite` does, and Malformed.
    """
    if ds.file_meta.get("TransferSyntaxUID") != EXPLICIT_VR_BIG_ENDIAN:
        dcmwrite(target, ds, enforce_file_format=True)
        return
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    data, meta = swapped(buffer.getvalue(), EXPLICIT_LE), DicomBytesIO()
    write_file_meta_info(meta, ds.file_meta)
    with target.open("wb") as file:
        file.write((ds.preamble or bytes(128)) + b"DICM" + meta.getvalue())
        file.write(data)


def _big_endian_from(file: BinaryIO) -> int | None:
    """Where the data set begins, if it is big endian."""
    try:
        meta = read_meta(file)
    except CannotSucceed:
        return None  # whether pydicom can read it all the same is for pydicom to say
    return meta.dataset_offset if meta.transfer_syntax == EXPLICIT_VR_BIG_ENDIAN else None
