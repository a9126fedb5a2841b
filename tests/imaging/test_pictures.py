"""Whole pictures: every kind of image as a screen shows it, in 8 or 16 bits, with square pixels, upright."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, convert_color_space

from node.errors import CannotSucceed
from node.imaging.pictures import Look, Shown, stays
from node.imaging.pixels import read_header
from node.imaging.window import Window
from tests import make
from tests.data import real


def shown(ds: FileDataset | Path, tmp_path: Path | None = None, **look: Any) -> Shown:
    if isinstance(ds, FileDataset):
        assert tmp_path
        ds = make.write(ds, tmp_path / "a.dcm")
    header, pixels = read_header(ds)
    assert pixels is not None
    return Shown(header, pixels, Look(**look))


def picture(ds: FileDataset | Path, tmp_path: Path | None = None, **look: Any) -> np.ndarray:
    return np.asarray(next(shown(ds, tmp_path, **look).pictures([0])))


def ct(**values: object) -> FileDataset:
    ds = make.ct_series(1, pixel_spacing=(0.7, 0.7))[0]
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def test_a_named_window_is_of_hounsfield_units(tmp_path: Path) -> None:
    ds = ct()
    found = picture(ds, tmp_path, window="lung")
    hu = ds.pixel_array - 1024.0
    np.testing.assert_array_equal(found, np.rint(np.clip((hu + 1350) / 1499, 0, 1) * 255))


@pytest.mark.parametrize("window", ["lung", "bone", "brain", "soft_tissue"])
def test_a_named_window_is_refused_where_values_are_no_hounsfield_units(window: str, tmp_path: Path) -> None:
    with pytest.raises(CannotSucceed, match="Hounsfield units"):
        shown(make.enhanced_mr(2, 1), tmp_path, window=window)


def test_colour_is_not_windowed_whatever_the_window(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    np.testing.assert_array_equal(picture(make.secondary_capture(pixels), tmp_path, window="lung"), pixels)


@pytest.mark.parametrize(("bits", "most", "dtype"), [(8, 255, np.uint8), (16, 65535, np.uint16)])
def test_both_depths_go_from_black_to_white(bits: int, most: int, dtype: type, tmp_path: Path) -> None:
    ds = ct(WindowCenter=-900, WindowWidth=500)
    found = picture(ds, tmp_path, bits=bits)
    assert found.dtype == dtype
    assert (found.min(), found.max()) == (0, most)
    share = (apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds) - (-33792)) / 65535
    np.testing.assert_allclose(found, share * most, atol=0.51)


def test_eight_bits_without_a_window_are_shown_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(50, 200, (6, 7)).astype(np.uint8)
    np.testing.assert_array_equal(picture(make.secondary_capture(pixels), tmp_path), pixels)
    turned = make.secondary_capture(pixels, photometric="MONOCHROME1")
    np.testing.assert_array_equal(picture(turned, tmp_path), 255 - pixels)


def test_more_bits_without_a_window_are_shown_between_percentiles_and_it_is_said(tmp_path: Path) -> None:
    ds = ct()
    one = shown(ds, tmp_path, percentiles=(10, 90))
    found = np.asarray(next(one.pictures()))
    low, high = np.percentile(ds.pixel_array - 1024.0, (10, 90))
    expected = np.clip((ds.pixel_array - 1024.0 - low) / (high - low), 0, 1)
    np.testing.assert_allclose(found, expected * 255, atol=0.51)
    assert any("percentiles" in note for note in one.notes)


def test_padding_does_not_count_in_percentiles_and_is_black(tmp_path: Path) -> None:
    ds = ct()
    pixels = ds.pixel_array.copy()
    pixels[:, :4] = -2000
    make.set_pixels(ds, pixels)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    found = picture(ds, tmp_path, window="percentile", percentiles=(0, 100))
    assert not found[:, :4].any()
    signal = pixels[:, 4:].astype(float)
    expected = (signal - signal.min()) / (signal.max() - signal.min()) * 255
    np.testing.assert_allclose(found[:, 4:], expected, atol=0.51)


def test_frames_of_one_instance_share_a_window_so_that_a_cine_does_not_flicker(tmp_path: Path) -> None:
    frames = np.stack([np.full((4, 4), 1000 * n, np.uint16) for n in range(5)])
    found = list(shown(make.secondary_capture(frames), tmp_path, percentiles=(0, 100)).pictures())
    assert [int(p[0, 0]) for p in found] == [0, 64, 128, 191, 255]


def test_full_is_every_value_that_the_pixels_can_have(tmp_path: Path) -> None:
    ds = ct(BitsStored=12, HighBit=11)
    make.set_pixels(ds, np.array([[-2048, 0, 2047]], np.int16), bits_stored=12)
    assert picture(ds, tmp_path, window="full", square=False)[0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("keyword", "spacing", "shape"),
    [
        ("PixelSpacing", [1.4, 0.7], (24, 10)),
        ("PixelSpacing", [0.7, 1.4], (12, 20)),
        ("ImagerPixelSpacing", [0.2, 0.1], (24, 10)),
        ("PixelAspectRatio", [1, 2], (12, 20)),
        ("PixelAspectRatio", [0, 2], (12, 10)),
        ("PixelAspectRatio", [1, 900], (12, 10)),
    ],
)
def test_pixels_that_are_not_square_are_made_so(
    keyword: str, spacing: list[float], shape: tuple[int, int], tmp_path: Path
) -> None:
    ds = ct()
    del ds.PixelSpacing
    setattr(ds, keyword, spacing)
    one = shown(ds, tmp_path)
    assert next(one.pictures()).shape == shape
    assert bool([n for n in one.notes if "square" in n]) is (shape == (12, 10))
    assert picture(ds, tmp_path, square=False).shape == (12, 10)


def test_an_aspect_beside_a_size_takes_both(tmp_path: Path) -> None:
    assert picture(ct(PixelSpacing=[1.4, 0.7]), tmp_path, longest=12).shape == (12, 5)


@pytest.mark.parametrize("name", ["SC_ybr_full_422_uncompressed.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle.dcm"])
def test_colour_of_every_form_is_the_same_colour_as_pydicoms(name: str) -> None:
    path = Path(str(get_testdata_file(name)))
    ds = pydicom.dcmread(path)
    expected = ds.pixel_array
    if "YBR" in ds.PhotometricInterpretation:
        expected = convert_color_space(pydicom.pixels.pixel_array(ds, raw=True), ds.PhotometricInterpretation, "RGB")
    wide = expected.dtype == np.uint16
    found = picture(path, bits=16 if wide else 8)
    np.testing.assert_array_equal(found, expected)
    if wide:
        np.testing.assert_allclose(picture(path), expected / 257, atol=0.51)


def test_eight_bits_in_sixteen_are_not_dark(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (5, 4, 3)).astype(np.uint16)
    ds = make.secondary_capture(pixels, bits_stored=8)
    found = picture(ds, tmp_path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


def test_real_mono1_is_upright() -> None:
    """A chest or a hand: the air around it is dark, and the bright part is what absorbs."""
    for folder in ("cr_mono1_j2k", "dx_mono1"):
        (path,) = sorted(real(folder).iterdir())
        ds = pydicom.dcmread(path)
        assert ds.PhotometricInterpretation == "MONOCHROME1"
        found = picture(path, square=False).astype(float).ravel()
        # The more of the stored value, the darker.
        assert np.corrcoef(found, ds.pixel_array.ravel())[0, 1] < -0.3


def test_floats_that_are_no_number_are_black(tmp_path: Path) -> None:
    (path,) = sorted(real("pmap_float").iterdir())
    # Its window is 1 about 0.5, for values from 0 to 1.
    np.testing.assert_array_equal(picture(path), np.rint(next(shown(path).values([0])).reshape(128, 128) * 255))
    ds = pydicom.dcmread(path)
    values = np.frombuffer(ds.FloatPixelData, "<f4").copy()
    values[: ds.Columns] = np.nan
    ds.FloatPixelData = values.tobytes()
    assert not picture(make.write(ds, tmp_path / "nan.dcm"))[0].any()
    ds.FloatPixelData = np.full_like(values, np.nan).tobytes()
    with pytest.raises(CannotSucceed, match="no pixel has a value"):
        picture(make.write(ds, tmp_path / "nan.dcm"), window="percentile")
    with pytest.raises(CannotSucceed, match="floats have no range"):
        picture(make.write(ds, tmp_path / "nan.dcm"), window="full")


def test_a_window_for_many_instances_can_be_given(tmp_path: Path) -> None:
    one = shown(ct(), tmp_path, window="percentile")
    assert one.automatic(0)
    dark, light = (
        np.asarray(next(one.pictures([0], Window(center=center, width=2000)))).mean() for center in (3000, -3000)
    )
    assert dark < 100 < light


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        ({"FrameTime": "40"}, [40.0] * 3, True),
        ({"FrameTimeVector": ["0", "20", "30"]}, [20.0, 30.0, 30.0], True),
        ({"RecommendedDisplayFrameRate": "25"}, [40.0] * 3, True),
        ({"CineRate": "10"}, [100.0] * 3, True),
        ({"FrameTime": "0", "CineRate": "0"}, [100.0] * 3, False),
        ({}, [100.0] * 3, False),
    ],
)
def test_a_frame_stays_as_long_as_the_header_says(values: dict[str, Any], expected: list[float], said: bool) -> None:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    assert stays(ds, 3) == (expected, said)


DCMTK = shutil.which("dcmj2pnm")
SHIPPED = ("MR_small.dcm", "MR_small_RLE.dcm", "ExplVR_BigEnd.dcm", "SC_rgb_jpeg_dcmtk.dcm", "examples_palette.dcm",
           "examples_ybr_color.dcm", "SC_ybr_full_422_uncompressed.dcm")  # fmt: skip
FOLDERS = ("ct_straight_28", "fmri_ge_4d", "dx_mono1", "localizer3", "ph_dualecho")


@pytest.mark.skipif(DCMTK is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("name", [*SHIPPED, *FOLDERS])
def test_dcmtk_shows_the_same_picture(name: str, tmp_path: Path) -> None:
    """Another program, within the one level that it cuts off and does not round."""
    path = sorted(real(name).iterdir())[0] if name in FOLDERS else Path(str(get_testdata_file(name)))
    grey = pydicom.dcmread(path, stop_before_pixels=True).SamplesPerPixel == 1
    window = ["+Wi", "1"] if "WindowCenter" in pydicom.dcmread(path) and grey else []
    subprocess.run([str(DCMTK), "+op", *window, str(path), str(tmp_path / "a.pnm")], check=True, capture_output=True)
    with Image.open(tmp_path / "a.pnm") as theirs:
        assert np.abs(picture(path, square=False).astype(int) - np.asarray(theirs)).max() <= 1
