"""A data set that stops in the middle is seen to; one that is over is let through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from node.dicom.sniff import Sniffed, sniff
from node.dicom.uids import transfer_syntax
from node.dicom.wholeness import cut_off, native_length
from tests import make
from tests.data import real_folders
from tests.dicom import big_endian as big
from tests.dicom import datasets as made

JPEG = "1.2.840.10008.1.2.4.50"
CT = make.ct_series(1, rows=8, columns=8)[0]


def compressed() -> bytes:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.PixelData = encapsulate([b"one frame of it " * 4])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return made.encoded(ds)


def where(data: bytes, tag: bytes) -> int:
    assert data.count(tag) == 1
    return data.index(tag)


@pytest.mark.parametrize("syntax", made.UNCOMPRESSED)
def test_an_image_is_whole_to_its_last_byte(syntax: str) -> None:
    whole = made.encoded(CT, syntax)
    assert cut_off(b"before" + whole, syntax, 6) is None
    assert cut_off(b"before" + whole[:-1], syntax, 6) is not None


def test_a_size_that_is_written_as_un_is_little_endian_in_big_endian_too() -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    sizes = {tag: big.element(tag, "UN", b"\x08\0") for tag in (0x00280010, 0x00280011)}
    assert cut_off(big.encoded(ds, sizes), made.BIG_ENDIAN) is None
    short = {0x7FE00010: big.element(0x7FE00010, "OW", bytes(126))}
    reason = cut_off(big.encoded(ds, sizes | short), made.BIG_ENDIAN)
    assert reason == "its pixel data have 126 bytes, and an image of this size 128"


@given(end=st.integers(0))
@settings(deadline=None)
def test_an_image_that_says_its_size_is_cut_wherever_it_ends_before(end: int) -> None:
    whole = made.encoded(CT)
    said = where(whole, b"\x28\x00\x00\x01US\x02\x00") + 10
    assert cut_off(whole[: said + end % (len(whole) - said)], made.EXPLICIT) is not None


@given(end=st.integers(0))
@settings(deadline=None)
def test_compressed_pixels_and_a_deflated_data_set_are_cut_before_their_end(end: int) -> None:
    whole = compressed()
    pixels = where(whole, b"\xe0\x7f\x10\x00")
    assert cut_off(whole, JPEG) is None
    assert cut_off(whole[: pixels + end % (len(whole) - pixels)], JPEG) is not None
    deflated = made.encoded(CT, made.DEFLATED)
    assert cut_off(deflated[: end % len(deflated)], made.DEFLATED) is not None


def test_zeros_in_the_place_of_what_has_not_come_are_no_compressed_pixels() -> None:
    whole = compressed()
    pixels = where(whole, b"\xe0\x7f\x10\x00")
    assert "cannot be read to its end" in str(cut_off(whole[: pixels + 30] + bytes(len(whole) - pixels - 30), JPEG))


def test_a_deflated_data_set_may_inflate_to_much_more_than_it_is() -> None:
    ds = make.instance()
    make.set_pixels(ds, np.zeros((2048, 2048), np.int16))
    whole = made.encoded(ds, made.DEFLATED)
    assert len(whole) < 20_000
    assert cut_off(whole, made.DEFLATED) is None
    assert cut_off(whole[:-4], made.DEFLATED) == "its deflated data set has no end"


def test_fewer_pixels_than_the_image_has_are_cut_and_an_image_without_any() -> None:
    ds = make.ct_series(1, rows=8, columns=8)[0]
    ds.PixelData = ds.PixelData[:-2]
    assert cut_off(made.encoded(ds), made.EXPLICIT) == "its pixel data have 126 bytes, and an image of this size 128"
    del ds.PixelData
    assert "no pixel data" in str(cut_off(made.encoded(ds), made.EXPLICIT))
    ds.PixelDataProviderURL = "https://elsewhere.invalid/1"
    assert cut_off(made.encoded(ds), made.EXPLICIT) is None


def test_an_icon_is_not_the_image() -> None:
    ds = make.report()
    icon = make.ct_series(1, rows=8, columns=8)[0]
    ds.IconImageSequence = make._one(Rows=8, Columns=8, BitsAllocated=8, PixelData=icon.PixelData[:6])
    ds.IconImageSequence[0]["PixelData"].VR = "OW"
    assert cut_off(made.encoded(ds), made.EXPLICIT) is None


def test_a_sequence_that_says_it_is_longer_is_cut() -> None:
    assert cut_off(made.nested(3), made.EXPLICIT) is None
    assert cut_off(made.nested(3)[:-8], made.EXPLICIT) is not None
    assert cut_off(made.nested(3, defined=True)[:-2], made.EXPLICIT) is not None


@pytest.mark.parametrize(
    ("frames", "samples", "allocated", "photometric", "expected"),
    [
        (1, 1, 16, "MONOCHROME2", 30), (2, 1, 16, "MONOCHROME2", 60), (1, 3, 8, "RGB", 45),
        (1, 3, 8, "YBR_FULL_422", 30), (1, 1, 1, "MONOCHROME2", 2), (3, 1, 1, "MONOCHROME2", 6),
        (1, 1, 12, "MONOCHROME2", 23),
    ],
)  # fmt: skip
def test_the_length_of_native_pixels(
    frames: int, samples: int, allocated: int, photometric: str, expected: int
) -> None:
    length = native_length(
        rows=3, columns=5, frames=frames, samples=samples, allocated=allocated, photometric=photometric
    )
    assert length == expected


@pytest.mark.parametrize("folder", real_folders(), ids=lambda p: p.name)
def test_real_instances_are_whole_and_their_halves_are_not(folder: Path) -> None:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found = sniff(path)
        assert isinstance(found, Sniffed)
        data, syntax, offset = path.read_bytes(), found.transfer_syntax, found.dataset_offset
        assert cut_off(data, syntax, offset) is None
        assert cut_off(data[: offset + (len(data) - offset) // 2 + 1], syntax, offset) is not None
        assert transfer_syntax(syntax)
