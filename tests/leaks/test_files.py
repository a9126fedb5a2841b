"""Files that are no DICOM: every text in them is given, and what is damaged is refused."""

from __future__ import annotations

import gzip
import io
import json
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.leaks.files import names, read
from node.leaks.what import Place, UnreadableError
from tests.leaks.test_reading import nifti, nifti_extension, png


def said(data: bytes) -> list[str]:
    return [text for text, _, _ in read(data)]


def test_the_text_fields_of_a_nifti_header_and_its_extensions_are_read(tmp_path: Path) -> None:
    """As nibabel writes them, in both versions."""
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        image = kind(np.zeros((2, 2, 2), np.int16), np.eye(4))
        image.header["descrip"] = b"in descrip"
        image.header["aux_file"] = b"in aux_file"
        image.header["intent_name"] = b"in intent"
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"in an extension"))
        path = tmp_path / "volume.nii.gz"
        nibabel.save(image, path)
        found = " ".join(said(path.read_bytes()))
        for text in ("in descrip", "in aux_file", "in intent", "in an extension"):
            assert text in found, (kind, text)


@pytest.mark.parametrize("offset", [4, 14, 148, 228, 328])
def test_each_text_field_is_named_by_its_place(offset: int) -> None:
    assert ("Kowal", Place.TEXT, f"NIfTI header, byte {offset}") in list(read(nifti("Kowal", offset)))


def test_what_lies_between_header_and_voxels_is_read_also_where_it_is_no_extension() -> None:
    data = bytearray(nifti("")[:352]) + b"Kowalczyk" + b"\0" * 7
    data[108:112] = struct.pack("<f", 368)
    assert "Kowalczyk" in said(bytes(data))
    broken = bytearray(nifti_extension("x"))
    broken[352:356] = struct.pack("<i", 7)
    broken[360:369] = b"Kowalczyk"
    assert "Kowalczyk" in " ".join(said(bytes(broken)))


def test_the_name_and_comment_in_a_gzip_header_are_read() -> None:
    buffer = io.BytesIO()
    with gzip.GzipFile("Kowalczyk_Anna.nii", "wb", fileobj=buffer) as file:
        file.write(nifti(""))
    assert ("Kowalczyk_Anna.nii", Place.TEXT, "gzip header, file name") in list(read(buffer.getvalue()))
    raw = bytearray(gzip.compress(b"plain text", mtime=0))
    raw[3] = 4 | 16
    labelled = bytes(raw[:10]) + b"\x05\0extra" + b"a comment\0" + bytes(raw[10:])
    assert {"extra", "a comment", "plain text"} <= set(said(labelled))


def test_every_member_of_a_gzip_file_and_what_follows_is_read() -> None:
    data = gzip.compress(b"first") + gzip.compress(b"second") + b"behind it"
    assert {"first", "second", "behind it"} <= set(said(data))


def test_json_is_read_string_by_string_with_its_escapes_undone() -> None:
    data = json.dumps({"a": ["Müller", {"Königstein": 88123457}], "b": 1.5, "c": True}).encode()
    assert b"M\\u00fcller" in data
    found = list(read(data))
    assert ("Müller", Place.TEXT, "JSON, value 1, item 1") in found
    assert ("Königstein", Place.TEXT, "JSON, value 1, item 2, key 1") in found
    assert ("88123457", Place.NUMBER, "JSON, value 1, item 2, value 1") in found


def test_other_text_is_read_line_by_line() -> None:
    assert list(read(b"one\ntwo {")) == [("one", Place.TEXT, "line 1"), ("two {", Place.TEXT, "line 2")]


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [(b"tEXt", b"Author\0Kowalczyk", "Kowalczyk"), (b"eXIf", b"II*\0\1\2Kowalczyk\0", "Kowalczyk"),
     (b"tIME", b"\0\0\0\0\0\0\0", None), (b"tEXt", b"Kowalczyk\0x", "Kowalczyk"),
     (b"prVt", b"\1\2\3Kowalczyk", "Kowalczyk")],
)  # fmt: skip
def test_chunks_of_a_png_are_read(kind: bytes, content: bytes, text: str | None) -> None:
    found = said(png(kind, content))
    assert found == [] if text is None else text in " ".join(found)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(nifti("")[:200], id="a NIfTI header cut off"),
        pytest.param(gzip.compress(nifti(""))[:14] + b"\xff" * 30, id="a stream that does not inflate"),
        pytest.param(gzip.compress(nifti("x" * 70, 148))[:20], id="a stream cut off"),
        pytest.param(b"\x1f\x8b\x08", id="a gzip header cut off"),
        pytest.param(b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"name without end", id="a gzip name without end"),
        pytest.param(png(b"tEXt", b"a\0b")[:50], id="a PNG cut off"),
        pytest.param(png(b"zTXt", b"a\0\0no deflate"), id="a text that does not inflate"),
        pytest.param(nifti("")[:108] + struct.pack("<f", -5.0) + nifti("")[112:], id="a volume before its header"),
    ],
)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        list(read(data))


@given(st.binary(max_size=400), st.sampled_from([b"", b"\x1f\x8b\x08\0", b"\x89PNG\r\n\x1a\n", b"\x5c\x01\0\0", b"{"]))
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    try:
        list(read(head + data))
    except UnreadableError:
        return


def test_a_name_is_read_with_and_without_its_ending() -> None:
    assert [text for text, _, _ in names("001.dcm")] == ["001.dcm", "001"]
    assert [text for text, _, _ in names("folder")] == ["folder"]
