"""Files of volumes in five formats: written slice by slice, and read back in the same way.

Voxels go in one order in all of them: column fastest, then row, slice, volume. A decoded DICOM frame in C order is
therefore one slice as it is, and a volume is its frames one after the other; nothing is transposed or flipped.

- `nii`, `nii.gz`: NIfTI-1, RAS (nifti.py)
- `nrrd`: NRRD 4 (https://teem.sourceforge.net/nrrd/format.html), LPS, the voxels compressed with gzip
- `mha`: MetaImage (https://itk.org/Wiki/MetaIO/Documentation), LPS
- `npy`: NumPy, an array (volume,) slice, row, column; where it lies is in the report beside it
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from isal import igzip_threaded

from node.errors import CannotSucceed
from node.imaging.geometry import LPS_TO_RAS, Floats
from node.imaging.growing import Growing
from node.imaging.layout import Array
from node.imaging.nifti import DATA_AT, RGB24, NiftiHeader, unpacked

Format = Literal["nii.gz", "nii", "nrrd", "mha", "npy"]

_FAST, _THREADS = 1, 2  # deflate level 1: 10 to 20 times as fast as zlib's default, files 12 to 15 % larger
_BLOCK = 1 << 20
_PACKED = ("nii.gz", "nrrd")
_NRRD = {
    "u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32", "i4": "int32", "u8": "uint64",
    "i8": "int64", "f4": "float", "f8": "double",
}  # fmt: skip
_MET = {
    "u1": "MET_UCHAR", "i1": "MET_CHAR", "u2": "MET_USHORT", "i2": "MET_SHORT", "u4": "MET_UINT", "i4": "MET_INT",
    "u8": "MET_ULONG_LONG", "i8": "MET_LONG_LONG", "f4": "MET_FLOAT", "f8": "MET_DOUBLE",
}  # fmt: skip


def has_scale(form: Format) -> bool:
    """Whether its header has a slope and an intercept."""
    return form.startswith("nii")


def write(
    path: Path,
    header: NiftiHeader,
    frames: Iterable[Array],
    form: Format = "nii.gz",
    growing: Growing | None = None,
) -> None:
    """Write `frames`, each (rows, columns[, 3]) of the header's type, in file order; same input, same bytes.

    growing  of this file, for who reads it meanwhile; that it is over he must be told where this raises

    Raises CannotSucceed when the header cannot be written.
    """
    first = _HEADS[form](header)
    little_endian = np.dtype("u1") if header.dtype == RGB24 else header.dtype.newbyteorder("<")
    with (growing or Growing()).writing(path) as file:
        if form != "nii.gz":
            file.write(first)
            first = b""
        with _packing(file, form) as body:
            body.write(first)
            for frame in frames:
                body.write(np.ascontiguousarray(frame, little_endian).data.cast("B"))


def read(path: Path, form: Format = "nii.gz", growing: Growing | None = None) -> Iterator[tuple[NiftiHeader, Array]]:
    """Read back a file that `write` wrote, slice by slice in file order: the header, and (rows, columns[, 3]).

    growing  of this file, where it is still being written

    Raises CannotSucceed where it ends before its slices do, or has more than those.
    """
    packed = form in _PACKED
    with path.open("rb") if growing is None else growing.reading(path, whole=not packed) as file:
        if form == "nii.gz":
            with _unpacking(file) as body:
                yield from _slices(unpacked(body.read(DATA_AT)), body)
            return
        header = _header(file, form)
        if form == "nrrd":
            with _unpacking(file) as body:
                yield from _slices(header, body)
            return
        yield from _slices(header, file)


def _slices(header: NiftiHeader, body: BinaryIO) -> Iterator[tuple[NiftiHeader, Array]]:
    columns, rows, slices, volumes = header.shape
    colour = header.dtype == RGB24
    shape = (rows, columns, 3) if colour else (rows, columns)
    sample = np.dtype("u1") if colour else header.dtype.newbyteorder("<")
    size = rows * columns * header.dtype.itemsize
    for n in range(slices * volumes):
        data = body.read(size)
        if len(data) != size:
            raise CannotSucceed(f"the file ends in slice {n + 1} of {slices * volumes}")
        yield header, np.frombuffer(data, sample).reshape(shape)
    if body.read(1):
        raise CannotSucceed("the file has more than its slices")


@contextmanager
def _packing(file: BinaryIO, form: Format) -> Iterator[BinaryIO]:
    if form not in _PACKED:
        yield file
        return
    # isal has no types, here and below.
    opened = igzip_threaded.open(file, "wb", compresslevel=_FAST, threads=_THREADS)  # type: ignore[no-untyped-call]
    with opened as body:
        yield cast(BinaryIO, body)


@contextmanager
def _unpacking(file: BinaryIO) -> Iterator[BinaryIO]:
    # Its thread inflates the next block while this one is compared.
    with igzip_threaded.open(file, "rb", threads=1, block_size=_BLOCK) as body:  # type: ignore[no-untyped-call]  # isal
        yield cast(BinaryIO, body)


def _nifti_head(header: NiftiHeader) -> bytes:
    return header.packed()


def _nrrd_head(header: NiftiHeader) -> bytes:
    lps = LPS_TO_RAS @ header.affine
    colour, several = header.dtype == RGB24, header.shape[3] > 1
    sizes = [str(n) for n in (*([3] if colour else []), *header.shape[: 4 if several else 3])]
    vectors = [f"({','.join(repr(float(x)) for x in lps[:3, n])})" for n in range(3)]
    none = ["none"]
    return "\n".join(
        [
            "NRRD0004",
            f"type: {_NRRD['u1' if colour else header.dtype.str[1:]]}",
            f"dimension: {len(sizes)}",
            "space: left-posterior-superior",
            f"sizes: {' '.join(sizes)}",
            f"space directions: {' '.join((none if colour else []) + vectors + (none if several else []))}",
            f"kinds: {' '.join(['RGB-color'] * colour + ['domain'] * 3 + ['list'] * several)}",
            "endian: little",
            "encoding: gzip",
            f"space origin: ({','.join(repr(float(x)) for x in lps[:3, 3])})",
            "\n",
        ]
    ).encode("ascii")


def _mha_head(header: NiftiHeader) -> bytes:
    lps = LPS_TO_RAS @ header.affine
    colour, axes = header.dtype == RGB24, 4 if header.shape[3] > 1 else 3
    matrix, spacing, offset = np.eye(axes), np.ones(axes), np.zeros(axes)
    spacing[:3] = np.linalg.norm(lps[:3, :3], axis=0)
    matrix[:3, :3], offset[:3] = lps[:3, :3] / spacing[:3], lps[:3, 3]
    spacing[3:] = header.seconds or 1
    fields = {
        "ObjectType": "Image",
        "NDims": str(axes),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": _row(matrix.T),  # one axis after the other
        "Offset": _row(offset),
        "ElementSpacing": _row(spacing),
        "DimSize": " ".join(str(n) for n in header.shape[:axes]),
        **({"ElementNumberOfChannels": "3"} if colour else {}),
        "ElementType": _MET["u1" if colour else header.dtype.str[1:]],
        "ElementDataFile": "LOCAL",
    }
    return "".join(f"{name} = {value}\n" for name, value in fields.items()).encode("ascii")


def _npy_head(header: NiftiHeader) -> bytes:
    colour, several = header.dtype == RGB24, header.shape[3] > 1
    shape = (*reversed(header.shape[: 4 if several else 3]), *((3,) if colour else ()))
    kind = np.dtype("u1") if colour else header.dtype.newbyteorder("<")
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind.str, "fortran_order": False, "shape": shape})
    return file.getvalue()


_HEADS = {"nii.gz": _nifti_head, "nii": _nifti_head, "nrrd": _nrrd_head, "mha": _mha_head, "npy": _npy_head}


def _row(values: Floats) -> str:
    return " ".join(repr(float(x)) for x in values.ravel())


def _header(file: BinaryIO, form: Format) -> NiftiHeader:
    if form == "nii":
        return unpacked(file.read(DATA_AT))
    if form == "npy":
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        # Nothing in it says colour: no image is three columns wide.
        return _found(tuple(reversed(shape)), kind, np.full((4, 4), np.nan), len(shape) > 3 and shape[-1] == 3)
    fields = _fields(file, form)
    if form == "mha":
        axes = int(fields["NDims"])
        spacing = np.array(fields["ElementSpacing"].split(), float)
        matrix = np.array(fields["TransformMatrix"].split(), float).reshape(axes, axes).T * spacing
        sizes = tuple(int(n) for n in fields["DimSize"].split())
        kind = np.dtype(next(k for k, v in _MET.items() if v == fields["ElementType"]))
        colour = "ElementNumberOfChannels" in fields
        affine = _affine(matrix[:3, :3], np.array(fields["Offset"].split(), float)[:3])
        return _found((3, *sizes) if colour else sizes, kind, affine, colour)
    numbers = [np.array(v.split(","), float) for v in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    origin = np.array(fields["space origin"].strip("()").split(","), float)
    kind = np.dtype(next(k for k, v in _NRRD.items() if v == fields["type"]))
    sizes = tuple(int(n) for n in fields["sizes"].split())
    return _found(sizes, kind, _affine(np.array(numbers).T, origin), "RGB-color" in fields["kinds"])


def _found(sizes: tuple[int, ...], kind: np.dtype[np.generic], affine: Floats, colour: bool) -> NiftiHeader:
    """From sizes with the fastest axis first, which is that of the samples in colour."""
    spatial = (*(sizes[1:] if colour else sizes), 1)[:4]
    shape = (spatial[0], spatial[1], spatial[2], spatial[3])
    return NiftiHeader(shape=shape, dtype=RGB24 if colour else kind, affine=affine)


def _affine(matrix: Floats, origin: Floats) -> Floats:
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = matrix, origin
    return np.asarray(LPS_TO_RAS @ lps)


def _fields(file: BinaryIO, form: Format) -> Mapping[str, str]:
    """The lines of a text header, up to the voxels."""
    found: dict[str, str] = {}
    sign = "=" if form == "mha" else ":"
    for raw in iter(file.readline, b""):
        line = raw.decode("ascii").strip()
        if not line:
            break
        name, there, value = line.partition(sign)
        if there:
            found[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    return found
