"""The header of JPEG XL is read bit by bit, of files and of bare codestreams."""

from __future__ import annotations

import contextlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging import jpegxl


@given(
    rows=st.integers(1, 90), columns=st.integers(1, 90), colour=st.booleans(), lossless=st.booleans(),
    bits=st.sampled_from([8, 10, 12, 14, 16]),
)  # fmt: skip
def test_size_samples_and_precision_are_found(rows: int, columns: int, colour: bool, lossless: bool, bits: int) -> None:
    frame = np.zeros((rows, columns, 3) if colour else (rows, columns), np.uint8 if bits == 8 else np.uint16)
    data = bytes(imagecodecs.jpegxl_encode(frame, lossless=lossless, bitspersample=bits))
    assert jpegxl.sniff(data) == (rows, columns, 3 if colour else 1, bits)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(512, 512), pytest.param(1000, 1777, marks=pytest.mark.full), (9, 16), (40, 48), (2000, 10), (20, 40)],
)
def test_sizes_are_written_in_several_ways(rows: int, columns: int) -> None:
    data = bytes(imagecodecs.jpegxl_encode(np.zeros((rows, columns), np.uint16), lossless=True))
    assert jpegxl.sniff(data) == (rows, columns, 1, 16)


def test_a_jpeg_in_a_container_is_found() -> None:
    jpeg = imagecodecs.jpeg8_encode(np.zeros((16, 24, 3), np.uint8))
    assert jpegxl.sniff(bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))) == (16, 24, 3, 8)


def test_transparency_is_not_taken() -> None:
    data = bytes(imagecodecs.jpegxl_encode(np.zeros((8, 8, 4), np.uint8), lossless=True))
    assert jpegxl.sniff(data) is None


@given(st.binary(max_size=60))
def test_rubbish_is_no_image_or_cut_short(data: bytes) -> None:
    for start in (b"", b"\xff\x0a", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"):
        with contextlib.suppress(IndexError):
            jpegxl.sniff(start + data)
