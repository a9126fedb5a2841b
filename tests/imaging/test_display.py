"""The grey way is pydicom's way where pydicom knows it, and the standard's where it does not."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from node.errors import CannotSucceed
from node.imaging.display import Display, Rescale, display_of, hounsfield
from node.imaging.layout import Layout, layout_of
from node.imaging.window import Window
from tests import make
from tests.data import real

NATIVE = "1.2.840.10008.1.2.1"


def ct(**values: object) -> FileDataset:
    ds = make.ct_series(1)[0]
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def shown(ds: Dataset, number: int = 0) -> tuple[Display, Layout]:
    layout = layout_of(ds, NATIVE)
    return display_of(ds, layout, number), layout


def judged(ds: Dataset) -> np.ndarray:
    """pydicom's values of the whole image, spread from 0 to 1 by the range that it spreads them over."""
    values = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds).astype(float)
    low, high = 0.0, float(2**ds.BitsStored - 1)
    if ds.PixelRepresentation:
        low, high = -float(2 ** (ds.BitsStored - 1)), float(2 ** (ds.BitsStored - 1) - 1)
    ends = [end * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for end in (low, high)]
    return (values - ends[0]) / (ends[1] - ends[0])


def table(descriptor: list[int], entries: list[int]) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if descriptor[1] < 0 else "US", descriptor)
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("slope", [1, 2.5])
def test_a_window_of_the_header_is_what_pydicom_makes_of_it(function: str | None, slope: float) -> None:
    ds = ct(WindowCenter=[40, 700], WindowWidth=[400, 3000], RescaleSlope=slope)
    if function:
        ds.VOILUTFunction = function
    display, _ = shown(ds)
    np.testing.assert_allclose(display.share(ds.pixel_array), judged(ds), atol=1e-9)


def test_real_images_are_what_pydicom_makes_of_them() -> None:
    for path in sorted(real("ct_straight_28").iterdir())[::9]:
        ds = pydicom.dcmread(path)
        display, _ = shown(ds)
        levels = np.rint(judged(ds) * 255)
        assert np.abs(display.levels(ds.pixel_array, 8).astype(int) - levels).max() <= 1
        assert (display.levels(ds.pixel_array, 8) == levels).mean() > 0.999


def test_a_voi_lut_comes_before_a_window_and_after_the_modality() -> None:
    ds = ct(WindowCenter=40, WindowWidth=400)
    ds.VOILUTSequence = table([4096, -1024, 12], [4095 - n for n in range(4096)])
    display, _ = shown(ds)
    stored = np.array([[0, 1024, 3071, -500, 5000]], np.int16)
    expected = apply_voi_lut(apply_modality_lut(stored, ds).astype(int), ds) / 4095
    np.testing.assert_allclose(display.share(stored), expected)


def test_a_modality_lut_stands_for_the_rescale() -> None:
    ds = ct(WindowCenter=500, WindowWidth=1000)
    ds.ModalityLUTSequence = table([256, 0, 16], [n * 4 for n in range(256)])
    display, _ = shown(ds)
    stored = np.array([[-3, 0, 100, 255, 900]], np.int16)
    np.testing.assert_array_equal(display.values(stored), apply_modality_lut(stored, ds).ravel())
    assert display.share(stored)[0, 2] == pytest.approx((400 - 0) / 999)


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=40), st.sampled_from([8, 16]))
def test_levels_are_the_brightness_rounded_for_every_value(values: list[int], bits: int) -> None:
    display = Display(
        modality=Rescale(slope=0.7, intercept=-300), voi=Window(center=10, width=900), inverted=True, padding=(-7, 12)
    )
    stored = np.array(values, np.int16)
    expected = np.rint(display.share(stored) * (2**bits - 1))
    np.testing.assert_array_equal(display.levels(stored, bits), expected)
    np.testing.assert_array_equal(display.levels(stored.astype(np.int32), bits), expected)


