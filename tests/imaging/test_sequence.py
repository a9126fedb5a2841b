"""The order of volumes: what is certain first, and the same for every slice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.sequence import arrange, in_order
from node.imaging.weighting import Weighting


def frame(instance: int, number: int | None = None, **weighting: object) -> Frame:
    return Frame(
        instance=instance,
        number=0,
        like=(),
        position=(0.0, 0.0, 0.0),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        spacing=(1.0, 1.0),
        thickness=1.0,
        slope=1.0,
        intercept=0.0,
        order=None if number is None else (number, 0),
        weighting=Weighting(**weighting),  # type: ignore[arg-type]  # fields of several types
    )


def instances(columns: Sequence[Sequence[Frame]]) -> list[list[int]]:
    return [[one.instance for one in column] for column in columns]


def test_time_goes_before_instance_numbers() -> None:
    columns = [[frame(0, 9, time=1.0), frame(1, 8, time=2.0)], [frame(2, 1, time=2.5), frame(3, 2, time=1.5)]]
    found, by = in_order(columns)
    assert by == "acquisition time"
    assert instances(found) == [[0, 1], [3, 2]]


def test_times_that_do_not_tell_leave_it_to_the_next() -> None:
    columns = [[frame(0, 2, time=1.0), frame(1, 1, time=1.0)], [frame(2, 3, time=1.0), frame(3, 4, time=1.0)]]
    found, by = in_order(columns)
    assert by == "instance number"
    assert instances(found) == [[1, 0], [2, 3]]


def test_a_temporal_position_that_some_slices_lack_is_not_used() -> None:
    columns = [[frame(0, 1, position=2), frame(1, 2, position=1)], [frame(2, 1), frame(3, 2)]]
    with pytest.raises(CannotSucceed, match="another temporal position"):
        in_order(columns)
    complete = [[frame(0, 1, position=2), frame(1, 2, position=1)], [frame(2, 1, position=1), frame(3, 2, position=2)]]
    assert instances(in_order(complete)[0]) == [[1, 0], [2, 3]]


def test_directions_of_one_b_value_are_told_apart() -> None:
    x, y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    columns = [
        [frame(0, 1, b_value=1000.0, gradient=x), frame(1, 2, b_value=1000.0, gradient=y)],
        [frame(2, 2, b_value=1000.0, gradient=x), frame(3, 1, b_value=1000.0, gradient=y)],
    ]
    found, by = in_order(columns)
    assert by == "b-value"
    assert instances(found) == [[1, 0], [3, 2]]


def test_an_incomplete_last_volume_is_apart_by_its_temporal_position() -> None:
    columns = [[frame(10 * k + t, t, position=t) for t in range(3 if k < 2 else 2)] for k in range(4)]
    found = arrange(columns)
    assert [(len(one.columns), len(one.columns[0]), one.where) for one in found] == [
        (4, 2, (0, 1, 2, 3)),
        (2, 1, (0, 1)),
    ]
    assert all("apart by temporal position" in one.split for one in found)


def test_a_b0_that_was_acquired_for_some_slices_only_is_apart_by_its_b_value() -> None:
    columns = [[frame(0, 1, b_value=0.0), frame(1, 2, b_value=800.0)], [frame(2, 3, b_value=800.0)]]
    found = arrange(columns)
    assert sorted(len(one.columns) for one in found) == [1, 2]


def test_surplus_images_without_labels_are_named_as_duplicates() -> None:
    columns = [[frame(0, 1)], [frame(1, 2), frame(2, 90)], [frame(3, 3)]]
    main, extra = arrange(columns)
    assert instances(main.columns) == [[0], [1], [3]]
    assert (instances(extra.columns), extra.where) == ([[2]], (1,))
    assert extra.split == "3 positions have 1 to 2 images each: duplicates, instance numbers 90"


def test_surplus_images_that_nothing_tells_apart_are_refused() -> None:
    with pytest.raises(CannotSucceed, match="neither labels nor instance numbers"):
        arrange([[frame(0, 1)], [frame(1, 2), frame(2, 2)]])


def test_whole_objects_that_nothing_tells_apart_are_apart() -> None:
    found = arrange([[frame(0, 1), frame(1, 1)], [frame(0, 1), frame(1, 1)]])
    assert [instances(one.columns) for one in found] == [[[0], [0]], [[1], [1]]]


@given(st.permutations(range(12)))
def test_every_frame_is_in_one_place_whatever_order_they_come_in(order: list[int]) -> None:
    frames = [frame(n, n, time=float(n // 3), position=n // 3) for n in order]
    columns = [[one for one in frames if one.instance % 3 == k] for k in range(3)]
    (found,) = arrange(columns)
    assert instances(found.columns) == [[k, k + 3, k + 6, k + 9] for k in range(3)]


def test_inversion_times_that_take_turns_are_volumes_of_their_own() -> None:
    first, second = ("500",), ("2000",)
    columns = [
        [frame(0, 1, time=1.0, setting=first), frame(1, 2, time=2.0, setting=second)],
        [frame(2, 3, time=3.0, setting=second), frame(3, 4, time=4.0, setting=first)],
    ]
    apart = arrange(columns)
    assert [instances(one.columns) for one in apart] == [[[0], [3]], [[1], [2]]]
    assert {one.split for one in apart} == {"2 inversion times, flip angles, tube voltages or kernels apart"}


def test_inversion_times_in_one_order_are_a_fourth_dimension_and_those_of_each_slice_are_left_alone() -> None:
    first, second = ("500",), ("2000",)
    alike = [[frame(2 * k, 1, setting=first), frame(2 * k + 1, 2, setting=second)] for k in range(2)]
    by_slice = [[frame(0, 1, setting=first), frame(1, 2, setting=first)], [frame(2, 1), frame(3, 2, setting=second)]]
    for columns in (alike, by_slice):
        (one,) = arrange(columns)
        assert (instances(one.columns), one.by) == ([[0, 1], [2, 3]], "instance number")


def test_where_a_few_positions_lack_an_image_later_ones_do_not_move_up() -> None:
    columns = [[frame(10 * k + t, 10 * t + k, time=float(t)) for t in range(3) if (k, t) != (1, 0)] for k in range(4)]
    with pytest.raises(CannotSucceed, match="4 positions have 2 to 3 images each: 1 lack some, and no label tells"):
        arrange(columns)
