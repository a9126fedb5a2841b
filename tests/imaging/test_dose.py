"""RT Dose: both ways of writing where its planes are, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.imaging.dose import plane_positions

AXIAL, UPSIDE_DOWN, CORONAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, -1)


@given(st.lists(st.floats(-500, 500), max_size=5))
def test_offsets_that_begin_with_zero_run_along_the_normal(more: list[float]) -> None:
    found = plane_positions([0.0, *more], (1, 2, 3), CORONAL)
    np.testing.assert_allclose(np.array(found)[:, 1], [2 + offset for offset in (0.0, *more)], atol=1e-9)


def test_coordinates_of_transverse_planes_are_z_whichever_way_the_normal_points() -> None:
    for orientation in (AXIAL, UPSIDE_DOWN):
        assert [place[2] for place in plane_positions([-7, -5, -3], (1, 2, -7), orientation)] == [-7, -5, -3]


def test_what_is_neither_is_refused() -> None:
    for offsets, orientation in (([5, 7], AXIAL), ([3, 5], CORONAL)):
        with pytest.raises(CannotSucceed, match="begins neither with 0 nor"):
            plane_positions(offsets, (1, 2, 3), orientation)
