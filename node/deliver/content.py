"""The data set of a parcel as it goes over the wire: as stored, or in another uncompressed transfer syntax."""

from __future__ import annotations

import os
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from node.deliver.base import Parcel
from node.dicom.damage import DAMAGE
from node.dicom.dataset import read
from node.dicom.part10 import read_meta
from node.errors import CannotSucceed
from node.outbox import FILE_GONE


def data_set(parcel: Parcel, transfer_syntax: str) -> tuple[BinaryIO, int]:
    """The data set of `parcel` in `transfer_syntax`, to be read from where it stands, and its length in bytes.

    In its own transfer syntax it is the open file, behind its file meta; in another it is encoded anew, in
    memory. Raises CannotSucceed when the file is gone, is no DICOM file, is not in the transfer syntax
    that was recorded for it, or cannot be encoded; OSError when it cannot be read now.
    """
    try:
        if transfer_syntax != parcel.transfer_syntax:
            anew = _encoded(parcel.path, UID(transfer_syntax))
            return BytesIO(anew), len(anew)
        data = parcel.path.open("rb", buffering=0)
    except FileNotFoundError:
        raise CannotSucceed(FILE_GONE) from None
    with ExitStack() as opened:
        opened.enter_context(data)
        meta = read_meta(data)
        if meta.transfer_syntax != transfer_syntax:
            raise CannotSucceed("its file in the outbox is not in the transfer syntax that was recorded for it")
        data.seek(meta.dataset_offset)
        opened.pop_all()  # the caller's from here on
        return data, os.fstat(data.fileno()).st_size - meta.dataset_offset


def _encoded(path: Path, target: UID) -> bytes:
    """UIDs, values and pixels stay; only how they are written changes."""
    try:
        with path.open("rb") as file:
            dataset = read(file)
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = target.is_implicit_VR, target.is_little_endian
        write_dataset(buffer, dataset)
        return bytes(buffer.getvalue())
    except DAMAGE as error:
        # The error's own text quotes the value, so it does not go into the reason.
        name = type(error).__name__
        raise CannotSucceed(f"cannot be written in {target.name} ({name}); add `decompress` before `forward`") from None