@given(
    center=st.floats(width=32),
    width=st.floats(width=32),
    slope=st.floats(-1e6, 1e6),
    padding=st.integers(-32768, 65535),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "BENT"]),
)
def test_any_header_is_shown_from_black_to_white_or_refused(
    center: float, width: float, slope: float, padding: int, function: str
) -> None:
    ds = ct(VOILUTFunction=function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that overflow
        for keyword, value in (("WindowCenter", center), ("WindowWidth", width), ("RescaleSlope", slope)):
            setattr(ds, keyword, f"{value:.9g}")
        ds.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
        try:
            display, _ = shown(ds)
        except CannotSucceed:
            return
        share = display.with_voi(display.voi or Window(center=0, width=2)).share(ds.pixel_array)
    assert np.isfinite(share).all()
    assert 0 <= share.min() <= share.max() <= 1


def mono1(**values: object) -> FileDataset:
    ds = ct(WindowCenter=40, WindowWidth=400, **values)
    ds.PhotometricInterpretation = "MONOCHROME1"
    return ds


def test_monochrome1_is_turned_after_the_window_not_before() -> None:
    """`max - pixels` depends on the largest pixel there is, and leaves the window behind."""
    ds, same = mono1(), ct(WindowCenter=40, WindowWidth=400)
    upright = shown(ds)[0].share(ds.pixel_array)
    np.testing.assert_allclose(upright, 1 - shown(same)[0].share(same.pixel_array))
    taught = same.copy()
    taught_display, _ = shown(taught)
    wrong = taught_display.share(ds.pixel_array.max() - ds.pixel_array)
    assert np.abs(wrong - upright).max() > 0.4
    part = ds.pixel_array[:4]  # what is cut out does not change
    np.testing.assert_array_equal(shown(ds)[0].share(part), upright[:4])


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted", "noted"),
    [
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", "IDENTITY", False, True),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", "NONSENSE", True, False),
    ],
)
def test_presentation_lut_shape_has_the_last_word(
    photometric: str, shape: str | None, inverted: bool, noted: bool
) -> None:
    ds = ct(PhotometricInterpretation=photometric)
    if shape:
        ds.PresentationLUTShape = shape
    display, _ = shown(ds)
    assert display.inverted is inverted
    assert any("Presentation LUT Shape" in note for note in display.notes) is noted


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_value(photometric: str) -> None:
    ds = mono1() if photometric == "MONOCHROME1" else ct(WindowCenter=40, WindowWidth=400)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    ds.add_new("PixelPaddingRangeLimit", "SS", -1990)
    display, _ = shown(ds)
    stored = np.array([[-2000, -1995, -1990, 900, 2000]], np.int16)
    assert display.share(stored)[0, :3].tolist() == [0, 0, 0]
    assert len(display.values(stored)) == 2


@pytest.mark.parametrize(
    ("vr", "value", "signed", "stored", "padding"),
    [
        ("US", 63536, True, 16, (-2000, -2000)),  # the VR is of the other sign
        ("SS", -2000, True, 12, (-2000, -2000)),
        ("US", 4095, False, 12, (4095, 4095)),
        ("SS", -1, False, 16, (65535, 65535)),
        ("US", 63536, False, 12, None),  # no pixel of 12 bits can have it
        ("SS", -4000, True, 12, None),
    ],
)
def test_padding_is_a_value_that_pixels_can_have(
    vr: str, value: int, signed: bool, stored: int, padding: tuple[int, int] | None
) -> None:
    ds = ct(BitsStored=stored, HighBit=stored - 1, PixelRepresentation=int(signed))
    ds.add_new("PixelPaddingValue", vr, value)
    display, _ = shown(ds)
    assert display.padding == padding
    assert any("PixelPaddingValue" in note for note in display.notes) is (padding is None)


def test_a_window_of_an_enhanced_frame_is_its_own() -> None:
    ds = make.enhanced_mr(2, 2)
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        voi = Dataset()
        voi.WindowCenter, voi.WindowWidth = 100 * (n + 1), 200
        frame.FrameVOILUTSequence = Sequence([voi])
    for number in range(4):
        display, _ = shown(ds, number)
        assert display.voi == Window(center=100 * (number + 1), width=200)
        assert display.modality == Rescale(slope=1.5 + number // 2, intercept=-4)


@pytest.mark.parametrize(
    ("center", "width", "function", "expected", "words"),
    [
        (0.3, 0.5, "LINEAR", Window(center=0.3, width=0.5, function="LINEAR_EXACT"), "of fractions"),
        (40, 0, "LINEAR", None, "width 0"),
        (40, 400, "BENT", Window(center=40, width=400), "does not have"),
    ],
)
def test_a_window_against_the_standard_is_noted(
    center: float, width: float, function: str, expected: Window | None, words: str
) -> None:
    display, _ = shown(ct(WindowCenter=center, WindowWidth=width, VOILUTFunction=function))
    assert display.voi == expected
    assert any(words in note for note in display.notes)


def test_a_supplemental_palette_is_said_to_be_left_out() -> None:
    assert any("supplemental palette" in note for note in shown(ct(PixelPresentation="MIXED"))[0].notes)
    assert shown(ct(PixelPresentation="MONOCHROME"))[0].notes == ()


def test_a_rescale_slope_of_zero_is_refused() -> None:
    with pytest.raises(CannotSucceed, match="'Rescale Slope' is 0"):
        shown(ct(RescaleSlope=0))


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_a_rescale_that_is_no_finite_number_is_refused(keyword: str) -> None:
    with pytest.raises(CannotSucceed, match="is no finite number"):
        shown(ct(**{keyword: "nan"}))


@pytest.mark.parametrize(
    ("modality", "kind", "yes"), [("CT", "HU", True), ("CT", None, True), ("CT", "US", False), ("PT", "BQML", False)]
)
def test_hounsfield_units_are_those_of_ct(modality: str, kind: str | None, yes: bool) -> None:
    ds = ct(Modality=modality)
    ds.SOPClassUID = make.CT_IMAGE if modality == "CT" else "1.2.840.10008.5.1.4.1.1.128"
    if kind:
        ds.RescaleType = kind
    else:
        del ds.RescaleType
    assert hounsfield(ds, 0) is yes
