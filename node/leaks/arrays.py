"""NRRD, MetaImage and NumPy files -> all that can be read in them, and where. Voxels are passed over, what is behind
them is not.

NRRD 4 (https://teem.sourceforge.net/nrrd/format.html), MetaImage (https://itk.org/Wiki/MetaIO/Documentation), and the
.npy format (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from math import prod

from node.leaks.dicom import in_bytes
from node.leaks.parse import Data
from node.leaks.what import Place, Read, UnreadableError

NRRD, META_IMAGE, NUMPY = b"NRRD000", b"ObjectType = ", b"\x93NUMPY"
"""What they begin with."""

_MOST_HEADER = 1 << 20
_NRRD_BYTES = {
    "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "float": 4,
    "double": 8,
}  # fmt: skip
_MET_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
_NUMBERS = re.compile(r"[<>|=][biufc](\d+)")


def nrrd(data: Data) -> tuple[Read, int | None]:
    """The texts of its header and of what is behind its voxels, and where those begin that are compressed with gzip;
    None where they are not. Raises UnreadableError when the header does not say where its voxels end."""
    header = data[:_MOST_HEADER]
    ends = [at + len(end) for end in (b"\n\n", b"\r\n\r\n") if (at := header.find(end)) >= 0]
    if not ends:
        raise UnreadableError("its NRRD header has no end")
    begin = min(ends)
    lines = _lines(header[:begin])
    fields = _fields(lines, ":")
    if "data file" in fields or "datafile" in fields:
        raise UnreadableError("its NRRD header leads to another file")
    if fields.get("encoding") in ("gzip", "gz"):
        return _said(lines, "NRRD"), begin
    if fields.get("encoding") != "raw":
        raise UnreadableError("its NRRD voxels are encoded in a way that is not read")
    try:
        voxels = prod(int(n) for n in fields["sizes"].split()) * _NRRD_BYTES[fields["type"]]
    except (KeyError, ValueError):
        raise UnreadableError("its NRRD header says no size of its voxels") from None
    return _whole(data, _said(lines, "NRRD"), begin + voxels), None


def meta_image(data: Data) -> Read:
    """Raises UnreadableError when the header does not say where its voxels end."""
    header = data[:_MOST_HEADER]
    last = re.search(rb"^ElementDataFile *= *([^\r\n]*)\r?\n", header, re.MULTILINE)
    if last is None or last[1].strip() != b"LOCAL":
        raise UnreadableError("its MetaImage header has no end")
    lines = _lines(header[: last.end()])
    fields = _fields(lines, "=")
    if fields.get("CompressedData", "False") != "False":
        raise UnreadableError("its MetaImage voxels are compressed")
    try:
        samples = prod(int(n) for n in fields["DimSize"].split()) * int(fields.get("ElementNumberOfChannels", "1"))
        voxels = samples * _MET_BYTES[fields["ElementType"]]
    except (KeyError, ValueError):
        raise UnreadableError("its MetaImage header says no size of its voxels") from None
    yield from _whole(data, _said(lines, "MetaImage"), last.end() + voxels)


def numpy(data: Data) -> Read:
    """Raises UnreadableError for objects, and when the header does not say where its voxels end."""
    wide = data[6:7] != b"\1"  # the length of the header has two bytes in version 1, four since
    begin = 12 if wide else 10
    end = begin + int.from_bytes(data[8:begin], "little")
    header = data[begin : min(end, begin + _MOST_HEADER)]
    try:
        text = header.decode("utf-8" if data[6:7] == b"\3" else "latin-1")
        found = ast.literal_eval(text.strip())
        number = _NUMBERS.fullmatch(found["descr"])
        voxels = prod(int(n) for n in found["shape"])
    except (ValueError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError, RecursionError):
        raise UnreadableError("its NumPy header is none") from None
    if number is None or voxels < 0:
        raise UnreadableError("its NumPy array is of no plain numbers")
    yield from _whole(data, iter([(text, Place.TEXT, "NumPy header")]), end + voxels * int(number[1]))


def _whole(data: Data, header: Read, end: int) -> Read:
    """The header, and what is behind the last voxel, which ends at `end`."""
    yield from header
    if not 0 <= end <= len(data):
        raise UnreadableError("its voxels are cut short")
    for text, place in in_bytes(data[end:].strip(b"\0")):
        yield text, place, f"behind its voxels, byte {end}"


def _lines(header: bytes) -> list[str]:
    return header.decode("utf-8", "replace").splitlines()


def _said(lines: list[str], kind: str) -> Read:
    for number, line in enumerate(lines, 1):
        yield line, Place.TEXT, f"{kind} header, line {number}"


def _fields(lines: list[str], sign: str) -> Mapping[str, str]:
    pairs = (line.partition(sign) for line in lines if not line.startswith("#"))
    return {name.strip(): value.strip() for name, there, value in pairs if there}
