"""Each fault of a series is found, by its name and with its numbers; a series without one has no finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset

from node.imaging.consistency import FINDINGS, Finding, Stack, consistency
from node.imaging.layout import layout_of
from node.imaging.pixels import read_header
from node.imaging.planes import Plane, planes_of
from tests import make
from tests.data import real

Series = list[FileDataset]
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


def planes(series: Sequence[FileDataset]) -> list[Plane]:
    return [p for n, ds in enumerate(series) for p in planes_of(ds, layout_of(ds, "1.2.840.10008.1.2.1"), n)]


def found(series: Sequence[FileDataset]) -> list[Finding]:
    return consistency(planes(series))[0]


def names(series: Sequence[FileDataset]) -> set[str]:
    return {finding.what for finding in found(series)}


def drop(n: int) -> Callable[[Series], None]:
    return lambda series: series.__delitem__(n)


def move(n: int, *position: float) -> Callable[[Series], None]:
    return lambda series: setattr(series[n], "ImagePositionPatient", list(position))


def put(keyword: str, value: object, n: int = 2) -> Callable[[Series], None]:
    return lambda series: setattr(series[n], keyword, value)


def put_all(keyword: str, value: object) -> Callable[[Series], None]:
    def spoil(series: Series) -> None:
        for ds in series:
            setattr(ds, keyword, value)

    return spoil


def other_size(series: Series) -> None:
    make.set_pixels(series[2], make.picture(6, 5))


def two_fewer(series: Series) -> None:
    del series[2:4]


def drifting(series: Series) -> None:
    """Each distance is within what rounding does, and all of them are not."""
    for n, ds in enumerate(series):
        ds.ImagePositionPatient = [-20, -30, 100 + 2.5 * n + 0.02 * max(0, n - 2)]


def beside(series: Series) -> None:
    for ds in make.ct_series(6):
        ds.InstanceNumber += 6
        ds.ImagePositionPatient = [-17, -30, ds.ImagePositionPatient[2]]
        series.append(ds)


def twice(series: Series) -> None:
    series.append(series[2])


def other_orientation(series: Series) -> None:
    series[4].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


FAULTS: dict[str, tuple[Callable[[Series], None], str, str]] = {
    "other size": (other_size, "mixed_size", "5 of 12 x 10, 1 of 6 x 5"),
    "other photometric": (
        put("PhotometricInterpretation", "MONOCHROME1"),
        "mixed_pixels",
        "5 of MONOCHROME2 1 16 16 True",
    ),
    "other orientation": (other_orientation, "mixed_orientation", "2 orientations in 6 frames"),
    "nearly parallel": (
        put("ImageOrientationPatient", [1, 0, 0, 0, 0.99998, 0.0063]),
        "mixed_orientation",
        "up to 0.0063 apart",
    ),
    "skewed": (put_all("ImageOrientationPatient", [1, 0, 0, 0.3, 1, 0]), "skewed_orientation", "not orthonormal"),
    "no position": (put("ImagePositionPatient", None), "missing_geometry", "1 frames without 'Image Position"),
    "no orientation": (put("ImageOrientationPatient", None), "missing_geometry", "Orientation (Patient)'"),
    "no spacing": (put("PixelSpacing", None), "missing_spacing", "1 frames without 'Pixel Spacing'"),
    "zero spacing": (put_all("PixelSpacing", [0, 0.7]), "implausible_spacing", "0 x 0.7 mm"),
    "huge spacing": (put_all("PixelSpacing", [80, 80]), "implausible_spacing", "80 x 80 mm"),
    "other spacing": (put("PixelSpacing", [0.8, 0.6]), "mixed_spacing", "from 0.8 x 0.6 to 0.8 x 0.7 mm"),
    "missing slice": (drop(2), "missing_position", "missing slices: 1; neighbours lie 2.500 mm apart, in 1 of 4"),
    "two missing": (two_fewer, "missing_position", "missing slices: 2"),
    "moved slice": (move(2, -20, -30, 106), "uneven_spacing", "1.500 to 3.500 mm apart, most 2.500 mm"),
    "slices that drift": (drifting, "uneven_spacing", "2.500 to 2.520 mm apart, most 2.520 mm; evenly spaced, one"),
    "shifted slice": (move(2, -19, -30, 105), "scattered_positions", "1.000 mm off the line"),
    "beside each other": (beside, "scattered_positions", "images at one height lie 3.000 mm beside each other"),
    "double": (twice, "duplicate_position", "2 images share position, number and time"),
    "one more somewhere": (twice, "ragged", "images at 6 positions: 5 with 1, 1 with 2"),
    "wrong step": (put_all("SpacingBetweenSlices", 5), "contradicted_spacing", "2.500 mm apart, 'Spacing Between"),
    "other rescale": (put("RescaleIntercept", 0), "mixed_rescale", "5 of 1 and -1024, 1 of 1 and 0"),
    "no rescale": (put("RescaleSlope", None), "mixed_rescale", "1 of none"),
    "a slope of zero": (put_all("RescaleSlope", 0), "unusable_rescale", "6 frames: 'Rescale Slope' is 0"),
    "other reference": (put("FrameOfReferenceUID", "1.2.3"), "mixed_frame_of_reference", "2 frames of reference"),
    "no reference": (put_all("FrameOfReferenceUID", ""), "missing_frame_of_reference", "6 frames with a position"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_name_and_with_its_numbers(fault: str) -> None:
    spoil, what, text = FAULTS[fault]
    series = make.ct_series(6)
    spoil(series)
    texts = [finding.text for finding in found(series) if finding.what == what]
    assert any(text in said for said in texts), found(series)


def test_every_finding_of_positions_and_headers_is_tried_here() -> None:
    elsewhere = {"unreadable", "fewer_than_announced"}  # of files and of counts: tests/steps/test_check.py
    assert {what for _, what, _ in FAULTS.values()} == set(FINDINGS) - elsewhere


@given(
    slices=st.integers(1, 12),
    spacing=st.floats(0.2, 20).map(lambda x: round(x, 3)),
    orientation=st.sampled_from([make.AXIAL, (0, 1, 0, 0, 0, -1), OBLIQUE]),
)
def test_a_series_that_fits_together_has_no_finding(
    slices: int, spacing: float, orientation: tuple[float, ...]
) -> None:
    series = make.ct_series(slices, spacing=spacing, orientation=orientation)
    found, (stack,) = consistency(planes(series))
    assert found == []
    assert (stack.positions, stack.images_per_position, stack.tilt) == (slices, (1, 1), 0)
    assert stack.distance == (None if slices == 1 else pytest.approx(spacing, abs=1e-4))


def test_positions_rounded_to_two_decimals_are_no_fault() -> None:
    series = make.ct_series(40, spacing=0.6667, orientation=OBLIQUE)
    for ds in series:
        ds.ImagePositionPatient = [round(float(x), 2) for x in ds.ImagePositionPatient]
    assert found(series) == []


@pytest.mark.parametrize("pixel", [0.35, 0.45, 0.6])
@pytest.mark.parametrize("spacing", [0.335, 1.25, 2.5])
def test_nor_are_they_where_pixels_are_small(pixel: float, spacing: float) -> None:
    for orientation in (make.AXIAL, OBLIQUE):
        series = make.ct_series(40, pixel_spacing=(pixel, pixel), spacing=spacing, orientation=orientation)
        for ds in series:
            ds.ImagePositionPatient = [round(float(x), 2) for x in ds.ImagePositionPatient]
        assert found(series) == []


def test_the_instance_that_is_unlike_the_others_is_named() -> None:
    series = make.ct_series(6)
    series[4].PixelSpacing = [0.8, 0.6]
    assert [finding.members for finding in found(series)] == [(4,)]


def test_a_tilted_stack_fits_together_and_its_tilt_is_told() -> None:
    series = make.ct_series(5)
    for k, ds in enumerate(series):
        ds.ImagePositionPatient = [-20, -30 + k * 0.6, 100 + k * 2.5]
    found, (stack,) = consistency(planes(series))
    assert found == []
    assert stack.tilt == pytest.approx(13.496, abs=0.01)


def test_several_volumes_and_echoes_are_no_fault() -> None:
    assert names([make.enhanced_mr(4, 3)]) == {"mixed_rescale"}  # as it is made: a slope for each volume
    echoes = [*make.ct_series(4), *make.ct_series(4)]
    for n, ds in enumerate(echoes):
        ds.EchoTime, ds.InstanceNumber, ds.RescaleIntercept = n // 4, n + 1, -1000 * (n // 4)
    found, stacks = consistency(planes(echoes))
    assert found == []
    assert [stack.positions for stack in stacks] == [4, 4]


def test_each_image_of_pet_may_have_its_own_rescale() -> None:
    series = make.ct_series(3)
    for n, ds in enumerate(series):
        ds.Modality, ds.RescaleSlope = "PT", n + 1
    assert found(series) == []


def test_frames_of_a_dose_lie_where_its_offsets_say() -> None:
    ds = pydicom.dcmread(str(get_testdata_file("rtdose.dcm")))
    for first in (0.0, -120.0):  # relative, and absolute
        ds.GridFrameOffsetVector = [first + 3.0 * n for n in range(ds.NumberOfFrames)]
        found, (stack,) = consistency(planes([ds]))
        assert {finding.what for finding in found} <= {"contradicted_spacing"}
        assert (stack.positions, stack.distance) == (ds.NumberOfFrames, pytest.approx(3.0))
    del ds.GridFrameOffsetVector
    assert "missing_geometry" in names([ds])


def test_nobody_expects_positions_of_a_radiograph() -> None:
    ds = make.secondary_capture(make.picture(5, 5))
    assert consistency(planes([ds])) == ([], [])


def test_a_value_that_cannot_be_parsed_is_a_value_that_is_missing(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "a.dcm")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x28\x00\x30\x00DS")
    data[at + 8 : at + 10] = b"xy"
    path.write_bytes(data)
    ds, pixels = read_header(path)
    assert pixels is not None
    assert "missing_spacing" in {f.what for f in consistency(planes_of(ds, pixels.layout, 0))[0]}


@pytest.mark.parametrize(
    ("folder", "expected", "stacks"),
    [
        ("ct_straight_28", set(), [(28, 28)]),
        ("ct_gap_4", {"missing_position"}, [(4, 4)]),
        ("ct_tilt_4", set(), [(4, 4)]),
        ("fmri_ge_4d", set(), [(150, 15)]),
        ("ph_dualecho", set(), [(30, 30)] * 4),
        ("localizer3", {"mixed_orientation"}, [(7, 7)] * 3),
        ("mr_two_orientations", {"mixed_orientation", "mixed_spacing"}, [(2, 2)] * 2),
        ("perslice_rescale", {"mixed_rescale"}, [(4, 4)]),
        ("ts_same_image", {"duplicate_position"}, [(9, 1)]),
        ("segs", set(), []),
    ],
)
def test_real_series_are_what_is_known_of_them(folder: str, expected: set[str], stacks: list[tuple[int, int]]) -> None:
    planes: list[Plane] = []
    for n, path in enumerate(sorted(real(folder).iterdir())):
        ds, pixels = read_header(path)
        planes += planes_of(ds, pixels.layout, n) if pixels else []
    found, made = consistency(planes)
    # Frame of reference: some of these were de-identified without.
    assert {finding.what for finding in found} - {"missing_frame_of_reference"} == expected
    assert [(stack.planes, stack.positions) for stack in made] == stacks
    assert all(isinstance(stack, Stack) for stack in made)
