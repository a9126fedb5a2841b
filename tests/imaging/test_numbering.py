"""Temporal positions that number no volumes are left out; a series that lacks images everywhere is not closed up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.attributes import Frame
from node.imaging.numbering import closed_up, without_image_numbers
from node.imaging.sequence import arrange
from tests.imaging.test_sequence import frame, instances

Columns = list[list[Frame]]


def grid(slices: int, times: int, lacking: set[tuple[int, int]] = frozenset(), *, timed: bool = True) -> Columns:  # type: ignore[assignment]
    """Instances numbered volume by volume, 2 s each; `lacking` has (slice, volume)."""
    return [
        [
            frame(k + slices * t, 1 + k + slices * t, time=2.0 * t + 0.1 * k if timed else None)
            for t in range(times)
            if (k, t) not in lacking
        ]
        for k in range(slices)
    ]


def test_a_temporal_position_that_numbers_every_image_is_left_out() -> None:
    columns = [[frame(k + 3 * t, time=float(t), position=1 + k + 3 * t) for t in range(2)] for k in range(3)]
    (found,) = arrange(columns)
    assert (found.by, instances(found.columns)) == ("acquisition time", [[0, 3], [1, 4], [2, 5]])


def test_a_temporal_position_that_numbers_slices_is_left_out() -> None:
    columns = [[frame(k + 3 * t, time=float(t), position=1 + k) for t in range(2)] for k in range(3)]
    (found,) = arrange(columns)
    assert (found.by, instances(found.columns)) == ("acquisition time", [[0, 3], [1, 4], [2, 5]])


def test_one_that_numbers_volumes_stays_also_where_it_contradicts_itself() -> None:
    columns = [[frame(0, 1, position=1), frame(1, 2, position=2)], [frame(2, 3, position=2), frame(3, 4, position=3)]]
    assert without_image_numbers(columns) == columns
    with pytest.raises(CannotSucceed, match="another temporal position"):
        arrange(columns)


@pytest.mark.parametrize("columns", [[[frame(0, position=1)], [frame(1, position=2)]], [[frame(0), frame(1)]]])
def test_a_volume_alone_and_a_slice_alone_keep_their_numbers(columns: Columns) -> None:
    assert without_image_numbers(columns) == columns


@pytest.mark.parametrize("lacking", [{(0, 0), (1, 3)}, {(0, 1), (1, 2)}, {(0, 2), (1, 2), (2, 0)}])
@pytest.mark.parametrize("timed", [True, False])
def test_positions_that_lack_different_images_are_not_closed_up(lacking: set[tuple[int, int]], timed: bool) -> None:
    columns = grid(3, 4, lacking | {(2, 0)}, timed=timed)
    with pytest.raises(CannotSucceed, match="positions lack another image than the first"):
        arrange(columns)


@settings(max_examples=40, deadline=None)
@given(slices=st.integers(1, 6), times=st.integers(1, 6), timed=st.booleans())
def test_a_whole_series_is_never_taken_for_one_that_lacks_images(slices: int, times: int, timed: bool) -> None:
    assert closed_up(grid(slices, times, timed=timed)) == ""


def test_numbers_slice_by_slice_a_pause_and_gaps_in_numbers_alone_say_nothing() -> None:
    by_slice = [[frame(0, 1 + t + 5 * k, time=t + 100.0 * k) for t in range(5)] for k in range(3)]
    paused = [
        [frame(0, 1 + k + 3 * t, time=2.0 * t + (30 if (t, k) > (1, 0) else 0)) for t in range(4)] for k in range(3)
    ]
    gaps = [[frame(0, 1 + k + 3 * t + (7 if (t, k) > (1, 0) else 0), time=2.0 * t) for t in range(4)] for k in range(3)]
    assert [closed_up(columns) for columns in (by_slice, paused, gaps)] == ["", "", ""]


def test_a_whole_volume_that_is_missing_at_every_position_leaves_the_others_as_they_are() -> None:
    (found,) = arrange(grid(3, 5, {(k, 2) for k in range(3)}))
    assert instances(found.columns) == [[k + 3 * t for t in (0, 1, 3, 4)] for k in range(3)]


def test_frames_of_one_instance_have_one_number_which_says_nothing() -> None:
    assert closed_up([[frame(0, 1, time=2.0 * t + 3.0 * k) for t in range(3)] for k in range(2)]) == ""
