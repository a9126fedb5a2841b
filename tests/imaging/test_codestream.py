"""What a frame says about itself is read without decoding it."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging.codestream import sniff, with_precision, without_colour

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


@pytest.mark.parametrize(
    ("data", "exact"),
    [
        (imagecodecs.jpeg8_encode(COLOUR), False),
        (imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1, bitspersample=16), True),
        (imagecodecs.jpegls_encode(GREY), True),
        (imagecodecs.jpegls_encode(GREY, level=2), False),
        (imagecodecs.jpeg2k_encode(GREY, reversible=True, codecformat="J2K"), None),
        (imagecodecs.jpeg2k_encode(GREY, reversible=False, level=60, codecformat="J2K"), False),
        (imagecodecs.htj2k_encode(GREY, reversible=False, level=0.01), False),
    ],
    ids=["DCT", "predicted", "JPEG-LS", "near", "5/3", "9/7", "9/7 of HT"],
)
def test_whether_a_coding_loses_something_is_said_where_it_can_be(data: bytes, exact: bool | None) -> None:
    found = sniff(data)
    assert found is not None
    assert found.exact is exact


def test_transformations_of_part_2_are_seen() -> None:
    data = bytes(imagecodecs.jpeg2k_encode(GREY, reversible=True, codecformat="J2K"))
    at = data.index(b"\xff\x90")
    found, plain = sniff(data[:at] + b"\xff\x75\0\x03\0" + data[at:]), sniff(data)
    assert found is not None
    assert plain is not None
    assert (found.extended, plain.extended) == (True, False)


def test_restart_markers_and_several_scans_are_seen() -> None:
    data = bytes(imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1, bitspersample=16))
    scan = data.index(b"\xff\xda")
    every_row, never, plain = (
        sniff(data[:scan] + marker + data[scan:]) for marker in (b"\xff\xdd\0\x04\0\x14", b"\xff\xdd\0\x04\0\0", b"")
    )
    assert every_row is not None
    assert never is not None
    assert plain is not None
    assert (every_row.plain, never.plain, plain.plain) == (False, True, True)


@pytest.mark.parametrize("signed", [False, True])
def test_the_precision_of_jpeg_2000_is_written_for_every_component(signed: bool) -> None:
    changed = with_precision(bytes(imagecodecs.htj2k_encode(COLOUR, reversible=True)), 5, signed=signed)
    at = changed.index(b"\xff\x51")
    assert [changed[at + 40 + 3 * n] for n in range(3)] == [4 | (0x80 if signed else 0)] * 3
    found = sniff(changed)
    assert found is not None
    assert (found.precision, found.signed) == (5, signed)


def test_a_claim_of_rgb_is_taken_out() -> None:
    data = bytes(imagecodecs.jpeg8_encode(COLOUR, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"))
    claimed, silent = sniff(data), sniff(without_colour(data))
    assert claimed is not None
    assert silent is not None
    assert (claimed.ycbcr, silent.ycbcr) == (False, None)
    np.testing.assert_array_equal(imagecodecs.ljpeg_decode(without_colour(data)), COLOUR)
