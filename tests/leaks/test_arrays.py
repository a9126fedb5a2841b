"""Volumes that are not NIfTI: their headers and what is behind their voxels are read, the rest is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging.nifti import NiftiHeader
from node.imaging.volume_files import Format, write
from node.leaks.arrays import META_IMAGE, NRRD, NUMPY
from node.leaks.files import read
from node.leaks.what import Place, UnreadableError

FORMATS = ("nrrd", "mha", "npy")
# Little-endian words that read as letters, were they looked at: "Kowalczyk".
LETTERS = np.frombuffer(b"Kowalczyk " * 12, "<u2").reshape(3, 4, 5)


def volume(tmp_path: Path, form: str) -> bytes:
    path = tmp_path / f"volume.{form}"
    header = NiftiHeader(shape=(5, 4, 3, 1), dtype=np.dtype("u2"), affine=np.diag([1.5, 1.5, 3.0, 1.0]))
    write(path, header, list(LETTERS), cast(Format, form))
    return path.read_bytes()


def said(data: bytes) -> str:
    return "\n".join(text for text, _, _ in read(data))


@pytest.mark.parametrize("form", FORMATS)
def test_headers_as_this_node_writes_them_are_read_and_voxels_are_not(form: str, tmp_path: Path) -> None:
    text = said(volume(tmp_path, form))
    assert {"nrrd": "sizes: 5 4 3", "mha": "DimSize = 5 4 3", "npy": "'shape': (3, 4, 5)"}[form] in text
    assert "Kowalczyk" not in text


def test_every_line_of_a_header_is_read_whatever_it_is() -> None:
    raw = b"NRRD0004\n# by Kowalczyk\ntype: uint8\nsizes: 2\nencoding: raw\nname:=of Anna\n\n\1\2"
    assert ("# by Kowalczyk", Place.TEXT, "NRRD header, line 2") in list(read(raw))
    assert "name:=of Anna" in said(raw)
    mha = (
        b"ObjectType = Image\nComment = Kowalczyk\nDimSize = 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n\1\2"
    )
    assert ("Comment = Kowalczyk", Place.TEXT, "MetaImage header, line 2") in list(read(mha))
    assert "behind it" in said(mha + b"behind it")
    assert "behind it" in said(raw + b"behind it")


@pytest.mark.parametrize("form", ["mha", "npy"])
def test_what_is_behind_the_voxels_is_read(form: str, tmp_path: Path) -> None:
    assert said(volume(tmp_path, form) + b"Adebayo").endswith("Adebayo")


def test_the_name_that_gzip_keeps_is_read(tmp_path: Path) -> None:
    data = volume(tmp_path, "nrrd")
    at = data.index(b"\n\n") + 2
    labelled = data[:at] + data[at : at + 3] + b"\x08" + data[at + 4 : at + 10] + b"Kowalczyk.raw\0" + data[at + 10 :]
    assert ("Kowalczyk.raw", Place.TEXT, "gzip header, file name") in list(read(labelled))


@pytest.mark.parametrize("form", ["mha", "npy"])
def test_voxels_that_are_cut_short_are_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cut short"):
        list(read(volume(tmp_path, form)[:-1]))


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"name": "Kowalczyk"}], object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"NRRD0004\ntype: uint8\nsizes: 2\nencoding: raw\n", id="a NRRD header without end"),
        pytest.param(b"NRRD0004\ntype: uint8\nsizes: 2\nencoding: bzip2\n\nBZh", id="another compression"),
        pytest.param(b"NRRD0004\ntype: uint8\nsizes: 2\nencoding: gzip\n\nBZh", id="a compression that is not"),
        pytest.param(b"NRRD0004\ntype: block\nsizes: 2\nencoding: raw\n\n\1\2", id="voxels of no known size"),
        pytest.param(b"NRRD0004\ntype: uint8\nsizes: x\nencoding: raw\n\n\1\2", id="sizes that are no numbers"),
        pytest.param(b"NRRD0004\nencoding: raw\ndata file: a.raw\n\n", id="voxels in another file"),
        pytest.param(b"ObjectType = Image\nElementDataFile = a.raw\n", id="MetaImage voxels in another file"),
        pytest.param(
            b"ObjectType = Image\nCompressedData = True\nDimSize = 2\nElementDataFile = LOCAL\n",
            id="compressed MetaImage",
        ),
        pytest.param(b"ObjectType = Image\nElementDataFile = LOCAL\n", id="MetaImage without sizes"),
        pytest.param(pickled(), id="pickled objects"),
        pytest.param(b"\x93NUMPY\1\0\5\0{'a':", id="a NumPy header that is none"),
        pytest.param(b"\x93NUMPY\1\0\x2b\0{'descr': '<u2', 'shape': (1e999,)}        ", id="an endless array"),
        pytest.param(b"PK\3\4\0\1\2\3", id="a kind that is not known"),
    ],
)
def test_what_may_hide_something_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        list(read(data))


@given(st.binary(max_size=200), st.sampled_from([NRRD, META_IMAGE, NUMPY + b"\1\0", NRRD + b"4\nencoding: raw\n"]))
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    try:
        list(read(head + data))
    except UnreadableError:
        return
