"""What a frame says about itself is read without decoding it."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging.codestream import sniff

GREY = np.arange(12 * 20, dtype=np.uint16).reshape(12, 20)
COLOUR = np.arange(12 * 20 * 3, dtype=np.uint8).reshape(12, 20, 3)


@pytest.mark.parametrize(
    ("data", "samples", "precision"),
    [
        (imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1, bitspersample=16), 1, 16),
        (imagecodecs.jpeg8_encode(COLOUR), 3, 8),
        (imagecodecs.jpegls_encode(GREY), 1, 16),
        (imagecodecs.jpeg2k_encode(GREY, reversible=True, codecformat="J2K"), 1, 16),
        (imagecodecs.jpeg2k_encode(COLOUR, reversible=True, codecformat="JP2"), 3, 8),
        (imagecodecs.htj2k_encode(GREY, reversible=True), 1, 16),
    ],
)
def test_size_samples_and_precision_are_found_in_every_family(data: bytes, samples: int, precision: int) -> None:
    found = sniff(data)
    assert found is not None
    assert (found.rows, found.columns, found.samples, found.precision) == (12, 20, samples, precision)


def test_jpeg_2000_says_whether_it_is_signed() -> None:
    found = sniff(imagecodecs.htj2k_encode(GREY.view(np.int16), reversible=True))
    assert found is not None
    assert found.signed


@pytest.mark.parametrize(
    ("marker", "ycbcr"),
    [
        (b"", None),
        (b"\xff\xe0\x00\x07JFIF\0", True),
        (b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x01", True),
        (b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x00", False),
        (b"\xff\xee\x00\x0cAdobe\0\0\0\0\0", None),
    ],
    ids=["nothing", "JFIF", "Adobe YCbCr", "Adobe RGB", "Adobe cut short"],
)
def test_jpeg_markers_say_what_colour_is(marker: bytes, ycbcr: bool | None) -> None:
    frame = b"\xff\xc0\x00\x11\x08\x00\x0c\x00\x14\x03" + b"\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    found = sniff(b"\xff\xd8" + marker + frame)
    assert found is not None
    assert found.ycbcr is ycbcr


def test_component_names_of_rgb_mean_rgb() -> None:
    frame = b"\xff\xc0\x00\x11\x08\x00\x0c\x00\x14\x03" + b"R\x11\x00G\x11\x00B\x11\x00"
    found = sniff(b"\xff\xd8" + frame)
    assert found is not None
    assert found.ycbcr is False


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xee", b"\xff\x4f\xff\x51"]))
def test_no_bytes_make_it_raise(tail: bytes, head: bytes) -> None:
    sniff(head + tail)
