"""Palettes: the colours that pydicom finds, and the segments of the standard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_palette_files, get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from node.errors import CannotSucceed
from node.imaging.layout import Layout, layout_of
from node.imaging.palette import expand, palette_of
from node.imaging.pixels import read_header
from tests import make

NAMES = ("Red", "Green", "Blue")


def with_palette(pixels: np.ndarray, bits: int, first: int, *tables: list[int], packed: bool = False) -> Dataset:
    ds = make.secondary_capture(pixels, photometric="PALETTE COLOR")
    for name, entries in zip(NAMES, tables, strict=True):
        ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [len(entries), first, bits])
        data = bytes(entries) if packed else np.array(entries, "<u2").tobytes()
        ds.add_new(f"{name}PaletteColorLookupTableData", "OW", data + b"\0" * (len(data) % 2))
    return ds


def layout(ds: Dataset) -> Layout:
    return layout_of(ds, "1.2.840.10008.1.2.1")


INDICES = np.array([[0, 1, 2], [3, 9, 255]], np.uint8)


@pytest.mark.parametrize("packed", [True, False])
def test_eight_bit_entries_are_colours_as_they_are(packed: bool) -> None:
    ds = with_palette(INDICES, 8, 1, [10, 20, 30], [0, 128, 255], [5, 6, 7], packed=packed)
    found = palette_of(ds, layout(ds)).rgb(INDICES, 8)
    assert found.dtype == np.uint8
    assert found[0].tolist() == [[10, 0, 5], [10, 0, 5], [20, 128, 6]]
    assert found[1].tolist() == [[30, 255, 7]] * 3
    np.testing.assert_array_equal(palette_of(ds, layout(ds)).rgb(INDICES, 16), found.astype(np.uint16) * 257)


def test_of_sixteen_bit_entries_the_upper_eight_are_shown() -> None:
    ds = with_palette(INDICES, 16, 0, [0x0100, 0x8080, 0xFF00], [0, 1, 65535], [0, 0, 0])
    palette = palette_of(ds, layout(ds))
    assert palette.rgb(INDICES, 8)[0].tolist() == [[1, 0, 0], [128, 0, 0], [255, 255, 0]]
    np.testing.assert_array_equal(palette.rgb(INDICES, 16), apply_color_lut(INDICES, ds))


def test_sixteen_bits_that_are_only_eight_are_not_shown_black() -> None:
    ds = with_palette(INDICES, 16, 0, [0, 100, 255], [0, 1, 2], [3, 4, 5])
    assert palette_of(ds, layout(ds)).rgb(INDICES, 8)[0, 2].tolist() == [255, 2, 5]


def test_a_real_palette_is_what_pydicom_makes_of_it() -> None:
    path = Path(str(get_testdata_file("examples_palette.dcm")))
    ds, pixels = read_header(path)
    assert pixels is not None
    whole = pydicom.dcmread(path)
    judged = apply_color_lut(whole.pixel_array, whole)
    assert judged.dtype == np.uint16
    palette, (stored,) = palette_of(ds, pixels.layout), pixels.frames()
    np.testing.assert_array_equal(palette.rgb(stored, 16), judged)
    np.testing.assert_array_equal(palette.rgb(stored, 8), judged >> 8)


@pytest.mark.parametrize("name", ["spring.dcm", "summer.dcm", "fall.dcm", "winter.dcm"])
def test_segmented_palettes_of_the_standard_are_expanded(name: str) -> None:
    found = get_palette_files(name)[0]
    whole = pydicom.dcmread(found)
    judged = apply_color_lut(np.arange(256, dtype=np.uint8).reshape(16, 16), whole)
    for plane, colour in enumerate(NAMES):
        data = whole[f"Segmented{colour}PaletteColorLookupTableData"].value
        np.testing.assert_array_equal(expand(data, 8, 256, name="x"), judged[..., plane].ravel())


def words(*numbers: int) -> bytes:
    return np.array(numbers, "<u2").tobytes()


def test_an_indirect_segment_counts_bytes_from_the_beginning() -> None:
    """C.7.9.2.3: two earlier segments once more. Its offset is in bytes, so word 3 is at byte 6."""
    data = words(0, 1, 5, 0, 2, 100, 200, 1, 2, 400, 2, 2, 6, 0)
    assert expand(data, 16, 9, name="x").tolist() == [5, 100, 200, 300, 400, 100, 200, 300, 400]


def test_an_indirect_segment_of_bytes_has_its_offset_in_four() -> None:
    data = bytes([0, 2, 7, 9, 2, 1, 0, 0, 0, 0])
    assert expand(data, 8, 4, name="x").tolist() == [7, 9, 7, 9]


@given(st.binary(max_size=60), st.sampled_from([8, 16]), st.integers(1, 300))
def test_any_segments_give_whole_entries_or_are_refused(data: bytes, bits: int, count: int) -> None:
    try:
        found = expand(data, bits, count, name="x")
    except CannotSucceed:
        return
    assert len(found) == count


def test_a_palette_that_is_missing_or_short_is_refused() -> None:
    ds = with_palette(INDICES, 8, 0, [1, 2], [1, 2], [1, 2])
    ds.BluePaletteColorLookupTableData = b"\1"
    with pytest.raises(CannotSucceed, match="'Blue Palette Color Lookup Table' has 1 entries"):
        palette_of(ds, layout(ds))
    del ds.RedPaletteColorLookupTableDescriptor
    with pytest.raises(CannotSucceed, match="'Red Palette Color Lookup Table' has no descriptor"):
        palette_of(ds, layout(ds))
