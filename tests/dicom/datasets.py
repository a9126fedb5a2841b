"""Data sets for the tests of node/dicom: made by hypothesis, or by hand, and encoded by pydicom."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNCOMPRESSED = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)

ITEM = b"\xfe\xff\x00\xe0"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def encoded(ds: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """The data set alone, no file meta information, as pydicom encodes it."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax == IMPLICIT
    buffer.is_little_endian = transfer_syntax != BIG_ENDIAN
    # pydicom swaps OW only from what it read, so the caller's samples are taken as they are.
    write_dataset(buffer, ds)
    if transfer_syntax != DEFLATED:
        return buffer.getvalue()
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(buffer.getvalue()) + deflate.flush()


def part10(ds: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """A whole file."""
    buffer = io.BytesIO()
    ds.save_as(
        buffer,
        implicit_vr=transfer_syntax == IMPLICIT,
        little_endian=transfer_syntax != BIG_ENDIAN,
        enforce_file_format=False,
    )
    return buffer.getvalue()


def explicit(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """One explicit little endian element, with a length of one's own if need be. Written apart from node/."""
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT", "OD", "OF", "OL", "UC", "UR"):
        return head + struct.pack("<HI", 0, length) + value
    return head + struct.pack("<H", length) + value


def nested(depth: int, *, defined: bool = False) -> bytes:
    """(0040,A730) Content Sequence in itself, `depth` times, around (0008,0060)."""
    inner = explicit(0x00080060, "CS", b"SR")
    for _ in range(depth):
        if defined:
            item = ITEM + struct.pack("<I", len(inner)) + inner
            inner = explicit(0x0040A730, "SQ", item)
        else:
            item = ITEM + b"\xff\xff\xff\xff" + inner + ITEM_END
            inner = explicit(0x0040A730, "SQ", item + SEQUENCE_END, 0xFFFFFFFF)
    return inner


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\\=^\0", exclude_categories=("C", "Z")), max_size=16)
_CODE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=16)
_ELEMENTS: dict[str, st.SearchStrategy[object]] = {
    "Modality": _CODE,
    "ImageType": st.lists(_CODE, min_size=2, max_size=5),
    "StudyDescription": _TEXT,
    "PatientName": _TEXT,
    "PatientComments": _TEXT,
    "StudyDate": st.dates().map(lambda d: f"{d.year:04d}{d.month:02d}{d.day:02d}"),
    "SliceThickness": st.integers(-9999, 9999).map(lambda n: n / 8),
    "ImagePositionPatient": st.lists(st.integers(-9999, 9999).map(lambda n: n / 4), min_size=3, max_size=3),
    "InstanceNumber": st.integers(-(2**31), 2**31 - 1),
    "Rows": st.integers(0, 65535),
    "TagAngleSecondAxis": st.integers(-(2**15), 2**15 - 1),
    "ReferencePixelX0": st.integers(-(2**31), 2**31 - 1),
    # Without -0.0: it is another value on the wire, and pydicom, which the tests ask, says it is not.
    "RecommendedDisplayFrameRateInFloat": st.floats(width=32, allow_nan=False, allow_infinity=False).map(
        lambda x: x + 0.0
    ),
    "RealWorldValueSlope": st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0),
    "FrameIncrementPointer": st.sampled_from([0x00181063, 0x00540010]),
    "SimpleFrameList": st.lists(st.integers(1, 2**32 - 1), min_size=2, max_size=4),
    "OffendingElement": st.lists(st.sampled_from([0x00100010, 0x7FE00010]), min_size=2, max_size=3),
    "FrameOfReferenceUID": st.integers(1, 2**100).map(lambda n: f"2.25.{n}"),
}
_SEQUENCES = ("ReferencedStudySequence", "RequestAttributesSequence", "ContentSequence")


def _filled(values: dict[str, object]) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, Sequence(value) if keyword in _SEQUENCES else value)
    return ds


def _level(inner: st.SearchStrategy[Dataset] | None) -> st.SearchStrategy[Dataset]:
    optional: dict[str, st.SearchStrategy[object]] = dict(_ELEMENTS)
    if inner is not None:
        optional |= dict.fromkeys(_SEQUENCES, st.lists(inner, max_size=2))
    return st.fixed_dictionaries({}, optional=optional).map(_filled)


def _with_character_set(ds: Dataset) -> Dataset:
    ds.SpecificCharacterSet = "ISO_IR 192"
    return ds


datasets: st.SearchStrategy[Dataset] = _level(_level(_level(None))).map(_with_character_set)
"""Data sets with text, numbers of every kind and sequences three levels deep, in UTF-8."""


def mutated(data: st.DataObject, original: bytes, draw_count: int = 6) -> bytes:
    """`original` with bytes changed, a stretch cut out or the end cut off."""
    broken = bytearray(original)
    edits: tuple[Callable[[int], None], ...] = (
        lambda at: broken.__setitem__(at, data.draw(st.integers(0, 255))),
        lambda at: broken.__delitem__(slice(at, at + data.draw(st.integers(1, 64)))),
        lambda at: broken.__delitem__(slice(at, None)),
        lambda at: broken.__setitem__(slice(at, at), data.draw(st.binary(max_size=16))),
        lambda at: broken.__setitem__(slice(at, at + 4), b"\xff\xff\xff\xff"),
    )
    for _ in range(data.draw(st.integers(1, draw_count))):
        if not broken:
            break
        data.draw(st.sampled_from(edits))(data.draw(st.integers(0, len(broken) - 1)))
    return bytes(broken)
