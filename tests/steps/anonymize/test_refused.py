"""Around pixels nothing leaves that is none: it is held, or zeros where no decoder reads it."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from node.imaging.pixels import read_header
from tests import make
from tests.dicom.datasets import SEQUENCE_END
from tests.imaging.test_encapsulated import offsets, value
from tests.imaging.test_markers import GREY, JPEG, TEXT, segment
from tests.steps.anonymize.driver import output, result, run, why_held


def _of(data: bytes, syntax: str) -> FileDataset:
    """A CT image of 8 bits with this value of Pixel Data."""
    ds = make.ct_series(1)[0]
    make.set_pixels(ds, GREY)
    ds.PixelData = data.removesuffix(SEQUENCE_END)  # which pydicom writes
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def _jpeg(*fragments: bytes, table: bytes = b"") -> FileDataset:
    return _of(value(fragments, table), "1.2.840.10008.1.2.4.50")


def _rle() -> bytes:
    ds = make.ct_series(1)[0]
    make.set_pixels(ds, GREY)
    ds.compress(RLELossless)
    return next(generate_frames(ds.PixelData, number_of_frames=1))


@pytest.mark.parametrize("where", ["a second fragment", "the table of offsets", "behind the segments"])
def test_text_around_rle_frames_is_held(tmp_path: Path, where: str) -> None:
    frame = _rle()
    data = {
        "a second fragment": value([frame, TEXT + b" "]),
        "the table of offsets": value([frame], b"MUELLER^ANNEGRET"),
        "behind the segments": value([frame + TEXT + b" "]),
    }[where]
    assert "cannot be de-identified" in why_held(_of(data, RLELossless), tmp_path)
    np.testing.assert_array_equal(dcmread(output(_of(value([frame]), RLELossless), tmp_path)).pixel_array, GREY)


@pytest.mark.parametrize("where", ["a long header", "behind the scan", "behind the end", "a second fragment"])
def test_text_in_jpeg_frames_becomes_zeros_and_the_pixels_stay(tmp_path: Path, where: str) -> None:
    told = {
        "a long header": [JPEG[:2] + 2 * segment(0xE2, TEXT + bytes(65000)) + JPEG[2:]],
        "behind the scan": [JPEG[:-2] + segment(0xFE, TEXT) + JPEG[-2:]],
        "behind the end": [JPEG + TEXT],
        "a second fragment": [JPEG + b"\0" * (len(JPEG) % 2), TEXT],
    }[where]
    told = [one + b"\0" * (len(one) % 2) for one in told]
    batch = run(_jpeg(*told, table=offsets(0)), tmp_path)
    path = batch.items[0].path
    assert TEXT not in path.read_bytes()
    assert path.stat().st_size < sum(map(len, told)) + 10_000
    pixels = read_header(path)[1]
    assert pixels is not None
    np.testing.assert_array_equal(next(iter(pixels.frames())), imagecodecs.jpeg8_decode(JPEG))
    assert '"(7FE0,0010)":{"cleaned":1}' in str(batch.items[0].account)


def test_a_frame_in_a_few_bytes_is_cleaned_as_well(tmp_path: Path) -> None:
    """Elements that are so short are remembered as a whole, and given on so."""
    told = b"\xff\xd8" + segment(0xFE, TEXT) + b"\xff\xd9"
    after = output(_jpeg(told + b"\0" * (len(told) % 2)), tmp_path).read_bytes()
    assert TEXT not in after
    assert b"\xff\xd8" + segment(0xFE, bytes(len(TEXT))) + b"\xff\xd9" in after


def test_a_frame_of_pixels_alone_goes_on_byte_for_byte(tmp_path: Path) -> None:
    batch = run(_jpeg(JPEG + b"\0" * (len(JPEG) % 2)), tmp_path)
    assert JPEG in batch.items[0].path.read_bytes()
    assert '"(7FE0,0010)":{"kept":1}' in str(batch.items[0].account)


def test_other_pixels_beside_pixel_data_are_held(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.FloatPixelData = struct.pack("<10f", *range(10))
    assert "an image has one of them" in why_held(ds, tmp_path)


@pytest.mark.parametrize("keyword", ["PixelData", "FloatPixelData"])
def test_an_image_within_a_sequence_that_stays_is_held(tmp_path: Path, keyword: str) -> None:
    ds, item = make.ct_series(1)[0], Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, make.uid("another")
    ds.ReferencedImageSequence = [item]
    assert "ReferencedImageSequence" in result(ds, tmp_path)
    item.add_new(keyword, "OW" if keyword == "PixelData" else "OF", bytes(16))
    assert "has an image in it" in why_held(ds, tmp_path)


def test_pixels_that_are_longer_than_the_image_are_held(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PixelData += TEXT + b" "
    assert "bytes more than an image of its size" in why_held(ds, tmp_path)
