"""Values in the unit of what was measured, where the header has them."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from node.errors import CannotSucceed
from node.imaging.attributes import frames_of
from node.imaging.layout import layout_of
from node.imaging.values import Values, values_of
from node.imaging.volumes import Volume, plan
from tests import make


def reals(ds: Dataset) -> list[tuple[float, float] | None]:
    return [frame.real for frame in frames_of(ds, layout_of(ds, "1.2.840.10008.1.2.1"), 0)]


def mapping(slope: float, intercept: float) -> Items:
    item = Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    return Items([item])


def wanted(ds: Dataset) -> Values:
    layout = layout_of(ds, "1.2.840.10008.1.2.1")
    (volume,) = plan(frames_of(ds, layout, 0))
    assert isinstance(volume, Volume)
    return values_of(volume, layout, real=True)


def philips(ds: Dataset, scale: float) -> None:
    ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", scale)


def test_without_any_there_is_none() -> None:
    assert reals(make.ct_series(1)[0]) == [None]


def test_a_mapping_of_the_standard_is_used_in_classic_and_enhanced_images() -> None:
    (ds,) = make.ct_series(1)
    ds.RealWorldValueMappingSequence = mapping(0.5, 3.0)
    assert reals(ds) == [(0.5, 3.0)]
    enhanced = make.enhanced_mr(2, 1)
    enhanced.PerFrameFunctionalGroupsSequence[1].RealWorldValueMappingSequence = mapping(0.25, 1.0)
    assert reals(enhanced) == [None, (0.25, 1.0)]


def test_philips_divides_by_rescale_and_scale_slope() -> None:
    (ds,) = make.ct_series(1)
    ds.RescaleSlope, ds.RescaleIntercept = 2.0, -8.0
    philips(ds, 0.5)
    (found,) = reals(ds)
    assert found is not None
    slope, intercept = found
    assert slope * 100 + intercept == pytest.approx((100 * 2.0 - 8.0) / (2.0 * 0.5))


def test_philips_keeps_it_in_a_private_sequence_of_enhanced_frames() -> None:
    ds = make.enhanced_mr(1, 2)
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        inner = Dataset()
        philips(inner, 0.5 * (n + 1))
        frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x0F, "SQ", Items([inner]))
    assert [found and found[0] for found in reals(ds)] == [2.0, 1.0]


def test_a_slope_of_zero_is_none() -> None:
    (ds,) = make.ct_series(1)
    ds.RealWorldValueMappingSequence = mapping(0.0, 3.0)
    philips(ds, 0.0)
    assert reals(ds) == [None]


def test_several_mappings_of_one_kind_are_one_and_different_ones_are_held_where_they_are_wanted() -> None:
    (ds,) = make.ct_series(1)
    ds.RealWorldValueMappingSequence = Items([*mapping(0.5, 3.0), *mapping(0.5, 3.0)])
    assert reals(ds) == [(0.5, 3.0)]
    ds.RealWorldValueMappingSequence = Items([*mapping(0.5, 3.0), *mapping(2.0, 0.0)])
    assert reals(ds) == [None]
    with pytest.raises(CannotSucceed, match="2 items of 'Real World Value Mapping Sequence' that map to different"):
        wanted(ds)


def test_a_table_of_real_world_values_is_held_where_they_are_wanted() -> None:
    (ds,) = make.ct_series(1)
    item = Dataset()
    item.RealWorldValueLUTData = [0.0, 1.5]
    ds.RealWorldValueMappingSequence = Items([item])
    philips(ds, 0.5)
    with pytest.raises(CannotSucceed, match="by a table"):
        wanted(ds)


def test_a_frame_s_own_mapping_goes_before_the_shared_one() -> None:
    ds = make.enhanced_mr(1, 1)
    ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = mapping(9.0, 9.0)
    ds.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence = mapping(0.25, 1.0)
    assert reals(ds) == [(0.25, 1.0)]
