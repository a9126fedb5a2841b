"""Slices in the order in which they lie, whatever they are called and whichever way they face."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from node.imaging.layout import layout_of
from node.imaging.ordering import directions, main_stack, ordered, stacks_of, trend
from node.imaging.planes import Plane, planes_of
from tests import make

CORONAL, SAGITTAL = (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
AGAINST_Z = (1, 0, 0, 0, -0.6, -0.8)  # its normal points down: z falls while the stack rises


def planes(series: Sequence[FileDataset]) -> list[Plane]:
    return [p for n, ds in enumerate(series) for p in planes_of(ds, layout_of(ds, "1.2.840.10008.1.2.1"), n)]


def order(found: Sequence[Plane]) -> list[int]:
    return [plane.member for plane in found]


@given(seed=st.integers(0, 999), orientation=st.sampled_from([make.AXIAL, CORONAL, SAGITTAL, OBLIQUE, AGAINST_Z]))
def test_any_orientation_is_ordered_along_its_normal(seed: int, orientation: tuple[float, ...]) -> None:
    series = make.ct_series(9, orientation=orientation)
    names = list(range(1, 10))
    random.Random(seed).shuffle(names)
    for ds, number in zip(series, names, strict=True):
        ds.InstanceNumber = number  # says nothing of where the slice is
    mixed = planes(series)
    random.Random(seed).shuffle(mixed)
    found = ordered(mixed)
    assert found.by == "position"
    assert order(found.planes) == list(range(9))


def test_sorting_by_z_alone_mixes_a_coronal_series_and_turns_an_oblique_one() -> None:
    """The tutorial's way, beside ours."""
    coronal, oblique = make.ct_series(5, orientation=CORONAL), make.ct_series(5, orientation=AGAINST_Z)
    assert len({float(ds.ImagePositionPatient[2]) for ds in coronal}) == 1
    by_z = sorted(range(5), key=lambda n: float(oblique[n].ImagePositionPatient[2]))
    assert by_z == [4, 3, 2, 1, 0]
    assert order(ordered(planes(oblique)).planes) == [0, 1, 2, 3, 4]


def test_images_at_one_position_keep_the_order_of_their_numbers() -> None:
    series = [*make.ct_series(3), *make.ct_series(3)]
    for n, ds in enumerate(series):
        ds.InstanceNumber = 10 - n
    assert order(ordered(planes(series)).planes) == [3, 0, 4, 1, 5, 2]


def test_without_positions_slice_location_then_instance_number_say_the_order() -> None:
    series = make.ct_series(4)
    for n, ds in enumerate(series):
        del ds.ImagePositionPatient
        ds.InstanceNumber, ds.SliceLocation = n + 1, -n
    found = ordered(planes(series))
    assert (found.by, order(found.planes)) == ("slice location", [3, 2, 1, 0])
    del series[2].SliceLocation
    found = ordered(planes(series))
    assert (found.by, order(found.planes)) == ("instance number", [0, 1, 2, 3])
    del series[0].InstanceNumber
    assert ordered(planes(series)).by == "none"


def test_planes_that_cross_are_not_ordered_by_position() -> None:
    series = [*make.ct_series(2), *make.ct_series(2, orientation=CORONAL)]
    assert ordered(planes(series)).by == "instance number"
    assert len(directions(planes(series))) == 2
    assert sorted(len(stack) for stack in stacks_of(planes(series))) == [2, 2]


def test_the_main_stack_is_the_one_with_the_most_positions_one_plane_at_each() -> None:
    scout = make.ct_series(2, orientation=CORONAL)
    twice = [*make.ct_series(4), *make.ct_series(4)]
    for n, ds in enumerate(twice):
        ds.InstanceNumber = n + 1
    assert order(main_stack(planes([*scout, *twice]))) == [2, 3, 4, 5]
    assert main_stack([]) == []


def test_frames_of_one_instance_are_ordered_too() -> None:
    found = ordered(planes([make.enhanced_mr(3, 2)]))
    assert [plane.frame for plane in found.planes] == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    ("values", "word"),
    [([1, 2, 2], "ascending"), ([3, 2], "descending"), ([1, 3, 2], "neither"), ([1, None], "absent"), ([], "absent")],
)
def test_how_numbers_go_in_an_order(values: list[float | None], word: str) -> None:
    assert trend(values) == word


def test_positions_a_rounding_apart_are_one_position() -> None:
    series = make.ct_series(3)
    for ds in series[:2]:
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], 100 + 0.005 * ds.InstanceNumber]
    series[0].InstanceNumber = 9
    assert order(ordered(planes(series)).planes) == [1, 0, 2]
    assert np.isclose(float(series[2].ImagePositionPatient[2]), 105)
