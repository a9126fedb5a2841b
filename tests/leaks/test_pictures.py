"""Pictures: every text in them is given, pixels and tables are not, and what is cut short is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging import picture_files
from node.leaks.files import read
from node.leaks.pictures import JPEG, PNG, jpeg
from node.leaks.what import Place, UnreadableError

PICTURE = np.random.default_rng(4).integers(0, 256, (40, 50, 3)).astype(np.uint8)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    return data[:2] + segment(marker, content) + data[2:]


def said(data: bytes) -> list[str]:
    return [text for text, _, _ in read(data)]


def texts(data: bytes) -> list[str]:
    """But for the four letters that every file has."""
    return [text for text in said(data) if text != "JFIF"]


@pytest.mark.parametrize("picture", [PICTURE, PICTURE[..., 0]], ids=["colour", "grey"])
def test_pictures_as_this_node_writes_them_say_nothing(picture: np.ndarray, tmp_path: Path) -> None:
    """Tables of codes spell 456789 and CDEFGHIJ, and pixels anything."""
    assert texts(picture_files.jpeg(picture, 90)) == []
    assert texts(bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(picture), level=90, optimize=True))) == []
    assert said(picture_files.png(picture)) == []
    path = tmp_path / "moving.png"
    picture_files.write_animation(path, [picture, picture[::-1]], [40.0, 40.0], 2)
    assert said(path.read_bytes()) == []


@pytest.mark.parametrize("marker", [0xFE, 0xE1, 0xED, 0xEF, 0xF5], ids=["comment", "EXIF", "IPTC", "APP15", "unknown"])
def test_comments_and_application_segments_of_a_jpeg_are_read(marker: int) -> None:
    data = with_segment(picture_files.jpeg(PICTURE, 90), marker, b"by Kowalczyk")
    assert ("by Kowalczyk", Place.TEXT, "JPEG segment at byte 2") in list(read(data))


def test_what_lies_between_two_scans_and_behind_the_image_is_read() -> None:
    whole = picture_files.jpeg(PICTURE, 90)
    assert "Kowalczyk" in said(whole + b"\0\0Kowalczyk")
    scan = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\0\x34\xff\xd0\x56"
    found = list(jpeg(b"\xff\xd8" + scan + b"\xff" + segment(0xFE, b"between them") + scan + b"\xff\xd9behind"))
    assert [text for text, _, _ in found] == ["between them", "behind"]


def test_a_jpeg_that_is_cut_short_anywhere_is_refused() -> None:
    whole = picture_files.jpeg(PICTURE[:8, :8], 50)
    for end in range(3, len(whole)):
        with pytest.raises(UnreadableError):
            list(read(whole[:end]))


@given(st.binary(max_size=300), st.sampled_from([PNG, JPEG, JPEG + b"\xda\0\2"]))
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    try:
        list(read(head + data))
    except UnreadableError:
        return
