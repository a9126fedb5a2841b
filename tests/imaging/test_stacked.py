"""Slices that wait to be written come back as they were, whatever is in them."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from node.imaging.raster import Patch
from node.imaging.stacked import KeptFrames, KeptPatches

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20))
FRAMES = SHAPES.flatmap(
    lambda shape: st.one_of(
        arrays.arrays(np.bool_, shape),
        arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)),
        arrays.arrays(np.uint8, shape, fill=st.just(0)),
        arrays.arrays(np.uint16, shape, fill=st.just(0)),
    )
)


@given(FRAMES, st.integers(0, 5))
def test_a_frame_comes_back_with_its_values_and_its_type(frame: np.ndarray, k: int) -> None:
    kept = KeptFrames((frame.shape[0], frame.shape[1]))
    before = frame.copy()
    kept.keep(k, frame)
    frame[:] = 1  # what happens to it afterwards is no matter
    assert kept[k].dtype == before.dtype
    assert np.array_equal(kept[k], before)


@given(st.dictionaries(st.integers(0, 9), SHAPES.flatmap(lambda shape: arrays.arrays(np.bool_, shape)), max_size=4))
def test_a_patch_comes_back_at_its_place_and_slices_in_the_order_they_came(found: dict[int, np.ndarray]) -> None:
    kept = KeptPatches()
    for k, pixels in found.items():
        kept.keep(k, Patch(row=k, column=2 * k, pixels=pixels))
    assert list(kept) == list(found)
    assert len(kept) == len(found)
    assert all((k in kept) == (k in found) for k in range(10))
    for k, patch in kept.items():
        assert (patch.row, patch.column, patch.pixels.dtype) == (k, 2 * k, np.bool_)
        assert np.array_equal(patch.pixels, found[k])
        assert patch.count == np.count_nonzero(found[k])


def test_a_slice_that_is_not_there_is_none() -> None:
    assert KeptFrames((2, 3)).get(4) is None
    assert KeptPatches().get(4) is None


def test_what_changes_in_a_slice_that_was_asked_for_changes_nothing_that_is_kept() -> None:
    kept, frame = KeptFrames((4, 4)), np.eye(4, dtype=np.uint8) * 7
    kept.keep(0, frame)
    kept[0][:] = 0
    assert np.array_equal(kept[0], frame)


def test_a_small_region_on_large_slices_takes_little() -> None:
    frame = np.zeros((512, 512), np.uint8)
    frame[200:300, 100:220] = 1
    kept = KeptFrames((512, 512))
    tracemalloc.start()
    try:
        for k in range(100):
            kept.keep(k, frame)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 100 * 2500  # 1,500 bytes of bits each, where a slice has 262,144
