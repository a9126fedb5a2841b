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


def test_times_without_a_date_that_pass_midnight_are_in_order() -> None:
    series = two_times((1, 2, 3), (4, 5, 6))
    for ds in series:
        ds.AcquisitionTime = "235958" if ds.InstanceNumber > 3 else "000003"
    (found,) = volumes(series)
    assert [frame.instance for frame in found.frames] == [3, 4, 5, 0, 1, 2]
    assert found.order == "acquisition time"


def test_equal_instance_numbers_at_one_position_are_held() -> None:
    assert "neither times nor instance numbers tell their order" in reason(two_times((1, 2, 3), (1, 2, 3)))


def test_no_instance_numbers_at_one_position_are_held() -> None:
    series = two_times((1, 2, 3), (4, 5, 6))
    for ds in series:
        ds.InstanceNumber = None
    assert "neither times nor instance numbers tell their order" in reason(series)


def test_volumes_whose_weighting_would_be_mixed_are_held() -> None:
    series = two_times((1, 2, 3), (4, 5, 6))
    for ds, b in zip(series, (0, 0, 1000, 1000, 1000, 1000), strict=True):
        ds.DiffusionBValue = b
    assert "1 of 3 positions is of another temporal position or diffusion weighting" in reason(series)


def test_the_b_value_decides_where_instance_numbers_would_mix_volumes() -> None:
    series = two_times((1, 2, 3), (4, 5, 6))
    for ds, b in zip(series, (0, 0, 1000, 1000, 1000, 0), strict=True):
        ds.DiffusionBValue = b
    (found,) = volumes(series)
    assert found.order == "b-value"
    assert [frame.weighting.b_value for frame in found.frames] == [0, 0, 0, 1000, 1000, 1000]


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
        (lambda ds: setattr(ds, "PhotometricInterpretation", "PALETTE COLOR"), "palette"),
        (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.4"), "a segmentation"),
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


def test_a_tilted_series_is_what_was_chosen() -> None:
    series = make.ct_series(4)
    for k, ds in enumerate(series):
        ds.ImagePositionPatient = [-20, -30 + k * 0.6, 100 + k * 2.5]
    for tilt, sheared, resampled in (("sheared", True, False), ("resample", False, True)):
        (found,) = plan(frames(series), tilt)  # type: ignore[arg-type]  # one of the literals
        assert isinstance(found, Volume)
        assert (found.sheared, found.resampled, found.slices) == (sheared, resampled, 4)
        np.testing.assert_allclose(found.affine[:3, 2], [0, -0.6, 2.5])
    (held,) = plan(frames(series), "hold")
    assert isinstance(held, Unplaced)
    assert held.reason == "tilted by 13.50 degrees: slices shift 1.80 mm from first to last"


def test_a_series_with_a_gap_is_what_was_chosen() -> None:
    series = [ds for n, ds in enumerate(make.ct_series(6)) if n != 4]
    pieces = volumes(series)
    assert [found.slices for found in pieces] == [4, 1]
    assert all("2.500 to 5.000 mm apart: 2 uniform pieces" in found.split[0] for found in pieces)
    (one,) = plan(frames(series), gaps="resample")
    assert isinstance(one, Volume)
    assert (one.resampled, one.slices) == (True, 5)
    (held,) = plan(frames(series), gaps="hold")
    assert isinstance(held, Unplaced)
    assert "a uniform stack would put one" in held.reason


def test_a_gap_in_a_tilted_series_is_not_resampled_into_shear() -> None:
    series = [ds for n, ds in enumerate(make.ct_series(6)) if n != 4]
    for k, ds in enumerate(series):
        ds.ImagePositionPatient[1] += k * 0.6
    (held,) = plan(frames(series), "sheared", "resample")
    assert isinstance(held, Unplaced)
    assert "tilt must be as well" in held.reason


def test_one_slice_takes_its_thickness_or_a_millimetre_and_says_so() -> None:
    (thick,) = volumes(make.ct_series(1, spacing=5.0))
    assert thick.affine[2, 2] == 5.0
    assert "slice thickness of 5 mm" in thick.assumptions[0]
    series = make.ct_series(1)
    series[0].SliceThickness = None
    (thin,) = volumes(series)
    assert thin.affine[2, 2] == 1.0
    assert "no slice thickness: 1 mm" in thin.assumptions[0]


def test_a_slice_that_is_there_twice_is_a_volume_of_its_own_and_named() -> None:
    series = make.ct_series(5)
    twice = make.ct_series(5)[2]
    twice.InstanceNumber = 77
    main, extra = volumes([*series, twice])
    assert (main.slices, extra.slices) == (5, 1)
    assert extra.frames[0].instance == 5
    assert "duplicates, instance numbers 77" in extra.split[0]


def test_several_objects_of_all_slices_that_nothing_tells_apart_are_a_volume_each() -> None:
    found = volumes([make.enhanced_mr(4, 1), make.enhanced_mr(4, 1)])
    assert [{frame.instance for frame in one.frames} for one in found] == [{0}, {1}]
    assert "2 instances apart" in found[0].split[0]
