"""Frames are put together by their headers alone; what does not fit is unplaced, with the reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydicom.dataset import Dataset

from node.errors import CannotSucceed
from node.imaging.attributes import Frame, frames_of
from node.imaging.layout import layout_of
from node.imaging.volumes import Unplaced, Volume, plan
from tests import make

EXPLICIT = "1.2.840.10008.1.2.1"


def frames(instances: Sequence[Dataset]) -> list[Frame]:
    return [frame for n, ds in enumerate(instances) for frame in frames_of(ds, layout_of(ds, EXPLICIT), n)]


def volumes(instances: Sequence[Dataset]) -> list[Volume]:
    found = plan(frames(instances))
    assert all(isinstance(one, Volume) for one in found), found
    return [one for one in found if isinstance(one, Volume)]


def reason(instances: Sequence[Dataset]) -> str:
    (found,) = plan(frames(instances))
    assert isinstance(found, Unplaced)
    assert len(found.frames) == len(instances)
    return found.reason


def test_a_classic_series_is_one_volume_in_order_of_position() -> None:
    (found,) = volumes(make.ct_series(5)[::-1])
    assert (found.slices, found.times) == (5, 1)
    assert [frame.instance for frame in found.frames] == [4, 3, 2, 1, 0]
    assert found.rescale == (1.0, -1024.0)


def test_an_enhanced_object_is_one_4d_volume_with_the_scale_of_each_frame() -> None:
    (found,) = volumes([make.enhanced_mr(4, 3)])
    assert (found.slices, found.times) == (4, 3)
    assert [frame.number for frame in found.frames] == list(range(12))
    assert found.rescale is None
    assert [frame.slope for frame in found.frames[::4]] == [1.5, 2.5, 3.5]


def test_a_frame_s_own_group_stands_before_the_shared_one() -> None:
    ds = make.enhanced_mr(2, 1)
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.PlanePositionSequence = [Dataset()]
    shared.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    assert [frame.position[2] for frame in frames([ds])] == [50, 53]


def two_times(first_numbers: Sequence[int], second_numbers: Sequence[int]) -> list[Dataset]:
    series = make.ct_series(3) + make.ct_series(3)
    for ds, number in zip(series, [*first_numbers, *second_numbers], strict=True):
        ds.InstanceNumber = number
    return list(series)


@pytest.mark.parametrize(("first", "second"), [((1, 2, 3), (4, 5, 6)), ((1, 3, 5), (2, 4, 6)), ((4, 5, 6), (1, 2, 3))])
def test_the_fourth_dimension_follows_instance_numbers(first: Sequence[int], second: Sequence[int]) -> None:
    (found,) = volumes(two_times(first, second))
    assert (found.slices, found.times) == (3, 2)
    expected = [0, 1, 2, 3, 4, 5] if first[0] < second[0] else [3, 4, 5, 0, 1, 2]
    assert [frame.instance for frame in found.frames] == expected
    assert any("fourth dimension" in text for text in found.assumptions)


def test_equal_instance_numbers_at_one_position_are_held() -> None:
    assert "do not tell their order" in reason(two_times((1, 2, 3), (1, 2, 3)))


def test_no_instance_numbers_at_one_position_are_held() -> None:
    series = two_times((1, 2, 3), (4, 5, 6))
    for ds in series:
        ds.InstanceNumber = None
    assert "do not tell their order" in reason(series)


def test_volumes_whose_weighting_would_be_mixed_are_held() -> None:
    series = two_times((1, 2, 3), (4, 5, 6))
    for ds, b in zip(series, (0, 0, 1000, 1000, 1000, 0), strict=True):
        ds.DiffusionBValue = b
    assert "1 of 3 positions is of another temporal position or diffusion weighting" in reason(series)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("EchoTime", 4.2),
        ("ImageType", ["DERIVED", "SECONDARY", "MPR"]),
        ("Rows", 6),
        ("PixelSpacing", [0.9, 0.7]),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0, -1]),
        ("RescaleType", "US"),
        ("FrameOfReferenceUID", "1.2.3"),
        ("SeriesInstanceUID", "1.2.3"),
    ],
)
def test_frames_that_differ_in_kind_are_different_volumes(keyword: str, value: object) -> None:
    series = make.ct_series(6)
    for ds in series[::2]:
        setattr(ds, keyword, value)
        if keyword == "ImageOrientationPatient":
            ds.ImagePositionPatient = [0, ds.ImagePositionPatient[2], 0]
    assert [found.slices for found in volumes(series)] == [3, 3]


def test_cosines_that_differ_by_rounding_are_one_orientation() -> None:
    series = make.ct_series(4)
    for n, ds in enumerate(series):
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0.00005 + 1e-6 * n]  # on the border of four decimals
    assert len(volumes(series)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: delattr(ds, "ImagePositionPatient"), r"no 'Image Position \(Patient\)'"),
        (lambda ds: setattr(ds, "ImagePositionPatient", [0, 0]), "has 2 values, not 3"),
        (lambda ds: delattr(ds, "PixelSpacing"), "no 'Pixel Spacing'"),
        (lambda ds: setattr(ds, "NumberOfFrames", 2), "without functional groups"),
        (lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "a mosaic"),
        (lambda ds: setattr(ds, "PhotometricInterpretation", "PALETTE COLOR"), "palette"),
        (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.4"), "a segmentation"),
        (
            lambda ds: ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 36),
            "a mosaic",
        ),
    ],
)
def test_what_has_no_plane_is_refused(change: object, message: str) -> None:
    (ds,) = make.ct_series(1)
    change(ds)  # type: ignore[operator]  # one of the functions above
    with pytest.raises(CannotSucceed, match=message):
        frames([ds])


def test_numbers_that_are_none_are_refused() -> None:
    (ds,) = make.ct_series(1)
    ds["PixelSpacing"]._value = [float("nan"), 1.0]  # as a reader that checks nothing would give it
    with pytest.raises(CannotSucceed, match="not finite"):
        frames([ds])


def test_functional_groups_must_be_as_many_as_frames() -> None:
    ds = make.enhanced_mr(2, 2)
    del ds.PerFrameFunctionalGroupsSequence[3]
    with pytest.raises(CannotSucceed, match="3 per-frame functional groups for 4 frames"):
        frames([ds])


def test_every_frame_is_in_exactly_one_group() -> None:
    series = make.ct_series(6)
    series[2].EchoTime = 9
    del series[4]
    found = [(frame.instance, frame.number) for group in plan(frames(series)) for frame in group.frames]
    assert sorted(found) == [(n, 0) for n in range(5)]


def test_the_affine_does_not_depend_on_rounded_cosines() -> None:
    angle = np.radians(17.123456789)
    oblique = [1, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle))]
    (found,) = volumes(make.ct_series(3, orientation=oblique))
    np.testing.assert_allclose(found.affine[2, 1], np.sin(angle) * 0.8, atol=1e-12)
